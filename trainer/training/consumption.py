"""What a step got of each row, from the very tensors that the model was given: the lines of consumption.parquet.

The loader's word is in ``step``, ``sample``, ``rank``, ``domain``, ``epoch`` and ``row``; the tensors' in ``digest``,
``tokens``, ``targets`` and ``nats``. verify computes the digests again from the shards, by itself.

B rows, S document slices, N tokens, P targets that count.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from torch import Tensor

from gristmill.handoff.loader import Batch
from gristmill.handoff.row_digest import NO_DOMAIN, NO_TARGET, UNCLEAR, Seen, row_digests
from gristmill.trainer.model.packed import Packed

CONSUMPTION = pa.schema(
    [
        ("step", pa.int64()),  # from 1
        ("sample", pa.int64()),  # of the plan, from 0
        ("rank", pa.int16()),
        ("domain", pa.int16()),  # place in the plan's names
        ("epoch", pa.int32()),
        ("row", pa.int64()),
        ("digest", pa.binary(16)),  # see handoff.row_digest
        ("tokens", pa.int32()),  # of documents
        ("targets", pa.int32()),  # predicted tokens that count
        ("nats", pa.float64()),  # their losses, added up
    ]
)


class RowFigures(NamedTuple):
    """What a step got of each row: ``digest uint8[B, 16]``, ``tokens``, ``targets int64[B]``, ``nats float64[B]``."""

    digest: np.ndarray
    tokens: np.ndarray
    targets: np.ndarray
    nats: np.ndarray


def figures_of_parts(parts: Sequence[Packed], each: Sequence[Tensor]) -> RowFigures:
    """Figures of all rows of a step's parts and of their losses, in order."""
    return RowFigures(*map(np.concatenate, zip(*map(row_figures, parts, each), strict=True)))


def row_figures(batch: Packed, each: Tensor) -> RowFigures:
    """Figures of the rows of a batch and of its losses ``each float32[P]``."""
    here = batch.to("cpu")
    row, _, length = here.slices.numpy()
    rows, owner = len(here.epoch), np.repeat(row, length)  # owner: of each token
    of_target = owner[here.inputs.numpy()]
    nats = np.bincount(of_target, weights=each.detach().cpu().double().numpy(), minlength=rows)
    tokens, targets = np.bincount(owner, minlength=rows), np.bincount(of_target, minlength=rows)
    return RowFigures(row_digests(seen_by_model(here)), tokens, targets, nats)


Lines = Mapping[str, np.ndarray]


def consumed_rows(step: int, rank: int, batch: Batch, got: RowFigures) -> Lines:
    """The lines of step ``step`` by column: where the loader took its rows from, and what the step got."""
    n = len(got.digest)
    place = {"step": np.full(n, step), "sample": batch.sample, "rank": np.full(n, rank), "domain": batch.domain}
    place |= {"epoch": batch.epoch, "row": batch.row}
    return place | {"digest": got.digest, "tokens": got.tokens, "targets": got.targets, "nats": got.nats}


def in_order_of_samples(of_ranks: Sequence[Lines]) -> Mapping[str, np.ndarray | pa.Array]:
    """The lines of all ranks for the table, in order of samples; those of one rank as they are."""
    lines = of_ranks[0]
    if len(of_ranks) > 1:
        lines = {name: np.concatenate([one[name] for one in of_ranks]) for name in lines}
        order = np.argsort(lines["sample"], kind="stable")
        lines = {name: column[order] for name, column in lines.items()}
    digest = np.ascontiguousarray(lines["digest"])
    buffers = [None, pa.py_buffer(digest)]
    return {**lines, "digest": pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(digest), buffers)}


def seen_by_model(batch: Packed) -> Seen:
    """A batch on the CPU as its digest reads it: nothing is taken from the loader, all from the model's tensors."""
    row, start, length = batch.slices.numpy()
    targets = np.full(len(batch.tokens), NO_TARGET, np.int64)
    targets[batch.inputs.numpy()] = batch.targets.numpy()
    domain = _domains(batch.domain.numpy(), np.repeat(row, length), len(batch.epoch))
    tokens, positions, epoch = batch.tokens.numpy(), batch.positions.numpy(), batch.epoch.numpy()
    return Seen(domain, epoch, row, start, length, tokens, positions, targets, reach(batch))


def _domains(domain: np.ndarray, owner: np.ndarray, rows: int) -> np.ndarray:
    """The domain of every row; ``NO_DOMAIN`` where it has no token, or where its tokens are of several."""
    found = np.full(rows, NO_DOMAIN, np.int64)
    found[owner] = domain
    found[owner[domain != found[owner]]] = NO_DOMAIN
    return found


def reach(batch: Packed) -> np.ndarray:
    """How many tokens before each token attention sees, int64[N], out of ``groups`` and ``back``.

    A token at place p of the groups laid end to end attends to its line of them, from the line's beginning to p. That
    is a reach if those are the tokens right before it in the stream, and ``UNCLEAR`` if they are any others.

    >>> from gristmill.trainer.model.packed import pack
    >>> row, start, length = np.array([0, 0]), np.array([0, 2]), np.array([2, 3])
    >>> reach(pack(np.array([[5, 6, 7, 8, 9]]), np.array([0]), row, start, length)).tolist()
    [0, 1, 0, 1, 2]
    """
    laid = np.concatenate([group.numpy().reshape(-1) for group in batch.groups] or [np.empty(0, np.int64)])
    begins = _line_begins([group.shape for group in batch.groups])
    back, own = batch.back.numpy(), np.arange(len(batch.back))
    strays = np.cumsum(laid != laid[begins] + np.arange(len(laid)) - begins)  # places that do not follow their line
    begin = begins[back]
    depth = back - begin
    clear = (laid[back] == own) & (strays[back] == strays[begin]) & (laid[begin] == own - depth)
    return np.where(clear, depth, UNCLEAR)


def _line_begins(shapes: list[tuple[int, ...]]) -> np.ndarray:
    """Where in the groups laid end to end the line of each place begins."""
    found, laid = [np.empty(0, np.int64)], 0
    for lines, longest in shapes:
        found.append(laid + np.repeat(np.arange(lines) * longest, longest))
        laid += lines * longest
    return np.concatenate(found)
