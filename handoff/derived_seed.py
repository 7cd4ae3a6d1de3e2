"""A seed from another and the name of its purpose; ``gristmill.corpus.seeds`` says what the mill does with them."""

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
