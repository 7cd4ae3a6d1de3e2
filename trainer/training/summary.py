"""What a training did, from its tables."""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from gristmill.trainer.heldout_summary import DomainLoss, Heldout, Load
from gristmill.trainer.model.decoder import count_parameters
from gristmill.trainer.training.metrics import LOAD_FIGURES, last_steps
from gristmill.trainer.training.session import Session
from gristmill.trainer.training_summary import Change, DomainChange, Losses, Timing, TrainSummary


def summarise(
    session: Session, metrics: pa.Table, domains: tuple[str, ...], after: Heldout, changes: tuple[Change, ...]
) -> TrainSummary:
    """The content of summary.json."""
    counted = count_parameters(session.model)
    last = last_steps(metrics, ["loss", *(name for name in metrics.column_names if name.startswith("load_"))])
    return TrainSummary(
        steps=session.step,
        samples=session.cursor,
        tokens=_total(metrics["tokens"]),
        tokens_by_domain={name: _total(metrics[f"tokens/{name}"]) for name in domains},
        loss=_losses(metrics["loss"][0].as_py(), last["loss"], session.heldout_before, after),
        loss_by_domain=_changes(session.heldout_before, after),
        load=_load(last),
        load_by_layer=tuple(_load(last, f"/{layer}") for layer in range(session.config.model.moe_layers)),
        heldout_load=after.load,
        heldout_load_by_layer=after.load_by_layer,
        changes=changes,
        parameters=counted.total,
        active_parameters=counted.active,
        layer_shared_parameters=counted.across_layers,
        shared_expert_parameters=counted.shared_experts,
        config=session.config.identity(),
    )


def _load(means: Mapping[str, float], layer: str = "") -> Load:
    return Load(*(means[f"load_{name}{layer}"] for name in LOAD_FIGURES))


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
    return {name: _change(then[name], now) for name, now in after.domains.items()}


def _change(then: DomainLoss, now: DomainLoss) -> DomainChange:
    return DomainChange(
        before=then.loss,
        after=now.loss,
        unigram=now.unigram,
        documents=now.documents,
        bytes=now.bytes,
        bits_per_byte_before=then.bits_per_byte,
        bits_per_byte=now.bits_per_byte,
        standard_error=now.standard_error,
        busiest_share=tuple(max(layer) / max(sum(layer), 1) for layer in now.experts),
    )


def timing(metrics: pa.Table, matmul_speed: float) -> Timing:
    """The content of timing.json; ``matmul_speed`` in operations a second, of all ranks together."""
    seconds = float(pc.sum(metrics["seconds"]).as_py() or 0.0)
    speed = float(pc.sum(metrics["flops"]).as_py() or 0.0) / max(seconds, 1e-9)
    return Timing(
        seconds=seconds,
        tokens_per_second=_total(metrics["tokens"]) / max(seconds, 1e-9),
        flops_per_second=speed,
        matmul_flops_per_second=matmul_speed,
        mfu=speed / matmul_speed,
    )


def _total(column: pa.ChunkedArray) -> int:
    return int(pc.sum(column).as_py() or 0)
