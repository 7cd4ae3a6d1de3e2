"""Bits per byte: a loss that does not depend on how a tokenizer cuts text, with its standard error by document.

Nats over counted targets / ln 2 / UTF-8 bytes of the text that these targets spell. The loss of the end token counts
and its bytes are 0; padding is in neither sum, and so is the first token of a slice, which nothing predicts.
"""

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gristmill.corpus.files import read_json


class BitsPerByte(NamedTuple):
    """A ratio of two sums over documents; None where there are no bytes, or one document only."""

    value: float | None
    standard_error: float | None


def bits_per_byte(nats: np.ndarray, n_bytes: np.ndarray) -> BitsPerByte:
    """The ratio of sums and its standard error, each document drawn as a whole.

    Parameters
    ----------
    nats, n_bytes : float64[D], one value for each document: loss of its targets, and bytes that these spell

    Returns
    -------
    bits per byte, 0 and up

    Source: Cochran, Sampling Techniques (1977), equation 6.4, without the correction for a finite population.

    >>> bits_per_byte(np.log([2.0, 2.0]), np.array([1.0, 1.0]))
    BitsPerByte(value=1.0, standard_error=0.0)
    """
    total = float(n_bytes.sum())
    if not total:
        return BitsPerByte(None, None)
    ratio, n = float(nats.sum()) / total, len(nats)
    rest = float(np.square(nats - ratio * n_bytes).sum())
    error = math.sqrt(n / (n - 1) * rest) / total / math.log(2) if n > 1 else None
    return BitsPerByte(ratio / math.log(2), error)


class DocumentSums:
    """Nats, bytes and counted targets of each document, added up over the batches that hold slices of it."""

    def __init__(self):
        self._numbers: dict[str, int] = {}
        self._slices: list[np.ndarray] = []

    def add(self, documents: list[str], *sums: np.ndarray) -> None:
        """Add slices: the document of each, then ``nats``, ``n_bytes`` and ``targets`` [n_slices]."""
        number = [self._numbers.setdefault(name, len(self._numbers)) for name in documents]
        self._slices.append(np.stack([np.array(number, np.float64), *sums]))

    def by_document(self) -> np.ndarray:
        """float64 [3, D]: nats, bytes and targets of every document with a counted target."""
        if not self._slices:
            return np.zeros((3, 0))
        number, *sums = np.concatenate(self._slices, axis=1)
        found = np.stack([np.bincount(number.astype(np.int64), weights=each) for each in sums])
        return found[:, found[2] > 0]


def token_bytes(tokenizer: Path, vocab_size: int) -> np.ndarray | None:
    """UTF-8 bytes that each token spells, int64[V]: 0 for a special token. None where that is not known.

    Known of a byte-level tokenizer.json alone, where each character of a token stands for one byte.
    """
    if not tokenizer.exists():
        return None
    config = read_json(tokenizer)
    if not _is_byte_level(config.get("decoder") or {}):
        return None
    spelled = np.zeros(vocab_size, np.int64)
    for token, number in config["model"]["vocab"].items():
        spelled[number] = len(token)
    for added in config.get("added_tokens", ()):
        spelled[added["id"]] = 0 if added["special"] else len(added["content"].encode())
    return spelled


def _is_byte_level(decoder: dict[str, Any]) -> bool:
    return any(one.get("type") == "ByteLevel" for one in (decoder, *decoder.get("decoders", ())))
