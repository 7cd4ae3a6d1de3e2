"""Personal data: found by kind, counted, and given as spans to mask."""
