"""Exact and verified near duplicates: signatures, candidates, clusters."""
