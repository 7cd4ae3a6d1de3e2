"""Experts spread over ranks: each has a part of their weights and of what the optimizer keeps of them.

A session is whole where it begins, is saved and is evaluated, and divided between: checkpoints know nothing of ranks,
and a training goes on with another number of them, or in one process.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, distributed, nn

from gristmill.corpus.errors import TrainError
from gristmill.trainer.config import TrainConfig
from gristmill.trainer.model.decoder import Model
from gristmill.trainer.model.packed import Packed
from gristmill.trainer.training.ranks import Ranks
from gristmill.trainer.training.session import Session


def are_spread(config: TrainConfig, ranks: Ranks) -> bool:
    """Whether a training spreads its experts.

    Raises
    ------
    TrainError : they cannot be divided among the ranks
    """
    if config.spread_experts and config.model.experts % ranks.world:
        text = f"trainer.model.experts {config.model.experts} cannot be divided among {ranks.world} ranks"
        raise TrainError(f"trainer.spread_experts: {text}")
    return config.spread_experts and ranks.world > 1


def parted(model: Model) -> list[nn.Parameter]:
    """Weights that this rank has a part of, whose gradient is of all ranks' tokens already."""
    experts = [block.experts for block in model.layers if block.experts is not None]
    return [weight for one in experts if one.spread for weight in (one.gate_up, one.down)]


def replicated(model: Model) -> list[nn.Parameter]:
    """All other weights, which each rank has."""
    own = {id(weight) for weight in parted(model)}
    return [weight for weight in model.parameters() if id(weight) not in own]


def as_many(parts: Sequence[Packed], ranks: Ranks) -> list[Packed]:
    """``parts`` of this rank, and empty ones up to the most that a rank has: exchanges wait for every rank."""
    most = max(ranks.gather(len(parts)))
    none = parts[0].tokens[:0]
    empty = Packed(none, none, (), none, none, none, none, parts[0].slices[:, :0], parts[0].epoch[:0])
    return [*parts, *[empty] * (most - len(parts))]


def divide(session: Session, ranks: Ranks) -> None:
    """Keep this rank's experts alone."""
    _mark(session.model, spread=True)
    _change(session, lambda tensor: tensor.chunk(ranks.world)[ranks.rank].clone())


@contextmanager
def whole(session: Session, ranks: Ranks) -> Iterator[None]:
    """All experts on every rank, for as long as the context lasts; every rank enters it."""
    if not parted(session.model):
        yield
        return
    _change(session, lambda tensor: _gathered(tensor, ranks))
    _mark(session.model, spread=False)
    yield
    divide(session, ranks)


def global_norm(model: Model, ranks: Ranks) -> Tensor:
    """Norm of the gradient, those of other ranks' experts among it: a scalar, equal on every rank."""
    own = parted(model)
    for weight in own:
        if weight.grad is None and weight.requires_grad:  # no token came: its gradient is 0, and it decays
            weight.grad = torch.zeros_like(weight)
    norm = torch.nn.utils.get_total_norm(_gradients(replicated(model)))
    if not own:
        return norm
    others = torch.nn.utils.get_total_norm(_gradients(own))
    return (norm.square() + ranks.sum(others.square())).sqrt()


def _gradients(weights: Sequence[nn.Parameter]) -> list[Tensor]:
    return [weight.grad for weight in weights if weight.grad is not None]


def _mark(model: Model, *, spread: bool) -> None:
    for block in model.layers:
        if block.experts is not None:
            block.experts.spread = spread


def _change(session: Session, change: Callable[[Tensor], Tensor]) -> None:
    for weight in parted(session.model):
        whole_shape = weight.shape
        weight.data = change(weight.data)
        state = session.optimizer.state.get(weight, {})
        for key, value in state.items():
            state[key] = change(value) if value.shape == whole_shape else value


def _gathered(tensor: Tensor, ranks: Ranks) -> Tensor:
    parts = [torch.empty_like(tensor) for _ in range(ranks.world)]
    distributed.all_gather(parts, tensor.contiguous())
    return torch.cat(parts)
