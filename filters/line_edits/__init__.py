"""Lines that published recipes cut, as spans and signals."""
