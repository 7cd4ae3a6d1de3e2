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


class Sight(NamedTuple):
    """Where the tokens of a pass behind the first go, and what they see; of all layers alike."""

    slot: Tensor  # int64[N]
    kept: Tensor | slice  # the sequences' parts of a cache, which hold what the tokens see
    filled: int  # slots that hold something, of the longest sequence
    seen: Tensor | None  # bool[N, 1, 1, filled]; None = all


def sight(place: Place, sequences: int, slots: int) -> Sight:
    """Of a token of each running sequence, at ``place``."""
    positions = place.position.tolist()
    filled = min(max(positions) + 1, slots)
    everyone = place.sequence.tolist() == list(range(sequences))
    even = min(positions) + 1 >= filled  # as many before each of them, or a ring that is full
    seen = None if even else torch.arange(filled, device=place.position.device) <= place.position[:, None]
    kept = slice(None) if everyone else place.sequence  # a slice copies nothing
    return Sight(place.position % slots, kept, filled, None if seen is None else seen[:, None, None])


class LayerCache:
    """One layer's part; ``at`` says of each pass which tokens it brings."""

    def __init__(self, keys: Tensor, values: Tensor):
        self._keys, self._values = keys, values  # [B, R, K, C]
        self.at: Place | None = None
        self.sight: Sight | None = None

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor | None:
        """Keep ``k`` and ``v [N, K, C]``; [N, H, C] that ``q [N, H, C]`` sees, or None in the first pass."""
        assert self.at is not None
        if self.at.first:
            self._keep_last(k, v, self.at)
            return None
        assert self.sight is not None
        slot, kept, filled, seen = self.sight
        self._keys[self.at.sequence, slot], self._values[self.at.sequence, slot] = k, v.float()
        return one_query(q, self._keys[kept, :filled], self._values[kept, :filled], seen)

    def _keep_last(self, k: Tensor, v: Tensor, at: Place) -> None:
        """Of each sequence the last R tokens: two of one slot would be written in no order."""
        slots = self._keys.shape[1]
        lengths = torch.bincount(at.sequence, minlength=len(self._keys))
        last = at.position >= lengths[at.sequence] - slots
        place = (at.sequence[last], at.position[last] % slots)
        self._keys[place], self._values[place] = k[last], v[last].float()


def one_query(q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None) -> Tensor:
    """``q [N, H, C]`` on ``k``, ``v [N, R, K, C]`` of its own sequence where ``seen bool[N, 1, 1, R]``: [N, H, C]."""
    share = q.shape[1] // k.shape[2]
    k, v = ((t.repeat_interleave(share, 2) if share > 1 else t).transpose(1, 2) for t in (k, v))
    return functional.scaled_dot_product_attention(q[:, :, None], k, v, attn_mask=seen)[:, :, 0]


class Cache:
    """The layers' caches, of ``sequences`` sequences that grow to ``longest`` tokens.

    Bytes: 8 * layers * sequences * slots * kv heads * head width, slots = the window, or ``longest`` without one. With
    ``kv_rank`` half of that, with kv_rank + rope_width in place of the last two: values are the first part of keys.
    """

    def __init__(self, shape: Shape, sequences: int, longest: int, device: torch.device):
        self.sequences, self.slots = sequences, min(shape.window or longest, longest)
        kept = (1, shape.kv_rank + shape.rotary_width) if shape.kv_rank else (shape.kv, shape.head_width)
        keys = torch.zeros((shape.layers, sequences, self.slots, *kept), device=device)
        values = keys[..., : shape.kv_rank] if shape.kv_rank else torch.zeros_like(keys)
        self.layers = [LayerCache(*pair) for pair in zip(keys, values, strict=True)]

    def point(self, place: Place) -> list[LayerCache]:
        """The layers' caches, which the next pass brings the tokens at ``place``."""
        seen = None if place.first else sight(place, self.sequences, self.slots)
        for layer in self.layers:
            layer.at, layer.sight = place, seen
        return self.layers
