"""Experts spread over ranks: each has a part of their weights and of what the optimizer keeps of them.

Rows reach them by ``trainer.model.exchange``; when a session is whole and when divided, ``trainer.training.division``
says.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, distributed, nn

from gristmill.trainer.model.decoder import Model
from gristmill.trainer.training.ranks import Ranks
from gristmill.trainer.training.session import Session


def spread_weights(model: Model) -> list[nn.Parameter]:
    """Weights of experts of which this rank has a part; their gradient is of all ranks' tokens."""
    experts = [block.experts for block in model.layers if block.experts is not None]
    return [weight for one in experts if one.spread for weight in (one.gate_up, one.down)]


def spread(session: Session, ranks: Ranks) -> None:
    """Keep this rank's experts alone."""
    _mark(session.model, spread=True)
    _change(session, lambda tensor: tensor.chunk(ranks.world)[ranks.rank].clone())


@contextmanager
def collected(session: Session, ranks: Ranks) -> Iterator[None]:
    """All experts on every rank, for as long as the context lasts; every rank enters it."""
    _change(session, lambda tensor: _gathered(tensor, ranks))
    _mark(session.model, spread=False)
    yield
    spread(session, ranks)


def _mark(model: Model, *, spread: bool) -> None:
    for block in model.layers:
        if block.experts is not None:
            block.experts.spread = spread


def _change(session: Session, change: Callable[[Tensor], Tensor]) -> None:
    for weight in spread_weights(session.model):
        whole_shape = weight.shape
        weight.data = change(weight.data)
        state = session.optimizer.state.get(weight, {})
        for key, value in state.items():
            state[key] = change(value) if value.shape == whole_shape else value


def _gathered(tensor: Tensor, ranks: Ranks) -> Tensor:
    parts = [torch.empty_like(tensor) for _ in range(ranks.world)]
    distributed.all_gather(parts, tensor.contiguous())
    return torch.cat(parts)
