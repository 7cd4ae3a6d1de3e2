"""What rang in a training: the lines of alarms.parquet, with the documents of the step, and a line of the log."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from gristmill.handoff.trace import trace
from gristmill.trainer.training.watch import Alarm

ALARMS = pa.schema(
    [
        ("step", pa.int64()),
        ("kind", pa.string()),  # key of [trainer.alarms]
        ("place", pa.string()),  # number of the layer, or name of the domain
        ("value", pa.float64()),
        ("bound", pa.float64()),
        ("documents", pa.list_(pa.string())),  # of the step, for a loss of its domain: the rows of most loss first
    ]
)
NAMED = 3  # documents in the line of the log; all are in the table
log = logging.getLogger(__name__)


def note_alarms(
    run: Path, alarms: Sequence[Alarm], batch_rows: int, lines: Mapping[str, np.ndarray | pa.Array]
) -> list[dict[str, list]]:
    """Log the alarms of a step; their rows for the table.

    Parameters
    ----------
    lines : of consumption.parquet, all of the step
    """
    found = []
    for alarm in alarms:
        documents = documents_of(run, alarm, batch_rows, lines)
        more = f" and {len(documents) - NAMED} more" if len(documents) > NAMED else ""
        log.warning("%s; documents %s%s", alarm, ", ".join(documents[:NAMED]), more)
        found.append({name: [value] for name, value in {**alarm._asdict(), "documents": documents}.items()})
    return found


def documents_of(run: Path, alarm: Alarm, batch_rows: int, lines: Mapping[str, np.ndarray | pa.Array]) -> list[str]:
    """The doc_ids of the rows that the alarm's step is of, those of the rows with the highest loss first."""
    loss = np.asarray(lines["nats"]) / np.maximum(np.asarray(lines["targets"]), 1)
    of_sample = dict(zip(np.asarray(lines["sample"]).tolist(), loss.tolist(), strict=True))
    rows = trace(run, alarm.step - 1, batch_rows)
    if alarm.kind == "domain_loss":
        rows = [row for row in rows if row["domain"] == alarm.place]
    rows.sort(key=lambda row: -of_sample.get(row["sample"], 0.0))
    return list(dict.fromkeys(document["doc_id"] for row in rows for document in row["documents"]))
