"""Texts to tokens in flat arrays: by the kernels, or by the tokenizers library where the kernels do not apply."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.corpus.schema import token_type
from gristmill.corpus.text.columns import text_column
from gristmill.tokenizer import _kernels_bpe
from gristmill.tokenizer._kernels_bpe import FREE
from gristmill.tokenizer.stage import END_ID
from gristmill.tokenizer.text_tokenizer import TextTokenizer
from gristmill.tokenizer.tokenizer_json import Config, vocab_size
from gristmill.tokenizer.vocabulary import byte_symbols, character_classes, is_ours

_LOG = logging.getLogger(__name__)
CACHE_WORDS = 1 << 17  # 8 MB
GUARD_DOCUMENTS, GUARD_CHARACTERS = 64, 1024  # compared with the reference before a part is encoded


class Tokens(NamedTuple):
    """Document d is ``ids[offsets[d]:offsets[d + 1]]``, its last token the end token; offsets int64 [n_docs + 1]."""

    offsets: np.ndarray
    ids: np.ndarray  # uint16 or uint32, see corpus.schema.token_type


class Vocabulary(NamedTuple):
    """Arrays of one tokenizer of at most 2^20 tokens."""

    classes: np.ndarray  # uint8[0x110000] character class by code point
    byte_ids: np.ndarray  # int64[256] token of each single byte
    pairs: np.ndarray  # uint64[power of 2] hash table, open addressing: left << 40 | right << 20 | rank, or FREE
    merged: np.ndarray  # int64[n_merges] token by rank


class Encoder(Protocol):
    """Anything that turns texts into tokens."""

    vocab_size: int

    def encode(self, texts: pa.LargeStringArray) -> Tokens:
        """Tokens of every text, each text closed by the end token, where there is one."""
        ...


class KernelEncoder:
    """Byte-level BPE over Arrow buffers; over 10 times the reference's speed, equal ids. Keeps a cache of words.

    One per thread: the cache is written while encoding.
    """

    def __init__(self, config: Config, end_id: int | None = END_ID):
        vocab: dict[str, int] = config["model"]["vocab"]
        self.vocab_size = vocab_size(config)
        self._end = -1 if end_id is None else end_id
        self._vocabulary = _vocabulary(vocab, config["model"]["merges"])
        self._words = np.zeros((CACHE_WORDS, 8), np.uint64)

    def encode(self, texts: pa.LargeStringArray) -> Tokens:
        """Tokens of every text. Scratch: the ids as uint32, touched only as far as tokens are written."""
        column = text_column(pa.record_batch({"text": texts}))
        offsets = np.zeros(column.n_docs + 1, np.int64)
        ids = np.empty(int(column.offsets[-1]) + column.n_docs, np.uint32)
        _kernels_bpe.encode(column.offsets, column.data, tuple(self._vocabulary), self._words, self._end, ids, offsets)
        return Tokens(offsets, ids[: offsets[-1]].astype(_dtype(self.vocab_size)))


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
    return Tokens(offsets, np.fromiter((token for one in ids for token in one), _dtype(n_tokens), offsets[-1]))


class CheckedEncoder:
    """The kernels, once they have agreed with the reference on the first texts; else the reference.

    Raises
    ------
    SourceError : see ``TextTokenizer``
    """

    def __init__(self, path: Path):
        self._path = path
        self.text = TextTokenizer(path)
        self._reference = ReferenceEncoder(self.text)
        config = self.text.config
        self._kernels = KernelEncoder(config, self.text.end_id) if is_ours(config) else None
        self._checked = False
        self.vocab_size = self._reference.vocab_size

    def encode(self, texts: pa.LargeStringArray) -> Tokens:
        """Tokens of every text; compares the beginnings of up to 64 texts of the first call."""
        if self._kernels and not self._checked and len(texts):
            self._checked = True
            if not _agree(self._kernels, self._reference, texts):
                _LOG.warning("%s: kernels and tokenizers differ; encoding with tokenizers", self._path)
                self._kernels = None
        return (self._kernels or self._reference).encode(texts)

    @property
    def engine(self) -> str:
        """``kernels`` or ``tokenizers``: which of the two gives the answers."""
        return "kernels" if self._kernels else "tokenizers"


def _agree(encoder: Encoder, reference: Encoder, sample: pa.LargeStringArray) -> bool:
    step = max(1, len(sample) // GUARD_DOCUMENTS)
    chosen = pc.utf8_slice_codeunits(sample.take(pa.array(np.arange(0, len(sample), step))), 0, GUARD_CHARACTERS)
    return all(np.array_equal(*pair) for pair in zip(encoder.encode(chosen), reference.encode(chosen), strict=True))


def _dtype(vocab_size: int) -> np.dtype:
    return np.dtype(token_type(vocab_size).to_pandas_dtype())


def _vocabulary(vocab: dict[str, int], merges: list[list[str]]) -> Vocabulary:
    pairs = np.array([(vocab[left], vocab[right]) for left, right in merges], np.int64).reshape(-1, 2)
    merged = np.array([vocab[left + right] for left, right in merges], np.int64)
    byte_ids = np.array([vocab[symbol] for symbol in byte_symbols()], np.int64)
    table = np.full(1 << max(4, (2 * len(pairs)).bit_length()), FREE)  # at most half full
    _kernels_bpe.fill_pairs(pairs, table)
    return Vocabulary(character_classes(), byte_ids, table, merged)
