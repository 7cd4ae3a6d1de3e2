"""The review queue on a local page."""
