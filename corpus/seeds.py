"""Seeds: every random choice of a run derives from the recipe's one seed and the name of its purpose."""

import xxhash

from gristmill.handoff.derived_seed import derive_seed as derive_seed


def fraction(identity: str, *purpose: str | int) -> float:
    """A number in [0, 1) that depends on ``identity`` and ``purpose`` alone; for keyed sampling of documents."""
    text = "\x1f".join(str(part) for part in (*purpose, identity))
    return xxhash.xxh3_64_intdigest(text.encode()) / 2**64
