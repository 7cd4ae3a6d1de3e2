"""What the trainer logged of samples: each row's own loss."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

_COLUMNS = ["sample", "nats", "targets"]


def losses_of(train: Path, first: int, stop: int) -> dict[int, dict[str, Any]]:
    """Nats and targets of samples ``first`` to ``stop``, by sample; those alone that have been trained on.

    Parameters
    ----------
    train : the train folder of a run. While training goes on, what its checkpoints have sealed is read
    """
    whole = train / "consumption.parquet"
    found: dict[int, dict[str, Any]] = {}
    for path in [whole] if whole.exists() else sorted(train.glob("log/consumption-*.parquet")):
        if set(_COLUMNS) <= set(pq.read_schema(path).names):  # a run of version 0.1.0 logged no losses
            chosen = pq.read_table(path, columns=_COLUMNS, filters=[("sample", ">=", first), ("sample", "<", stop)])
            for sample, nats, targets in zip(*(column.to_pylist() for column in chosen.columns), strict=True):
                found[sample] = {"nats": nats, "targets": targets, "loss": nats / targets if targets else None}
    return found
