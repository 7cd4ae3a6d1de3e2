"""Kept text to packed rows: train a byte-level BPE, encode with it, pack documents into rows of one length."""

import corpus  # noqa: F401  checks the house and the kernel cache
