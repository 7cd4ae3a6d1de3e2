"""Where a cache keeps which token: in turn, as many as attention sees; means of blocks that left it in front of them.

N tokens of a pass. Without a window the ring is as long as the longest sequence, and never comes round.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from gristmill.trainer.model.compressed_memory import added_scores, left_blocks
from gristmill.trainer.model.shape import Shape


class Ring(NamedTuple):
    """Slots of a cache: ``blocks`` for means, then those of the tokens."""

    tokens: int
    window: int = 0
    block: int = 0  # tokens that a mean is of; 0 = there are none
    blocks: int = 0

    @property
    def room(self) -> int:
        """Slots in all."""
        return self.blocks + self.tokens

    def slot(self, position: Tensor) -> Tensor:
        """Of the tokens at ``position``; integers of the same shape."""
        return self.blocks + position % self.tokens

    def seen(self, position: Tensor) -> tuple[int, Tensor | None]:
        """Slots that the tokens at ``position int64[N]`` can see, from the first on, and which of them each sees.

        The latter bool, or what is added to a score, [N, slots]; None = all.
        """
        if self.block:
            return self.room, self._seen_of_memory(position[:, None])
        filled = min(int(position.max()) + 1, self.tokens)
        if int(position.min()) + 1 >= filled:  # as many before each of them, or a ring that is full
            return filled, None
        return filled, torch.arange(filled, device=position.device) <= position[:, None]

    def _seen_of_memory(self, position: Tensor) -> Tensor:
        left = left_blocks(position, self.window, self.block)
        slots = torch.arange(self.room, device=position.device)
        held = position - (position - slots[: self.tokens]) % self.tokens  # which token stands in a slot; < 0 = none
        like = torch.zeros((), device=position.device)
        of_blocks = added_scores(slots[: self.blocks] < left, like, self.block)
        return torch.cat((of_blocks, added_scores(held >= left * self.block, like)), 1)


def ring_of(shape: Shape, longest: int) -> Ring:
    """The ring of sequences that grow to ``longest`` tokens.

    >>> ring_of(Shape(window=8, memory_block=4), 40), ring_of(Shape(window=8, memory_block=4), 11).tokens
    (Ring(tokens=11, window=8, block=4, blocks=10), 11)
    """
    window, block = shape.window, shape.memory_block
    tokens = window + max(block - 1, 0) if window else longest
    if block and tokens < longest:
        return Ring(tokens, window, block, longest // block)
    return Ring(min(tokens, longest))
