"""Keys and values of the tokens so far: a new token costs one pass of its own. A ring where attention has a window.

B sequences, R slots of each, N tokens of a pass, H heads, K heads of keys and values, C head width. The token at
position p stands in slot p % R. Keys are kept turned by their positions, so that their order in the ring does not
matter.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from gristmill.trainer.model.shape import Shape


class Place(NamedTuple):
    """Which tokens a pass brings."""

    sequence: Tensor  # int64[N]
    position: Tensor  # int64[N], from 0 in each sequence
    first: bool  # whether nothing came before: the pass then sees in its batch all that there is


class LayerCache:
    """One layer's part; ``at`` says of each pass which tokens it brings."""

    def __init__(self, keys: Tensor, values: Tensor):
        self._keys, self._values = keys, values  # [B, R, K, C]
        self.at: Place | None = None

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor | None:
        """Keep ``k`` and ``v [N, K, C]``; [N, H, C] that ``q [N, H, C]`` sees, or None in the first pass."""
        assert self.at is not None
        if self.at.first:
            self._keep_last(k, v, self.at)
            return None
        slots = self._keys.shape[1]
        place = (self.at.sequence, self.at.position % slots)
        self._keys[place], self._values[place] = k, v.float()
        filled = min(int(self.at.position.max()) + 1, slots)
        seen = torch.arange(filled, device=q.device) <= self.at.position[:, None]  # all of a ring that is full
        return one_query(q, self._keys[self.at.sequence, :filled], self._values[self.at.sequence, :filled], seen)

    def _keep_last(self, k: Tensor, v: Tensor, at: Place) -> None:
        """Of each sequence the last R tokens: two of one slot would be written in no order."""
        slots = self._keys.shape[1]
        lengths = torch.bincount(at.sequence, minlength=len(self._keys))
        last = at.position >= lengths[at.sequence] - slots
        place = (at.sequence[last], at.position[last] % slots)
        self._keys[place], self._values[place] = k[last], v[last].float()


def one_query(q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
    """``q [N, H, C]`` on ``k``, ``v [N, R, K, C]`` of its own sequence where ``seen bool[N, R]``: [N, H, C]."""
    share = q.shape[1] // k.shape[2]
    k, v = (t.repeat_interleave(share, 2).transpose(1, 2) for t in (k, v))
    mixed = functional.scaled_dot_product_attention(q[:, :, None], k, v, attn_mask=seen[:, None, None])
    return mixed[:, :, 0]


class Cache:
    """The layers' caches, of ``sequences`` sequences that grow to ``longest`` tokens.

    Bytes: 8 * layers * sequences * slots * kv heads * head width, slots = the window, or ``longest`` without one. With
    ``kv_rank`` half of that, with kv_rank + rope_width in place of the last two: values are the first part of keys.
    """

    def __init__(self, shape: Shape, sequences: int, longest: int, device: torch.device):
        self.slots = min(shape.window or longest, longest)
        kept = (1, shape.kv_rank + shape.rotary_width) if shape.kv_rank else (shape.kv, shape.head_width)
        keys = torch.zeros((shape.layers, sequences, self.slots, *kept), device=device)
        values = keys[..., : shape.kv_rank] if shape.kv_rank else torch.zeros_like(keys)
        self.layers = [LayerCache(*pair) for pair in zip(keys, values, strict=True)]

    def point(self, place: Place) -> list[LayerCache]:
        """The layers' caches, which the next pass brings the tokens at ``place``."""
        for layer in self.layers:
            layer.at = place
        return self.layers
