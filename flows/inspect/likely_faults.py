"""What a step got in place of a row, guessed from the digest: the ways in which training code is wrong most often.

Like ``shard_rows``, this imports nothing of the way of a row. A guess is a digest that agrees, so it is never wrong;
where none agrees, there is none.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from gristmill.flows.inspect.shard_rows import NONE, DomainRows, Slice, digest_of

EPOCHS = 16  # tried as another epoch
ROWS = 100_000  # tried as another row, over all domains: about two seconds


def likely_fault(rows: Sequence[DomainRows], names: Sequence[str], planned: tuple[int, int, int], got: bytes) -> str:
    """What agrees with the digest ``got`` where (domain, epoch, row) was ``planned``; empty where nothing does."""
    for text, digest in _variants(rows, names, *planned):
        if digest == got:
            return text
    return ""


def _variants(
    rows: Sequence[DomainRows], names: Sequence[str], domain: int, epoch: int, row: int
) -> Iterator[tuple[str, bytes]]:
    slices = rows[domain].slices(row)
    for text, changed in _changed(slices):
        yield text, digest_of(domain, epoch, changed)
    yield from ((f"it got it as of {name}", digest_of(at, epoch, slices)) for at, name in enumerate(names))
    yield from ((f"it got it as of epoch {at}", digest_of(domain, at, slices)) for at in range(EPOCHS))
    left = ROWS
    for at, name in enumerate(names):
        for other in range(min(rows[at].rows, left)):
            read = rows[at].slices(other)
            yield f"it got row {other} of {name}", digest_of(domain, epoch, read)
            yield f"it got row {other} of {name}", digest_of(at, epoch, read)
        left -= min(rows[at].rows, left)


def _changed(slices: list[Slice]) -> Iterator[tuple[str, list[Slice]]]:
    zero = [one._replace(tokens=one.tokens * 0, targets=np.where(one.targets == NONE, NONE, 0)) for one in slices]
    yield "it got token 0 everywhere", zero
    before = np.cumsum([0, *(len(one.tokens) for one in slices)])
    pairs = list(zip(slices, before.tolist(), strict=False))
    yield "its positions do not restart", [one._replace(positions=one.positions + at) for one, at in pairs]
    yield "attention sees other documents of the row", [one._replace(reach=one.reach + at) for one, at in pairs]
    every = [one._replace(targets=np.append(one.tokens[1:], np.uint32(NONE))) for one in slices]
    yield "every token counts, masked or not", every
    cut = [Slice(one.start, *(column[:-1].copy() for column in one[1:])) for one in slices]
    for one in cut:
        one.targets[-1:] = NONE
    yield "the last token of each document is missing", cut
