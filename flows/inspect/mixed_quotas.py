"""Quotas of types under a curriculum: how many documents that name a type are drawn in the whole training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.corpus.tables import read_part
from gristmill.corpus.whole_columns import coded
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.damage import names_damage
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


@names_damage
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
    kept = read_part(context.file("decide", "kept.parquet"), ["part", "row", "domain", "weight", "heldout"])
    kept = kept.filter(pc.invert(kept["heldout"]))
    domains = coded(kept["domain"])
    passes = np.array([epochs.get(name) or 0.0 for name in domains.dictionary.to_pylist()])
    weight = kept["weight"].to_numpy().astype(np.float64)
    drawn = weight * passes[domains.indices.to_numpy()]
    found = []
    for (name, asked), at in zip(quotas.items(), _naming(context, kept, list(quotas)), strict=True):
        in_a_pass, in_all = float(weight[at].sum()), float(drawn[at].sum())
        found.append(MixedQuota(name, asked, int(at.sum()), in_a_pass, in_all, in_all >= asked))
    return tuple(found)


def _naming(context: RunContext, kept: pa.Table, types: Sequence[str]) -> np.ndarray:
    """bool[types, n]: the document names an entity of the type. Each part is read once."""
    names, part = np.zeros((len(types), kept.num_rows), bool), kept["part"].to_numpy()
    for number in np.unique(part).tolist():
        at = np.flatnonzero(part == number)
        table = read_part(context.file("mentions", "types.parquet", number), ["types"])["types"]
        lists = table.take(kept["row"].take(pa.array(at))).combine_chunks()
        quota = pc.index_in(lists.flatten().field("type"), value_set=pa.array(types, pa.string()))
        quota = quota.fill_null(-1).to_numpy()
        document = np.repeat(at, lists.value_lengths().to_numpy())
        names[quota[quota >= 0], document[quota >= 0]] = True
    return names
