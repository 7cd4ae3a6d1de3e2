"""The trained model in use: loaded from a checkpoint, with a cache of keys and values, a token at a time."""
