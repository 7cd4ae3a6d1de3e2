"""The model: attention, router, experts and balance, one idea in each file; it knows nothing of runs and steps."""
