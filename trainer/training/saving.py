"""What is saved of a training on its way: a checkpoint that it can go on from, behind the tables of its steps."""

import math
from dataclasses import replace

from gristmill.corpus.errors import TrainError
from gristmill.handoff.loader import Batch
from gristmill.trainer.training import checkpoint
from gristmill.trainer.training.division import whole
from gristmill.trainer.training.int8_sums import stored
from gristmill.trainer.training.opened import Training
from gristmill.trainer.training.session import Session, capture
from gristmill.trainer.training.step import probe


def save(training: Training, following: Batch) -> None:
    """Save, if all is finite: weights, and loss and gradient of the step that follows. No rate mends a model else.

    Every rank enters it; one writes, tables first: what a crash leaves beyond the last checkpoint is forgotten at the
    next start.

    Raises
    ------
    TrainError : something is not finite; nothing is written then
    """
    session, ranks = training.session, training.ranks
    _expect_finite_step(training, following)
    unigrams, residuals = ranks.sum(session.unigrams), stored(ranks.gather(session.residuals))
    with whole(session, ranks) as all_weights:
        if ranks.is_first:
            _write(training, replace(all_weights, unigrams=unigrams, residuals=residuals))
    ranks.wait()


def _expect_finite_step(training: Training, following: Batch) -> None:
    """Refuse a model whose loss or gradient of the next step is not finite."""
    config, moment = training.now
    loss, norm = probe(training.session.model, training.parts(following), config, moment, training.ranks)
    if not math.isfinite(loss) or not math.isfinite(norm):
        at = f"behind step {training.session.step}"
        raise training.diverged(f"the loss is {loss:g} and the norm of the gradient {norm:g} {at}")


def _write(training: Training, session: Session) -> None:
    """Tables and checkpoint, by one rank."""
    training.note_facts(session)
    training.tables.seal(session.step)
    state = capture(session, training.plan.digest, training.changes)
    spread = checkpoint.spread_evenly(session.config.keep, training.steps)
    try:
        checkpoint.save(training.out / "checkpoints", state, spread)
    except TrainError as error:  # a tensor that is not finite
        raise training.diverged(str(error)) from None
