"""settled.parquet and settled_rows.parquet: the biases of each layer before and after settling, and what it read.

E experts.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from gristmill.handoff.row_digest import row_digests
from gristmill.trainer.heldout_summary import Heldout
from gristmill.trainer.model.decoder import Model
from gristmill.trainer.model.packed import Packed
from gristmill.trainer.model.selection_bias import Evened, unevenness
from gristmill.trainer.training.consumption import seen_by_model
from gristmill.trainer.training_summary import Settled, SettledLayer

SETTLED = pa.schema(
    [
        ("layer", pa.int32()),  # among those with experts
        ("expert", pa.int32()),
        ("bias_before", pa.float32()),
        ("bias", pa.float32()),
        ("choices_before", pa.int64()),  # of the rows, the layers below settled already
        ("choices", pa.int64()),
    ]
)
SETTLED_ROWS = pa.schema(
    [
        ("sample", pa.int64()),  # of the plan, as in consumption.parquet
        ("digest", pa.binary(16)),  # of the model's tensors, as there
        ("tokens", pa.int32()),
    ]
)


class SettledRow(NamedTuple):
    """A row that settling read."""

    sample: int
    digest: bytes
    tokens: int


def settled_line(sample: int, row: Packed) -> SettledRow:
    """What a batch of one row was, from the tensors that the model gets."""
    digest = row_digests(seen_by_model(row.to("cpu")))[0].tobytes()
    return SettledRow(sample, digest, len(row.tokens))


def settled_rows(of_ranks: Sequence[Sequence[SettledRow]]) -> Mapping[str, list]:
    """The lines of all ranks by column, in order of samples."""
    lines = sorted(line for lines in of_ranks for line in lines)
    return {name: [getattr(line, name) for line in lines] for name in SettledRow._fields}


def settled_biases(first: Sequence[Tensor], found: Sequence[Evened]) -> Mapping[str, np.ndarray]:
    """The lines of settled.parquet by column: every layer's ``first float32[E]`` biases and what became of them."""
    layers, experts = len(found), len(first[0])
    columns = {"bias_before": list(first)} | {
        name: [getattr(one, of) for one in found]
        for name, of in (("bias", "bias"), ("choices_before", "before"), ("choices", "after"))
    }
    place = {"layer": np.repeat(np.arange(layers), experts), "expert": np.tile(np.arange(experts), layers)}
    return place | {name: torch.cat(each).cpu().numpy() for name, each in columns.items()}


@contextmanager
def unsettled(model: Model, settled: pa.Table) -> Iterator[None]:
    """The model with its biases from before they were settled, for as long as the context lasts."""
    kept = [router.bias.clone() for router in model.routers]
    _give(model, torch.from_numpy(settled["bias_before"].to_numpy().copy()).split(model.shape.experts))
    yield
    _give(model, kept)


def _give(model: Model, biases: Sequence[Tensor]) -> None:
    for router, bias in zip(model.routers, biases, strict=True):
        router.bias.copy_(bias)


def settled_summary(settled: pa.Table, rows: pa.Table, before: Heldout, after: Heldout) -> Settled:
    """What settling did, by its tables and by held-out rows before and after."""
    layers = settled["layer"][-1].as_py() + 1
    evenness = [
        [unevenness(one) for one in torch.from_numpy(settled[name].to_numpy().copy()).chunk(layers)]
        for name in ("choices_before", "choices")
    ]
    heldout = [[load.std for load in one.load_by_layer] or [None] * layers for one in (before, after)]
    return Settled(
        rows=rows.num_rows,
        tokens=sum(rows["tokens"].to_pylist()),
        heldout_loss_before=before.loss,
        layers=tuple(SettledLayer(*figures) for figures in zip(*evenness, *heldout, strict=True)),
    )
