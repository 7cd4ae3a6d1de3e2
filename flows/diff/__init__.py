"""Two runs side by side: every document that changed and why, from stored columns. Nothing is written."""
