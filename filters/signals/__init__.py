"""Quality signals of a text alone: lengths, entropies, lines, repetition. Nothing is decided here."""
