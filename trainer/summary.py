"""What a training did, from its tables."""

import pyarrow as pa
import pyarrow.compute as pc

from gristmill.trainer.metrics import LOAD_FIGURES, last_steps
from gristmill.trainer.model import count_parameters
from gristmill.trainer.session import Session
from gristmill.trainer.stage import DomainChange, Heldout, Load, Losses, Timing, TrainSummary


def summarise(session: Session, metrics: pa.Table, domains: tuple[str, ...], after: Heldout) -> TrainSummary:
    """The content of summary.json."""
    parameters, active = count_parameters(session.model)
    last = last_steps(metrics, ["loss", *(f"load_{name}" for name in LOAD_FIGURES)])
    return TrainSummary(
        steps=session.step,
        samples=session.cursor,
        tokens=_total(metrics["tokens"]),
        tokens_by_domain={name: _total(metrics[f"tokens/{name}"]) for name in domains},
        loss=_losses(metrics["loss"][0].as_py(), last["loss"], session.heldout_before, after),
        loss_by_domain=_changes(session.heldout_before, after),
        load=Load(*(last[f"load_{name}"] for name in LOAD_FIGURES)),
        heldout_load=after.load,
        parameters=parameters,
        active_parameters=active,
        config=session.config.identity(),
    )


def _losses(first: float, last: float, before: Heldout | None, after: Heldout) -> Losses:
    return Losses(
        first=first,
        last=last,
        heldout_before=before.loss if before else None,
        heldout_after=after.loss,
        heldout_unigram=after.unigram,
    )


def _changes(before: Heldout | None, after: Heldout) -> dict[str, DomainChange]:
    then = before.domains if before else {}
    return {name: DomainChange(then[name].loss, now.loss, now.unigram) for name, now in after.domains.items()}


def timing(metrics: pa.Table) -> Timing:
    """The content of timing.json."""
    seconds = float(pc.sum(metrics["seconds"]).as_py() or 0.0)
    return Timing(seconds, _total(metrics["tokens"]) / max(seconds, 1e-9))


def _total(column: pa.ChunkedArray) -> int:
    return int(pc.sum(column).as_py() or 0)
