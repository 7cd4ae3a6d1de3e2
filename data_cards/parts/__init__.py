"""Parts of a card: each file has the types of one part, and the function that gathers it from a run."""
