"""Repeated lines, paragraphs and substrings of kept text, as spans."""
