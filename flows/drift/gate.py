"""The gate: before a model is trained and before a run becomes the latest of its recipe, its drift is measured."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from gristmill.corpus.errors import DamagedFileError, PausedError
from gristmill.corpus.files import content_key
from gristmill.corpus.rundir import RunDir
from gristmill.corpus.typed_json import to_json
from gristmill.flows.drift.changes_between import Compared, Measured, compare
from gristmill.flows.drift.good_nights import (
    BINS_FILE,
    DRIFT_FILE,
    NightRecord,
    freeze_bins,
    frozen_bins,
    good_nights,
    mended_bins,
    read_record,
    write_record,
)
from gristmill.flows.drift.night_figures import night_figures
from gristmill.flows.inspect.runs import note_latest
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.run_state import now, read_approval, write_state
from gristmill.flows.pipeline.stages import Instance

T = TypeVar("T")

TRAIN = "train"
SHOWN = 5  # measures in the reason of a pause; RUN/drift.json has all


@dataclass(frozen=True, slots=True)
class Gate:
    """What the gate has found."""

    record: NightRecord | None  # None: the recipe has no [drift]
    approved: bool

    @property
    def paused(self) -> bool:
        """True where a person has to look first."""
        return self.record is not None and bool(self.record.beyond) and not self.approved

    @property
    def reason(self) -> str:
        """What is beyond its bound, for people."""
        beyond = self.record.beyond if self.record else ()
        more = f"; and {len(beyond) - SHOWN} more" if len(beyond) > SHOWN else ""
        return "; ".join(measure_text(one) for one in beyond[:SHOWN]) + more


def measure_text(one: Measured) -> str:
    """A measure with its bound.

    >>> measure_text(Measured("tokens", "web", "", 100.0, 20.0, 4.95, 1.5))
    'tokens of web: 4.95 beyond 1.5 (100 before, 20 now)'
    """
    name = f"{one.kind} {one.signal}".strip()
    sides = "" if one.before is None or one.now is None else f" ({one.before:.4g} before, {one.now:.4g} now)"
    return f"{name} of {one.of}: {one.value:.3g} beyond {one.bound:g}{sides}"


def gate_of(context: RunContext) -> Gate:
    """Measure the drift of a run that has come as far as tokens, and keep it; once for one content."""
    drift, run = context.recipe.drift, context.run
    if drift is None:
        return Gate(None, approved=False)
    nights = good_nights(run.path, drift.nights)
    bins = _healed(context, BINS_FILE, lambda: frozen_bins(run.path.parent), lambda: mended_bins(run.path))
    settings = drift.model_dump(mode="json")
    keys = [run.manifest(name).key for name in ("decide", "tokens")]
    of = content_key([*keys, list(nights), settings, to_json(bins)])
    record = _healed(context, DRIFT_FILE, lambda: read_record(run.path), lambda: None)
    if record is None or record.of != of:
        figures = night_figures(context, bins)
        compared: Compared = compare(figures, list(nights.values()), drift.bounds)
        record = NightRecord(of, now(), tuple(nights), figures, compared.measured, compared.left_out)
        write_record(run.path, record)
    return Gate(record, read_approval(run) is not None)


def _healed(context: RunContext, name: str, read: Callable[[], T], anew: Callable[[], T]) -> T:
    """What a file says; where it is damaged, a run says so and makes it anew. Who runs nothing gets the error."""
    try:
        return read()
    except DamagedFileError as error:
        if context.healing is None:
            raise
        context.healing.note(name, str(error))
        return anew()


def gated(context: RunContext, stages: Iterable[Instance]) -> Iterator[Instance]:
    """The stages in order; ``train`` is left out while the gate is shut."""
    for stage in stages:
        if stage.name != TRAIN or not gate_of(context).paused:
            yield stage


def end_run(context: RunContext, until: str | None) -> dict[str, Any]:
    """What a run has come to, once its stages are done: verified and the latest of its recipe, paused, or in part.

    Returns
    -------
    of a whole run state, verified and failed, see ``note_latest``, and drift where it was measured
    """
    if until not in (None, context.stages[-1].name):
        return {}
    gate = gate_of(context)
    if gate.paused:  # verify asks whether training waits
        write_state(context.run, "paused", gate.reason)
    noted = note_latest(context, moves=not gate.paused)
    return {**noted, "state": end_state(context.run, noted, gate.reason if gate.paused else ""), **_drift(gate)}


def end_state(run: RunDir, noted: Mapping[str, Any], paused: str = "") -> str:
    """Note whether a whole run is failed, paused or complete; of a complete one the bins hold from now on."""
    if not noted["verified"]:
        return write_state(run, "failed", f"verify: {noted['failed'][0]}").state
    if paused:
        return write_state(run, "paused", paused).state
    freeze_bins(run.path)
    return write_state(run, "complete").state


def _drift(gate: Gate) -> dict[str, Any]:
    if gate.record is None:
        return {}
    beyond = [to_json(one) for one in gate.record.beyond]
    shown = {"nights": list(gate.record.nights), "beyond": beyond, "left_out": list(gate.record.left_out)}
    return {"drift": shown | {"measured": len(gate.record.measured), "approved": gate.approved}}


def refuse_paused(context: RunContext) -> None:
    """Raise PausedError for a run whose model is not to be trained before a person has opened the gate."""
    gate, run = gate_of(context), context.run
    if gate.paused:
        write_state(run, "paused", gate.reason)
        raise PausedError(
            f"{run.path} is paused: {gate.reason}. Look at {run.path / 'drift.json'}, then open the gate with "
            "`gristmill approve RUN --note WHY`, or set [drift.bounds] wider and run the recipe again"
        )
