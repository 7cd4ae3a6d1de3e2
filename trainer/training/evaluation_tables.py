"""evaluation.parquet and load.parquet: what held-out rows cost, and which experts their tokens went to."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from gristmill.corpus.tables import write_part
from gristmill.trainer.heldout_summary import Heldout

EVALUATION = pa.schema(
    [
        pa.field("step", pa.int64(), False),  # steps done; 0 = before the first
        pa.field("domain", pa.string(), False),
        pa.field("documents", pa.int64(), False),  # with a predicted token
        pa.field("bytes", pa.int64()),  # null where the run has no byte-level tokenizer
        pa.field("nats", pa.float64(), False),  # sum over predicted tokens
        pa.field("bits_per_byte", pa.float64()),
        pa.field("standard_error", pa.float64()),  # of bits_per_byte, by document; null for a single document
    ]
)
LOAD = pa.schema(
    [
        pa.field("step", pa.int64(), False),
        pa.field("layer", pa.int32(), False),
        pa.field("domain", pa.string(), False),
        pa.field("expert", pa.int32(), False),
        pa.field("tokens", pa.int64(), False),  # held-out tokens that the expert took; each takes top_k experts
    ]
)


def write_evaluations(folder: Path, evaluations: Mapping[int, Heldout]) -> None:
    """Write both tables into ``folder``, one evaluation for each step, in order of steps."""
    for name, schema, rows_of in (("evaluation", EVALUATION, _losses), ("load", LOAD, _loads)):
        rows = [row for step, heldout in sorted(evaluations.items()) for row in rows_of(step, heldout)]
        aside = folder / f".{name}.parquet.tmp"
        write_part(aside, schema, pa.Table.from_pylist(rows, schema).to_batches())
        aside.replace(folder / f"{name}.parquet")


def _losses(step: int, heldout: Heldout) -> Iterator[dict[str, Any]]:
    for name, domain in heldout.domains.items():
        yield {"step": step, "domain": name} | {key: asdict(domain)[key] for key in EVALUATION.names[2:]}


def _loads(step: int, heldout: Heldout) -> Iterator[dict[str, Any]]:
    for name, domain in heldout.domains.items():
        for layer, experts in enumerate(domain.experts):
            for expert, tokens in enumerate(experts):
                yield {"step": step, "layer": layer, "domain": name, "expert": expert, "tokens": tokens}
