"""The end of a training: held-out rows once more, and all that stands in its folder beside the checkpoints."""

import math
from dataclasses import asdict, replace

from gristmill.corpus.files import read_json, write_json
from gristmill.corpus.typed_json import from_json
from gristmill.trainer.heldout_summary import Heldout
from gristmill.trainer.training import checkpoint
from gristmill.trainer.training.division import whole
from gristmill.trainer.training.evaluate import evaluate
from gristmill.trainer.training.evaluation_tables import write_evaluations
from gristmill.trainer.training.lineage import write_lineage
from gristmill.trainer.training.opened import Training
from gristmill.trainer.training.session import Session, save_merged
from gristmill.trainer.training.settled_tables import settled_summary, unsettled
from gristmill.trainer.training.summary import summarise, timing
from gristmill.trainer.training_summary import Settled, TrainSummary


def finish(training: Training) -> TrainSummary:
    """Evaluate on the held-out rows; write tables, summary and timing. One rank does, and all have the summary.

    Raises
    ------
    TrainError : the held-out loss is not finite
    """
    training.session.unigrams = training.ranks.sum(training.session.unigrams)
    with whole(training.session, training.ranks) as session:
        if training.ranks.is_first:
            spread = checkpoint.spread_evenly(session.config.keep, training.steps)
            checkpoint.drop_surplus(training.out / "checkpoints", spread)  # a crash behind the last may have left more
            after = _evaluated(training, session)
            _write(training, session, after, _settled(training, session, after))
    training.ranks.wait()
    return from_json(TrainSummary, read_json(training.out / "summary.json"), "summary.json")


def _evaluated(training: Training, session: Session) -> Heldout:
    after = evaluate(session.model, training.heldout, session.config, session.unigrams)
    if after.loss is not None and not math.isfinite(after.loss):
        raise training.diverged(f"the held-out loss is {after.loss} behind step {session.step}")
    return after


def _settled(training: Training, session: Session, after: Heldout) -> Settled | None:
    """What settling did; held-out rows are measured without it for that. None where nothing was settled."""
    biases = training.tables.settled.read()
    if not biases.num_rows:
        return None
    with unsettled(session.model, biases):
        before = evaluate(session.model, training.heldout, session.config, session.unigrams)
    return settled_summary(biases, training.tables.settled_rows.read(), before, after)


def _write(training: Training, session: Session, after: Heldout, settled: Settled | None) -> None:
    out, metrics = training.out, training.tables.join()
    before = {0: session.heldout_before} if session.heldout_before else {}
    write_evaluations(out, before | {session.step: after})
    made = tuple(change for change in training.changes if change.step < session.step)
    summary = replace(summarise(session, metrics, training.plan.names, after, made), settled=settled)
    write_json(out / "summary.json", asdict(summary))
    write_lineage(out, session.config)
    if session.config.lora or session.config.quantise:
        save_merged(out, session)
    speed = training.matmul_speed * training.ranks.world
    write_json(out / "timing.json", asdict(timing(metrics, speed)))
