"""One optimizer step: forward, loss, balance, backward, update."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from gristmill.trainer.balance import BALANCES, z_loss
from gristmill.trainer.config import TrainConfig
from gristmill.trainer.consumption import RowFigures, row_figures
from gristmill.trainer.data import Packed
from gristmill.trainer.loss import cross_entropy
from gristmill.trainer.model import Forward, Model
from gristmill.trainer.optim import MAX_GRAD_NORM
from gristmill.trainer.precision import matmuls


class StepResult(NamedTuple):
    """What a step measured."""

    loss: float  # nats a predicted token, before the update, without balance terms
    each: Tensor  # float32[P], loss of every predicted token
    counts: Tensor  # int64[layers, E], tokens each expert took
    grad_norm: float  # before clipping
    rows: RowFigures  # of every row that the model was given

    @property
    def is_finite(self) -> bool:
        """Whether the model was updated."""
        return math.isfinite(self.loss) and math.isfinite(self.grad_norm)


def train_step(model: Model, optimizer: torch.optim.Optimizer, batch: Packed, config: TrainConfig) -> StepResult:
    """Move the model one step along ``batch``; where loss or gradient is not finite, leave it as it is."""
    with matmuls(config.precision, config.device):
        out = model(batch)
        loss, each = cross_entropy(out.hidden[batch.inputs], model.embedding, batch.targets)
    (loss + _balance_terms(out, config)).backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_GRAD_NORM)
    counts = torch.stack([routing.counts for routing in out.routings])
    result = StepResult(loss.item(), each, counts, norm.item(), row_figures(batch, each))
    if result.is_finite:
        optimizer.step()
        if update := BALANCES[config.balance].update:
            for block, used in zip(model.layers, counts, strict=True):
                update(block.router.bias, used, config.balance_rate)
    optimizer.zero_grad(set_to_none=True)
    return result


@torch.no_grad()
def loss_of(model: Model, batch: Packed, config: TrainConfig) -> float:
    """Loss of a batch without dropout, in nats per predicted token; nothing is changed, no random number is drawn."""
    was_training = model.training
    model.eval()
    with matmuls(config.precision, config.device):
        loss, _ = cross_entropy(model(batch).hidden[batch.inputs], model.embedding, batch.targets)
    model.train(was_training)
    return loss.item()


def _balance_terms(out: Forward, config: TrainConfig) -> Tensor:
    """Weighted balance losses, the mean over layers."""
    total, term = out.hidden.new_zeros(()), BALANCES[config.balance].loss
    for routing in out.routings:
        if term:
            total = total + config.balance_rate * term(routing)
        if config.z_loss:
            total = total + config.z_loss * z_loss(routing.logits)
    return total / len(out.routings)
