"""Writing a run out as files that other tools read: kept, edited text with its metadata."""
