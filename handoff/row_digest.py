"""A digest of a row as a training step reads it: 16 bytes that change with whatever the step could get wrong.

xxh3-128 over ``gr2``, the domain (uint16) and epoch (uint32), then for each document slice its start and length in
the row and four numbers for each of its tokens, all uint32 and little-endian: the token ids; their positions; their
targets, the token to predict behind each, ``NO_TARGET`` where none counts; their reach, how many tokens back attention
sees, ``UNCLEAR`` where that is no run of tokens that ends with the token itself. A row without tokens has the domain
``NO_DOMAIN``. Why these: docs/decisions/0030-row-digest.md. What verify expects, it computes by itself.
"""

import struct
from typing import NamedTuple

import numpy as np
import xxhash

LAYOUT = b"gr2"
NO_TARGET = UNCLEAR = 0xFFFF_FFFF
NO_DOMAIN = 0xFFFF


class Seen(NamedTuple):
    """What is read of B rows: S slices in order of their rows, N tokens of the slices laid end to end; integers."""

    domain: np.ndarray  # [B]
    epoch: np.ndarray  # [B]
    row: np.ndarray  # [S], place among the B rows
    start: np.ndarray  # [S]
    length: np.ndarray  # [S], 1 or more
    tokens: np.ndarray  # [N]
    positions: np.ndarray  # [N]
    targets: np.ndarray  # [N]
    reach: np.ndarray  # [N]


def row_digests(seen: Seen) -> np.ndarray:
    """The digest of every row, uint8 [B, 16]."""
    size = 2 + 4 * seen.length
    body = _laid_out(seen, size)
    ends = np.cumsum(np.bincount(seen.row, weights=size, minlength=len(seen.domain))).astype(np.int64).tolist()
    found, begin = [], 0
    for domain, epoch, end in zip(seen.domain.tolist(), seen.epoch.tolist(), ends, strict=True):
        digest = xxhash.xxh3_128(LAYOUT + struct.pack("<HI", domain if end > begin else NO_DOMAIN, epoch & 0xFFFF_FFFF))
        digest.update(body[begin:end].data)
        found.append(digest.digest())
        begin = end
    return np.frombuffer(b"".join(found), np.uint8).reshape(len(found), 16)


def _laid_out(seen: Seen, size: np.ndarray) -> np.ndarray:
    """Every slice's numbers, slice after slice: uint32 [2 S + 4 N]."""
    out = np.empty(int(size.sum()), "<u4")
    at = np.cumsum(size) - size
    out[at], out[at + 1] = seen.start, seen.length
    place = np.repeat(at + 2, seen.length) + within(seen.length)
    step = np.repeat(seen.length, seen.length)
    for column in (seen.tokens, seen.positions, seen.targets, seen.reach):
        out[place] = column.astype(np.uint32)
        place += step
    return out


def seen_in_rows(
    tokens: np.ndarray, domain: np.ndarray, epoch: np.ndarray, slices: tuple[np.ndarray, ...], mask: np.ndarray | None
) -> Seen:
    """What a step should read of rows as they are handed over.

    Parameters
    ----------
    tokens : integers [B, L]; domain, epoch : integers [B]
    slices : row, start and length of every document slice, integers [S] each
    mask : bool [B, L], whether a token counts where it is predicted; None = all do

    >>> slices = (np.array([0]), np.array([0]), np.array([2]))
    >>> seen_in_rows(np.array([[5, 6, 0]]), np.array([1]), np.array([0]), slices, None).targets.tolist()
    [6, 4294967295]
    """
    row, start, length = slices
    place = within(length)
    flat = np.repeat(row * tokens.shape[1] + start, length) + place
    last = place == np.repeat(length - 1, length)
    following = np.where(last, flat, flat + 1)
    counts = ~last if mask is None else ~last & mask.reshape(-1)[following]
    targets = np.where(counts, tokens.reshape(-1)[following], NO_TARGET)
    return Seen(domain, epoch, row, start, length, tokens.reshape(-1)[flat], place, targets, place)


def within(length: np.ndarray) -> np.ndarray:
    """0, 1, 2 ... in each of the slices of ``length``, laid end to end.

    >>> within(np.array([2, 3])).tolist()
    [0, 1, 0, 1, 2]
    """
    return np.arange(int(length.sum())) - np.repeat(np.cumsum(length) - length, length)
