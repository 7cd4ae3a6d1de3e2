"""Kept text to packed rows: train a byte-level BPE, encode with it, pack documents into rows of one length."""

from gristmill.corpus import _rooms

_rooms.check(__name__)
