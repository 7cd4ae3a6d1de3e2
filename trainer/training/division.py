"""What ranks divide among themselves besides the rows of a step: experts, or all weights.

A session is whole where it begins, is saved and is evaluated, and divided between: checkpoints know nothing of ranks,
and a training goes on with another number of them, or in one process.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from gristmill.corpus.errors import TrainError
from gristmill.trainer.config import TrainConfig
from gristmill.trainer.model.decoder import Model
from gristmill.trainer.model.packed import Packed
from gristmill.trainer.training.ranks import ALONE, Ranks
from gristmill.trainer.training.session import Session
from gristmill.trainer.training.spread_experts import collected, spread, spread_weights

SMALLEST_NORM = 1e-6  # that a gradient is divided by, as torch's own clipping has it


def divide(session: Session, ranks: Ranks) -> None:
    """Keep what the config leaves to this rank."""
    if ranks.world > 1 and session.config.spread_experts:
        spread(session, ranks)
    if ranks.world > 1 and session.config.shard_weights:
        from gristmill.trainer.training.sharded import shard  # half a second to import

        shard(session, ranks.world)


def expect_divisible(config: TrainConfig, ranks: Ranks) -> None:
    """Refuse experts that cannot be divided among the ranks.

    Raises
    ------
    TrainError : names the key
    """
    if config.spread_experts and config.model.experts % ranks.world:
        text = f"trainer.model.experts {config.model.experts} cannot be divided among {ranks.world} ranks"
        raise TrainError(f"trainer.spread_experts: {text}")


@contextmanager
def whole(session: Session, ranks: Ranks) -> Iterator[Session]:
    """The session with all weights, for as long as the context lasts; every rank enters it."""
    if spread_weights(session.model):
        with collected(session, ranks):
            yield session
    elif parted(session.model):
        from gristmill.trainer.training.sharded import gathered

        yield gathered(session)
    else:
        yield session


def parted(model: Model) -> list[nn.Parameter]:
    """Weights that this rank has a part of; their gradients need no sum over ranks any more."""
    sharded = [weight for weight in model.parameters() if hasattr(weight, "placements")]
    return sharded or spread_weights(model)


def replicated(model: Model) -> list[nn.Parameter]:
    """All other weights, which each rank has."""
    own = {id(weight) for weight in parted(model)}
    return [weight for weight in model.parameters() if id(weight) not in own]


def as_many(parts: Sequence[Packed], ranks: Ranks) -> list[Packed]:
    """``parts`` of this rank, and empty ones up to the most that a rank has: ranks wait for one another in each."""
    most = max(ranks.gather(len(parts)))
    none = parts[0].tokens[:0]
    empty = Packed(none, none, (), none, none, none, none, parts[0].slices[:, :0], parts[0].epoch[:0])
    return [*parts, *[empty] * (most - len(parts))]


def global_norm(model: Model, ranks: Ranks) -> Tensor:
    """Norm of the gradient, other ranks' parts among it: a scalar, equal on every rank."""
    own = parted(model)
    for weight in own:
        if weight.grad is None and weight.requires_grad:  # no token came: its gradient is 0, and it decays
            weight.grad = torch.zeros_like(weight)
    norm = torch.nn.utils.get_total_norm(_gradients(replicated(model)))
    if not own:
        return norm
    others = torch.nn.utils.get_total_norm(_gradients(own))
    return (norm.square() + ranks.sum(others.square())).sqrt()


def clip(model: Model, longest: float, ranks: Ranks = ALONE) -> Tensor:
    """Cut a gradient that is longer than ``longest`` to it; what its norm was.

    A shorter one is not multiplied by 1: a pass over all gradients.
    """
    norm = global_norm(model, ranks)
    if norm + SMALLEST_NORM > longest:
        for gradient in _gradients(list(model.parameters())):
            gradient.mul_(longest / (norm + SMALLEST_NORM))
    return norm


def _gradients(weights: Sequence[nn.Parameter]) -> list[Tensor]:
    """Of each, the part that is here."""
    found = [weight.grad for weight in weights if weight.grad is not None]
    return [one.to_local() if hasattr(one, "placements") else one for one in found]  # type: ignore[attr-defined]
