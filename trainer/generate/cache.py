"""Keys and values of the tokens so far: a new token costs one pass of its own. A ring where attention has a window.

B sequences, R slots of each, N tokens of a pass, H heads, K heads of keys and values, C head width. Which slot
a token has stands in ``trainer.generate.ring``. Keys are kept turned by their positions, so that their order does not
matter.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from gristmill.trainer.generate.ring import Ring, ring_of
from gristmill.trainer.model.shape import Shape


class Place(NamedTuple):
    """Which tokens a pass brings."""

    sequence: Tensor  # int64[N]
    position: Tensor  # int64[N], from 0 in each sequence
    first: bool  # whether nothing came before: the pass then sees in its batch all that there is


class Sight(NamedTuple):
    """Where the tokens of a pass behind the first go, and what they see; of all layers alike."""

    slot: Tensor  # int64[N]
    kept: Tensor | slice  # the sequences' parts of a cache, which hold what the tokens see
    filled: int  # slots that hold something, of the longest sequence
    seen: Tensor | None  # [N, 1, 1, filled], bool or what is added to a score; None = all


def sight(place: Place, sequences: int, ring: Ring) -> Sight:
    """Of a token of each running sequence, at ``place``."""
    everyone = place.sequence.tolist() == list(range(sequences))
    kept = slice(None) if everyone else place.sequence  # a slice copies nothing
    filled, seen = ring.seen(place.position)
    return Sight(ring.slot(place.position), kept, filled, None if seen is None else seen[:, None, None])


class LayerCache:
    """One layer's part; ``at`` says of each pass which tokens it brings."""

    def __init__(self, keys: Tensor, values: Tensor, ring: Ring):
        self._keys, self._values, self._ring = keys, values, ring  # [B, R, K, C]
        self.at: Place | None = None
        self.sight: Sight | None = None

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor | None:
        """Keep ``k`` and ``v [N, K, C]``; [N, H, C] that ``q [N, H, C]`` sees, or None in the first pass."""
        assert self.at is not None
        if self.at.first:
            self._keep_last(k, v.float(), self.at)
            return None
        assert self.sight is not None
        slot, kept, filled, seen = self.sight
        self._keys[self.at.sequence, slot], self._values[self.at.sequence, slot] = k, v.float()
        if self._ring.block:
            self._keep_means(self.at)
        return one_query(q, self._keys[kept, :filled], self._values[kept, :filled], seen)

    def _keep_last(self, k: Tensor, v: Tensor, at: Place) -> None:
        """Of each sequence the tokens that the ring has room for: two of one slot would be written in no order.

        And the means of all blocks that are whole.
        """
        ring, lengths = self._ring, torch.bincount(at.sequence, minlength=len(self._keys))
        last = at.position >= lengths[at.sequence] - ring.tokens
        place = (at.sequence[last], ring.slot(at.position[last]))
        self._keys[place], self._values[place] = k[last], v[last]
        if ring.block:
            whole = at.position < (lengths // ring.block * ring.block)[at.sequence]
            block = (at.sequence[whole], at.position[whole] // ring.block)
            for kept, x in ((self._keys, k), (self._values, v)):
                kept.index_put_(block, torch.zeros_like(x[whole]))  # values may be a part of keys
                kept.index_put_(block, x[whole] / ring.block, accumulate=True)

    def _keep_means(self, at: Place) -> None:
        """Of the blocks that become whole with the tokens at ``at``."""
        ring = self._ring
        whole = (at.position + 1) % ring.block == 0
        sequence, position = at.sequence[whole], at.position[whole]
        slots = ring.slot(position[:, None] - torch.arange(ring.block, device=position.device))
        for kept in (self._keys, self._values):
            kept[sequence, position // ring.block] = kept[sequence[:, None], slots].mean(1)


def one_query(q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None) -> Tensor:
    """``q [N, H, C]`` on ``k``, ``v [N, R, K, C]`` of its own sequence, by ``seen [N, 1, 1, R]``: [N, H, C]."""
    share = q.shape[1] // k.shape[2]
    k, v = ((t.repeat_interleave(share, 2) if share > 1 else t).transpose(1, 2) for t in (k, v))
    return functional.scaled_dot_product_attention(q[:, :, None], k, v, attn_mask=seen)[:, :, 0]


class Cache:
    """The layers' caches, of ``sequences`` sequences that grow to ``longest`` tokens.

    Bytes: 8 * layers * sequences * slots * kv heads * head width, slots = the window, or ``longest`` without one; with
    ``memory_block`` B the window and B - 1 more, and ``longest`` / B for means. With ``kv_rank`` half of that, with
    kv_rank + rope_width in place of the last two: values are the first part of keys.
    """

    def __init__(self, shape: Shape, sequences: int, longest: int, device: torch.device):
        self.sequences, self.ring = sequences, ring_of(shape, longest)
        kept = (1, shape.kv_rank + shape.rotary_width) if shape.kv_rank else (shape.kv, shape.head_width)
        keys = torch.zeros((shape.layers, sequences, self.ring.room, *kept), device=device)
        values = keys[..., : shape.kv_rank] if shape.kv_rank else torch.zeros_like(keys)
        self.layers = [LayerCache(*pair, self.ring) for pair in zip(keys, values, strict=True)]

    def point(self, place: Place) -> list[LayerCache]:
        """The layers' caches, which the next pass brings the tokens at ``place``."""
        seen = None if place.first else sight(place, self.sequences, self.ring)
        for layer in self.layers:
            layer.at, layer.sight = place, seen
        return self.layers
