"""The band index: clusters of a new snapshot at the cost of its own size."""
