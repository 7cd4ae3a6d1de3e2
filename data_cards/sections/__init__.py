"""Sections of a card's pages, one file a theme. A new one is a file with ``section``, and its place in ``order``."""
