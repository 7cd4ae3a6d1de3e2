"""Which token comes next: the likeliest, or one drawn from the likeliest that make up a share of the probability.

N sequences, V vocabulary. Each sequence draws from a generator of its own, so that it goes the same way alone and
beside others.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gristmill.corpus.seeds import derive_seed


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are chosen.

    Parameters
    ----------
    temperature : logits are divided by it; 0 = the likeliest token always
    top_p : the likeliest tokens that reach this share of the probability are drawn from, one at least
    seed : of the random numbers
    """

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0

    def generator(self, sequence: int) -> torch.Generator:
        """The random numbers of the sequence with this number, on the CPU."""
        return torch.Generator().manual_seed(derive_seed(self.seed, "generate", sequence))


def choose_tokens(logits: Tensor, sampling: Sampling, generators: Sequence[torch.Generator]) -> Tensor:
    """The next token of every sequence, int64[N], from ``logits [N, V]``.

    Source: Holtzman et al., nucleus sampling (arXiv 1904.09751), section 3.1.
    """
    if sampling.temperature == 0:
        return logits.argmax(-1)
    chances = (logits.double().cpu() / sampling.temperature).softmax(-1)
    sorted_chances, order = chances.sort(dim=-1, descending=True, stable=True)
    before = sorted_chances.cumsum(-1) - sorted_chances
    kept = sorted_chances * (before < sampling.top_p)
    kept[:, 0] = sorted_chances[:, 0]  # top_p = 0 keeps the likeliest
    drawn = torch.cat([torch.rand(1, generator=one, dtype=torch.float64) for one in generators])
    reached = kept.cumsum(-1)
    at = torch.searchsorted(reached, (drawn * reached[:, -1])[:, None], right=True)
    last = (kept > 0).sum(-1, keepdim=True) - 1  # rounding may not reach a token that was left out
    return order.gather(-1, at.minimum(last))[:, 0].to(logits.device)
