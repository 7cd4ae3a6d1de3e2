"""Seeds: every random choice of a run derives from the recipe's one seed and the name of its purpose."""

import xxhash


def derive_seed(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed for ``purpose``, independent of the order in which purposes ask.

    >>> derive_seed(1, "shuffle", "web") == derive_seed(1, "shuffle", "web")
    True
    >>> derive_seed(1, "shuffle", "web") == derive_seed(1, "shuffle", "books")
    False
    """
    text = "\x1f".join(str(part) for part in (seed, *purpose))
    return xxhash.xxh3_64_intdigest(text.encode()) >> 1


def fraction(identity: str, *purpose: str | int) -> float:
    """A number in [0, 1) that depends on ``identity`` and ``purpose`` alone; for keyed sampling of documents."""
    text = "\x1f".join(str(part) for part in (*purpose, identity))
    return xxhash.xxh3_64_intdigest(text.encode()) / 2**64
