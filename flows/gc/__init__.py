"""Space of a home: what no kept run names is deleted."""
