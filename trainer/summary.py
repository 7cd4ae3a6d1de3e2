"""What a training did, from its tables: a pure function of plan, shards and config (speed stands in timing.json)."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gristmill.trainer.metrics import LOAD_FIGURES, last_steps
from gristmill.trainer.model import count_parameters
from gristmill.trainer.session import Session


def summarise(session: Session, metrics: pa.Table, domains: tuple[str, ...], after: dict[str, Any]) -> dict[str, Any]:
    """The content of summary.json.

    Losses are nats a predicted token. ``loss.last`` and ``load`` are means over the last tenth of the steps (at least
    ten). ``heldout_unigram`` is the cross entropy of the held-out tokens under the add-one smoothed counts of the
    tokens trained on: the level of a model without context.
    """
    parameters, active = count_parameters(session.model)
    before = session.heldout_before or {}
    last = last_steps(metrics, ["loss", *(f"load_{name}" for name in LOAD_FIGURES)])
    return {
        "steps": session.step,
        "samples": session.cursor,
        "tokens": _total(metrics["tokens"]),
        "tokens_by_domain": {name: _total(metrics[f"tokens/{name}"]) for name in domains},
        "loss": {
            "first": metrics["loss"][0].as_py(),
            "last": last["loss"],
            "heldout_before": before.get("loss"),
            "heldout_after": after["loss"],
            "heldout_unigram": after["unigram"],
        },
        "loss_by_domain": {
            name: {"before": before["domains"][name]["loss"], "after": value["loss"], "unigram": value["unigram"]}
            for name, value in after["domains"].items()
        },
        "load": {name: last[f"load_{name}"] for name in LOAD_FIGURES},
        "heldout_load": after["load"],
        "parameters": parameters,
        "active_parameters": active,
        "config": session.config.identity(),
    }


def timing(metrics: pa.Table) -> dict[str, float]:
    """The content of timing.json: seconds spent in steps, resumed parts included, and the mean speed."""
    seconds = float(pc.sum(metrics["seconds"]).as_py() or 0.0)
    return {"seconds": seconds, "tokens_per_second": _total(metrics["tokens"]) / max(seconds, 1e-9)}


def _total(column: pa.ChunkedArray) -> int:
    return int(pc.sum(column).as_py() or 0)
