"""Tokens in flat arrays, what every encoder gives; and the encoder that defines the answers, the tokenizers library."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from gristmill.corpus.schema import token_type
from gristmill.tokenizer.text_tokenizer import TextTokenizer


class Tokens(NamedTuple):
    """Document d is ``ids[offsets[d]:offsets[d + 1]]``, its last token the end token; offsets int64 [n_docs + 1]."""

    offsets: np.ndarray
    ids: np.ndarray  # uint16 or uint32, see corpus.schema.token_type


class Encoder(Protocol):
    """Anything that turns texts into tokens."""

    vocab_size: int

    def encode(self, texts: pa.LargeStringArray) -> Tokens:
        """Tokens of every text, each text closed by the end token, where there is one."""
        ...


class ReferenceEncoder:
    """The tokenizers library: one Python list a document, so 2 MB a CPU second."""

    def __init__(self, text: TextTokenizer):
        self.vocab_size = text.vocab_size
        self._tokenizer = text.tokenizer
        self._end = [] if text.end_id is None else [text.end_id]

    def encode(self, texts: pa.LargeStringArray) -> Tokens:
        """Tokens of every text. A loop over documents, as the library's call asks for one."""
        encodings = self._tokenizer.encode_batch_fast(texts.to_pylist(), add_special_tokens=False)
        return flat_tokens([[*encoding.ids, *self._end] for encoding in encodings], self.vocab_size)


def flat_tokens(ids: Sequence[Sequence[int]], n_tokens: int) -> Tokens:
    """Lists of ids below ``n_tokens`` as flat arrays.

    >>> flat_tokens([[5, 6], []], 9).offsets.tolist()
    [0, 2, 2]
    """
    offsets = np.cumsum([0, *map(len, ids)], dtype=np.int64)
    return Tokens(offsets, np.fromiter((token for one in ids for token in one), ids_type(n_tokens), offsets[-1]))


def ids_type(vocab_size: int) -> np.dtype:
    """The integers that hold ids below ``vocab_size``."""
    return np.dtype(token_type(vocab_size).to_pandas_dtype())
