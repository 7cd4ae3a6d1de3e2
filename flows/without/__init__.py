"""A corpus without some of its documents, as it would be."""
