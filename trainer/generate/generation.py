"""Sequences that grow by a token in each step: prompts in one pass, then one token of each sequence with the cache.

N sequences that still run, V vocabulary.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gristmill.trainer.generate.cache import Cache, Place
from gristmill.trainer.generate.sampling import Sampling, choose_tokens
from gristmill.trainer.model.decoder import Model
from gristmill.trainer.model.packed import Packed, pack


class NewToken(NamedTuple):
    """What a step adds to a sequence."""

    sequence: int  # number of its prompt
    token: int


class Generation:
    """The sequences of some prompts.

    Parameters
    ----------
    model : in evaluation
    prompts : token ids, one or more in each
    longest : tokens of the longest sequence, its prompt among them, that will be asked for
    """

    def __init__(self, model: Model, prompts: Sequence[Sequence[int]], longest: int, sampling: Sampling):
        self._model, self._prompts, self._sampling = model, prompts, sampling
        self._device = model.embedding.device
        self._cache = Cache(model.shape, len(prompts), longest, self._device)
        self._random = [sampling.generator(number) for number in range(len(prompts))]
        self._last: dict[int, int] = {}
        self._lengths = [len(prompt) for prompt in prompts]
        self.running = list(range(len(prompts)))

    def end(self, sequence: int) -> None:
        """Take a sequence out of the steps that follow."""
        self.running.remove(sequence)

    @torch.no_grad()
    def step(self) -> list[NewToken]:
        """The next token of every sequence that runs."""
        logits = self._advance() if self._last else self._begin()
        chosen = choose_tokens(logits, self._sampling, [self._random[one] for one in self.running])
        found = [NewToken(*pair) for pair in zip(self.running, chosen.tolist(), strict=True)]
        for one in found:
            self._last[one.sequence] = one.token
            self._lengths[one.sequence] += 1
        return found

    def _begin(self) -> Tensor:
        """Logits behind the prompts, [N, V]."""
        lengths = np.array(self._lengths)
        rows, numbers = np.zeros((len(lengths), lengths.max()), np.int64), np.arange(len(lengths))
        for row, prompt in zip(rows, self._prompts, strict=True):
            row[: len(prompt)] = prompt
        zeros = np.zeros(len(lengths), np.int64)
        batch = pack(rows, zeros, numbers, zeros, lengths)
        sequence = torch.from_numpy(np.repeat(numbers, lengths))
        return self._logits(batch, sequence, torch.from_numpy(lengths.cumsum() - 1), first=True)

    def _advance(self) -> Tensor:
        """Logits behind the last tokens, [N, V]."""
        tokens = torch.tensor([self._last[one] for one in self.running])
        position = torch.tensor([self._lengths[one] - 1 for one in self.running])
        return self._logits(_single(tokens, position), torch.tensor(self.running), slice(None), first=False)

    def _logits(self, batch: Packed, sequence: Tensor, ends: Tensor | slice, *, first: bool) -> Tensor:
        batch = batch.to(str(self._device))
        place = Place(sequence.to(self._device), batch.positions, first)
        hidden = self._model(batch, past=self._cache.point(place)).hidden
        return hidden[ends] @ self._model.embedding.T


def _single(tokens: Tensor, positions: Tensor) -> Packed:
    """One token of each sequence, which sees nothing in its batch."""
    none = tokens[:0]
    return Packed(tokens, positions, (), none, none, none, none, none, none)
