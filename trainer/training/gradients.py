"""The gradient of one step, in parts: micro-batches of this process, and the rows of other ranks.

The loss is the mean over the predicted tokens of the whole step, and so is every balance loss over its tokens: parts
weigh by what they hold, and k parts give the gradient of one batch but for rounding. A balance loss that is a function
of the whole step's loads (``Balance.of_step``) costs a second forward pass where there are several parts.

P predicted tokens of a part.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from gristmill.trainer.config import TrainConfig
from gristmill.trainer.model.ahead import ahead_loss, further_targets
from gristmill.trainer.model.balance import BALANCES, balance_terms
from gristmill.trainer.model.decoder import Model
from gristmill.trainer.model.layer_load import Totals, totals_of
from gristmill.trainer.model.loss import cross_entropy
from gristmill.trainer.model.packed import Packed
from gristmill.trainer.model.precision import matmuls
from gristmill.trainer.training.division import as_many, named_replicated, parted, replicated
from gristmill.trainer.training.int8_sums import add_gradients_in_int8
from gristmill.trainer.training.ranks import ALONE, Ranks


class StepSums(NamedTuple):
    """What a step comes to before its update; its gradient stands in the model."""

    loss: float  # nats a predicted token of the whole step, without balance terms
    counts: Tensor  # int64[layers, E], tokens that each expert took in the whole step
    each: tuple[Tensor, ...]  # float32[P] of every part of this process, loss of each predicted token
    ahead: tuple[float, ...]  # nats a further token, of each head for one


class _Sizes(NamedTuple):
    """Tokens of the whole step: all, those predicted, and those that each head for a further token predicts."""

    tokens: int
    targets: int
    further: tuple[int, ...]


class _PartSums(NamedTuple):
    """A part's share of what is lowered, with gradient, and of the figures of the step."""

    lowered: Tensor
    loss: Tensor
    each: Tensor  # float32[P]
    counts: Tensor  # int64[layers, E]
    ahead: Tensor  # float64[heads]


def add_gradients(
    model: Model, parts: Sequence[Packed], config: TrainConfig, context: int = 0, ranks: Ranks = ALONE
) -> StepSums:
    """Add the gradient of a step to the model's; ``parts`` are this process's, ``context`` as in ``Model.forward``."""
    own = len(parts)
    if parted(model):
        parts = as_many(parts, ranks)
    sizes = _sizes(model, parts, config, ranks)
    whole = _totals(model, parts, config, context, ranks, sizes.tokens) if len(parts) * ranks.world > 1 else None
    loss, losses = torch.zeros((), dtype=torch.float64, device=config.device), []
    counts = torch.zeros(len(model.routers), model.shape.experts, dtype=torch.int64, device=config.device)
    ahead = torch.zeros(model.shape.ahead, dtype=torch.float64, device=config.device)
    for part in parts:
        found = _forward(model, part, config, context, sizes, whole)
        found.lowered.backward()
        loss += found.loss
        counts += found.counts
        ahead += found.ahead
        losses.append(found.each)
    if ranks.residuals is None:
        ranks.add_gradients(replicated(model))
    else:
        add_gradients_in_int8(named_replicated(model), ranks.residuals, ranks)
    return StepSums(ranks.sum(loss).item(), ranks.sum(counts), tuple(losses[:own]), tuple(ranks.sum(ahead).tolist()))


def _sizes(model: Model, parts: Sequence[Packed], config: TrainConfig, ranks: Ranks) -> _Sizes:
    each = [[len(part.tokens), len(part.targets), *further_targets(part, model.shape.ahead)] for part in parts]
    tokens, targets, *further = ranks.sum(torch.tensor(each).sum(0).to(config.device)).tolist()
    return _Sizes(tokens, targets, tuple(further))


def _forward(
    model: Model,
    batch: Packed,
    config: TrainConfig,
    context: int,
    sizes: _Sizes,
    whole: tuple[Totals, ...] | None,
) -> _PartSums:
    """Run a part of a step; its share of the step's losses."""
    with matmuls(config.precision, config.device):
        out = model(batch, context, recompute=config.recompute, ahead=True)
        mean, each = cross_entropy(out.hidden.index_select(0, batch.inputs), model.embedding, batch.targets)
        further = ahead_loss(out.ahead, model.embedding, batch, sizes.further)
    mean = mean * (len(batch.targets) / max(sizes.targets, 1))
    lowered = mean + balance_terms(out.routings, batch.positions, config.balance, whole)
    if further:
        lowered = lowered + config.ahead_weight * torch.stack(further).mean()
    counts = torch.stack([routing.counts for routing in out.routings])
    ahead = torch.tensor([one.item() for one in further], dtype=torch.float64, device=config.device)
    return _PartSums(lowered, mean.detach(), each, counts, ahead)


def _totals(
    model: Model, parts: Sequence[Packed], config: TrainConfig, context: int, ranks: Ranks, tokens: int
) -> tuple[Totals, ...]:
    """Loads of the whole step, layer by layer, where a balance loss needs them; else how many tokens it has."""
    sums = torch.zeros(2, len(model.routers), model.shape.experts, dtype=torch.float64, device=config.device)
    if any(weight and BALANCES[name].of_step for name, weight in config.balance.items()):
        before = torch.get_rng_state()  # the second pass must drop what the first one dropped
        with torch.no_grad(), matmuls(config.precision, config.device):
            for part in parts:
                for layer, routing in enumerate(model(part, context).routings):
                    here = totals_of(routing)
                    sums[0, layer] += here.counts
                    sums[1, layer] += here.gates
        torch.set_rng_state(before)
        sums = ranks.sum(sums)
    return tuple(Totals(counts.long(), gates.float(), tokens) for counts, gates in zip(*sums, strict=True))
