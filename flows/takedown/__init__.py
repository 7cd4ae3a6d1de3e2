"""Documents removed from a run for good, and the search for what is left of them."""
