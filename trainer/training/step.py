"""One optimizer step: the gradient of all its parts, clipped, and the update of what is not frozen."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from gristmill.trainer.adapt.adapters import is_adapter
from gristmill.trainer.config import TrainConfig
from gristmill.trainer.model.balance import update_biases
from gristmill.trainer.model.decoder import Model
from gristmill.trainer.model.packed import Packed
from gristmill.trainer.training.division import clip, global_norm
from gristmill.trainer.training.gradients import add_gradients
from gristmill.trainer.training.ranks import ALONE, Ranks
from gristmill.trainer.training.timeline import ANY_TIME, Moment, is_frozen


class StepResult(NamedTuple):
    """What a step measured."""

    loss: float  # nats a predicted token, before the update, without balance terms
    each: tuple[Tensor, ...]  # float32[P] of every part of this process, loss of each predicted token
    counts: Tensor  # int64[layers, E], tokens each expert took
    grad_norm: float  # before clipping
    ahead: tuple[float, ...] = ()  # nats a further token, of each head for one

    @property
    def is_finite(self) -> bool:
        """Whether the model was updated."""
        return math.isfinite(self.loss) and math.isfinite(self.grad_norm)


def train_step(
    model: Model,
    optimizer: torch.optim.Optimizer,
    parts: Sequence[Packed],
    config: TrainConfig,
    moment: Moment = ANY_TIME,
    ranks: Ranks = ALONE,
) -> StepResult:
    """Move the model one step along ``parts``; where loss or gradient is not finite, leave it as it is."""
    freeze(model, moment.frozen)
    sums = add_gradients(model, parts, config, moment.stage.context, ranks)
    norm = clip(model, config.max_grad_norm, ranks)
    result = StepResult(sums.loss, sums.each, sums.counts, norm.item(), sums.ahead)
    if result.is_finite:
        optimizer.step()
        _update_biases(model, sums.counts, config, moment)
    optimizer.zero_grad(set_to_none=True)
    return result


def freeze(model: Model, patterns: Sequence[str]) -> None:
    """Let the weights of these names have no gradient, and all others one; beside adapters, these alone."""
    adapted = any(is_adapter(name) for name, _ in model.named_parameters())
    for name, parameter in model.named_parameters():
        held = is_frozen(name, patterns) or (adapted and not is_adapter(name))
        parameter.requires_grad_(not held)


def free_biases(model: Model, patterns: Sequence[str]) -> list[int]:
    """Numbers of the layers, among those with experts, whose selection bias no pattern names."""
    names = [name for name, _ in model.named_buffers() if name.endswith("router.bias")]
    return [layer for layer, name in enumerate(names) if not is_frozen(name, patterns)]


def _update_biases(model: Model, counts: Tensor, config: TrainConfig, moment: Moment) -> None:
    moved, routers = free_biases(model, moment.frozen), model.routers
    update_biases([routers[layer].bias for layer in moved], counts[moved], config.balance)


class Probe(NamedTuple):
    """Whether a model can be trained on: loss of a step, in nats per predicted token, and norm of its gradient."""

    loss: float
    grad_norm: float


def probe(
    model: Model, parts: Sequence[Packed], config: TrainConfig, moment: Moment = ANY_TIME, ranks: Ranks = ALONE
) -> Probe:
    """Look at a step without dropout; nothing is changed, no random number is drawn."""
    was_training = model.training
    model.eval()
    freeze(model, moment.frozen)
    loss = add_gradients(model, parts, config, moment.stage.context, ranks).loss
    norm = global_norm(model, ranks)
    model.zero_grad(set_to_none=True)
    model.train(was_training)
    return Probe(loss, norm.item())
