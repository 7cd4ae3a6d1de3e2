"""The processes that train one model together, each on its rows of every step: sums over all of them.

One process needs no process group, and nothing here costs it anything. Each sum is over ranks in their order, so that
whole numbers are exact and the rest is equal on every rank.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor, distributed

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Ranks:
    """The number of this process, and how many there are."""

    rank: int = 0
    world: int = 1
    residuals: dict[str, Tensor] | None = None  # gradients are sent in 8 bits: what this rank has not sent yet

    @property
    def is_first(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0

    def sum(self, value: Tensor) -> Tensor:
        """The sum over ranks; a number of one kind and shape on each."""
        if self.world > 1:
            value = value.clone()
            distributed.all_reduce(value)
        return value

    def largest(self, value: Tensor) -> Tensor:
        """The largest over ranks, number by number."""
        value = value.clone()
        distributed.all_reduce(value, distributed.ReduceOp.MAX)
        return value

    def each(self, value: Tensor) -> Tensor:
        """What every rank has, in their order: [W, ...] of tensors of one kind and shape."""
        found = [torch.empty_like(value) for _ in range(self.world)]
        distributed.all_gather(found, value.contiguous())
        return torch.stack(found)

    def add_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Give every parameter the sum of its gradients; a rank without rows adds nothing."""
        if self.world == 1:
            return
        for parameter in parameters:
            if parameter.requires_grad:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                distributed.all_reduce(parameter.grad)

    def gather(self, item: Item) -> Sequence[Item]:
        """What every rank has, in their order."""
        if self.world == 1:
            return [item]
        found: list[Item | None] = [None] * self.world
        distributed.all_gather_object(found, item)
        return found  # type: ignore[return-value]

    def first_says(self, word: bool = False) -> bool:
        """``word`` of the first rank, on all of them; they wait for it."""
        if self.world == 1:
            return word
        sent = torch.tensor(int(word))
        distributed.broadcast(sent, 0)
        return bool(sent)

    def wait(self) -> None:
        """Until all are here."""
        if self.world > 1:
            distributed.barrier()


ALONE = Ranks()
WAIT = timedelta(hours=6)  # for a rank: the first one computes the held-out loss and the card meanwhile


def current() -> Ranks:
    """The ranks of the process group that the caller has begun; this process alone where there is none."""
    if distributed.is_available() and distributed.is_initialized():
        return Ranks(distributed.get_rank(), distributed.get_world_size())
    return ALONE


@contextmanager
def begun_by_torchrun() -> Iterator[Ranks]:
    """The process group that RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT describe, for the length of the block.

    It is gloo's, whose sums are those of a CPU.
    """
    distributed.init_process_group("gloo", timeout=WAIT)
    try:
        yield current()
    finally:
        distributed.destroy_process_group()
