"""Quotas of types under a curriculum: how many documents that name a type are drawn in the whole training."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.open_context import read_run


@dataclass(frozen=True, slots=True)
class MixedQuota:
    """A quota of [knowledge.quotas], which asks for documents in a pass over the corpus, and what comes of it."""

    type: str
    asked: int
    documents: int  # that name it and are trained on
    in_a_pass: float  # drawn where every domain is passed over once: the sum of their weights
    drawn: float  # by the curriculum: each weight times the epochs of its domain
    reached: bool  # drawn >= asked


def mixed_quotas(
    run_path: Path, quotas: Mapping[str, int], epochs: Mapping[str, float | None]
) -> tuple[MixedQuota, ...]:
    """How far a curriculum comes with each quota.

    Parameters
    ----------
    quotas : documents by type
    epochs : of each domain, in the whole curriculum; None for a domain that has no row
    """
    if not quotas:
        return ()
    context = read_run(run_path)
    kept = pq.read_table(context.file("decide", "kept.parquet"), columns=["part", "row", "domain", "weight", "heldout"])
    kept = kept.filter(pc.invert(kept["heldout"]))
    passes = np.array([epochs.get(name) or 0.0 for name in kept["domain"].to_pylist()])
    weight = kept["weight"].to_numpy().astype(np.float64)
    found = []
    for name, asked in quotas.items():
        names = _naming(context, kept, name)
        drawn = float((weight * passes)[names].sum())
        found.append(MixedQuota(name, asked, int(names.sum()), float(weight[names].sum()), drawn, drawn >= asked))
    return tuple(found)


def _naming(context: RunContext, kept: pa.Table, name: str) -> np.ndarray:
    """bool[n]: the document names an entity of the type."""
    names, part = np.zeros(kept.num_rows, bool), kept["part"].to_numpy()
    for number in np.unique(part).tolist():
        at = np.flatnonzero(part == number)
        types = pq.read_table(context.file("mentions", "types.parquet", number), columns=["types"])["types"]
        lists = types.take(kept["row"].take(pa.array(at))).combine_chunks()
        hit = pc.equal(lists.flatten().field("type"), name).to_numpy(zero_copy_only=False)
        parents = np.repeat(np.arange(len(at)), lists.value_lengths().to_numpy())
        names[at] = np.bincount(parents[hit], minlength=len(at)) > 0
    return names
