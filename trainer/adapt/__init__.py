"""Weights changed by one mechanism: parametrisations of weights that are chosen by pattern."""
