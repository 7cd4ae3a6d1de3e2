"""One step of the plan: its rows through ``trainer.training.step``, its figures and what it consumed noted."""

import time
from collections.abc import Sequence
from dataclasses import replace

import torch

from gristmill.corpus.seeds import derive_seed
from gristmill.handoff.loader import Batch
from gristmill.trainer.model.packed import Packed
from gristmill.trainer.training.consumption import consumed_rows, figures_of_parts, in_order_of_samples
from gristmill.trainer.training.flops import step_flops
from gristmill.trainer.training.metrics import StepFigures, domain_figures, domain_sums, layer_figures, load_figures
from gristmill.trainer.training.opened import Training
from gristmill.trainer.training.optim import set_learning_rate
from gristmill.trainer.training.step import StepResult, train_step
from gristmill.trainer.training.timeline import Moment


def advance(training: Training, batch: Batch) -> StepFigures:
    """Take the step of ``batch`` and note it; its figures.

    Raises
    ------
    TrainError : loss or gradient is not finite; the model is left as it was
    """
    began, session = time.perf_counter(), training.session
    config, moment = training.now
    parts, rate = training.parts(batch), moment.learning_rate(config)
    result = _updated(training, parts, rate)
    for part in parts:
        session.unigrams += torch.bincount(part.targets, minlength=config.vocab_size).cpu()
    session.step, session.cursor = session.step + 1, batch.cursor
    figures = _figures(training, parts, result, rate, _flops(training, parts, result, moment), began)
    lines = consumed_rows(figures.step, training.ranks.rank, batch, figures_of_parts(parts, result.each))
    of_ranks = training.ranks.gather(lines)
    if training.ranks.is_first:
        training.tables.note(figures, in_order_of_samples(of_ranks))
    return figures


def _updated(training: Training, parts: Sequence[Packed], rate: float) -> StepResult:
    """What the step measured, once it has moved the weights."""
    session, ranks = training.session, training.ranks
    config, moment = training.now
    set_learning_rate(session.optimizer, rate)
    if ranks.world > 1:  # each rank drops its own, whichever ranks there were before
        torch.manual_seed(derive_seed(config.seed, f"step {session.step} rank {ranks.rank}"))
    ranks = replace(ranks, residuals=session.residuals) if config.int8_gradients else ranks
    result = train_step(session.model, session.optimizer, parts, config, moment, ranks)
    if not result.is_finite:
        at = f"at step {session.step + 1}, and the norm of its gradient {result.grad_norm:g}"
        raise training.diverged(f"the loss is {result.loss:g} {at}")
    return result


def _figures(
    training: Training, parts: Sequence[Packed], result: StepResult, rate: float, flops: float, began: float
) -> StepFigures:
    """Figures of the step just done, those of all ranks added up."""
    names = training.plan.names
    sums = training.ranks.sum(domain_sums(len(names), parts, result.each, training.spelled))
    return StepFigures(
        step=training.session.step,
        loss=result.loss,
        learning_rate=rate,
        grad_norm=result.grad_norm,
        tokens=int(sums[0].sum()),
        flops=flops,
        ahead=result.ahead,
        load=load_figures(result.counts),
        layers=layer_figures(result.counts),
        choices=tuple(map(tuple, result.counts.tolist())),
        domains=domain_figures(names, sums),
        seconds=time.perf_counter() - began,
    )


def _flops(training: Training, parts: Sequence[Packed], result: StepResult, moment: Moment) -> float:
    """Operations of a step on all ranks; the choices of experts are those of all ranks already."""
    config, choices = training.session.config, int(result.counts.sum()) if training.ranks.is_first else 0
    own = step_flops(config.model, parts, choices, config.vocab_size, moment.stage.context)
    return training.ranks.sum(torch.tensor(own, dtype=torch.float64, device=config.device)).item()
