"""Texts to tokens by the kernels: which tokenizer.json they read, its arrays, which texts they leave to the library."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from gristmill.corpus.text.columns import TextColumn, text_column
from gristmill.tokenizer import _kernels_bpe, _kernels_ready
from gristmill.tokenizer._kernels_bpe import FREE, KEY_TOKENS, NO_RANK
from gristmill.tokenizer.composed_text import composed
from gristmill.tokenizer.patterns import classes_of, pattern_of
from gristmill.tokenizer.reference_encoder import Encoder, ReferenceEncoder, Tokens, ids_type
from gristmill.tokenizer.text_tokenizer import TextTokenizer
from gristmill.tokenizer.tokenizer_json import Config, vocab_size
from gristmill.tokenizer.vocabulary import byte_symbols

CACHE_LINES = 1 << 18  # 16 MB, two words in each


class Vocabulary(NamedTuple):
    """Arrays of one tokenizer of at most 2^20 tokens."""

    classes: np.ndarray  # uint8[0x110000] character class by code point
    byte_ids: np.ndarray  # int64[256] token of each single byte
    byte_keys: np.ndarray  # uint32[65536] see _kernels_bpe.fill_bytes
    pairs: np.ndarray  # uint64[power of 2] hash table, open addressing: left << 40 | right << 20 | rank, or FREE
    likely: np.ndarray  # uint64[power of 2], a bit for each pair by its hash: 1 in 8 is set
    merged: np.ndarray  # uint32[n_merges] token by rank
    spelled: np.ndarray  # uint8, the bytes of all tokens in a row; empty unless a whole word goes before its merges
    spelled_offsets: np.ndarray  # int64[n_tokens + 1] into ``spelled``
    whole: np.ndarray  # int64[power of 2] hash table of tokens by their bytes, -1 where it is free


def kernel_pattern(config: Config) -> int | None:
    """The kernel for a tokenizer.json, whatever its vocabulary; None where the tokenizers library must encode.

    Parameters
    ----------
    config : of ``TextTokenizer.for_text``
    """
    model = config["model"]
    vocab, merges = model["vocab"], model.get("merges")
    if (
        (config.get("normalizer") or {"type": "NFC"}) != {"type": "NFC"}
        or model.get("type", "BPE") != "BPE"
        or merges is None
        or any(model.get(name) for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"))
        or vocab_size(config) > 1 << 20
        or len(merges) > NO_RANK
        or len(set(map(tuple, merges))) < len(merges)
        or not all(symbol in vocab for symbol in byte_symbols())
        or not all(token["content"] for token in config["added_tokens"])
    ):
        return None
    return pattern_of(config.get("pre_tokenizer"))


class KernelEncoder:
    """Byte-level BPE over Arrow buffers; over 10 times the reference's speed, equal ids. Keeps a cache of words.

    One per thread: the cache is written while encoding. Texts with an added token that is not special, or with a word
    of more than 4,096 bytes, are encoded by the library.
    """

    def __init__(self, text: TextTokenizer, pattern: int, reference: Encoder | None = None):
        """``reference`` encodes what the kernels leave; the library when None."""
        config = text.for_text
        self.vocab_size = vocab_size(config)
        self._pattern = pattern
        self._end = -1 if text.end_id is None else text.end_id
        self._vocabulary = _vocabulary(config["model"], pattern)
        self._words = np.zeros((CACHE_LINES, 8), np.uint64)
        self._composes = bool(config.get("normalizer"))
        self._names = _names([token["content"] for token in config["added_tokens"] if not token.get("special")])
        self._reference = reference or ReferenceEncoder(text)

    def encode(self, texts: pa.LargeStringArray) -> Tokens:
        """Tokens of every text. Scratch: the ids as uint32, touched only as far as tokens are written."""
        left = np.zeros(len(texts), np.bool_)
        written = composed(texts) if self._composes else texts
        if written is not texts:
            self._mark_names(text_column(pa.record_batch({"text": texts})), left)
        column = text_column(pa.record_batch({"text": written}))
        self._mark_names(column, left)
        tokens = self._encoded(column, left)
        return _filled(tokens, left, self._reference.encode(texts.filter(pa.array(left)))) if left.any() else tokens

    def _mark_names(self, column: TextColumn, left: np.ndarray) -> None:
        if self._names:
            _kernels_ready.mark_holding(column.offsets, column.data, *self._names, left)

    def _encoded(self, column: TextColumn, left: np.ndarray) -> Tokens:
        offsets = np.zeros(column.n_docs + 1, np.int64)
        ids = np.empty(int(column.offsets[-1]) + column.n_docs + KEY_TOKENS, np.uint32)
        _kernels_bpe.encode(
            *column, self._pattern, tuple(self._vocabulary), self._words, self._end, left, ids, offsets
        )  # fmt: skip
        return Tokens(offsets, ids[: offsets[-1]].astype(ids_type(self.vocab_size)))


def _filled(tokens: Tokens, left: np.ndarray, others: Tokens) -> Tokens:
    """``tokens`` of all texts, with ``others`` for those of them that are ``left``, which have none."""
    lengths = np.diff(tokens.offsets)
    lengths[left] = np.diff(others.offsets)
    ids, from_others = np.empty(int(lengths.sum()), tokens.ids.dtype), np.repeat(left, lengths)
    ids[from_others], ids[~from_others] = others.ids, tokens.ids
    return Tokens(np.concatenate([[0], np.cumsum(lengths)]), ids)


def _names(contents: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Names of tokens that the library finds in texts, as they are and composed: see ``mark_holding``."""
    if not contents:
        return None
    both = pa.array(contents, pa.large_string())
    column = text_column(pa.record_batch({"text": pa.concat_arrays([both, composed(both)])}))
    begins = np.zeros(256, np.bool_)
    begins[column.data[column.offsets[:-1]]] = True
    return begins, column.data, column.offsets


def _vocabulary(model: Config, pattern: int) -> Vocabulary:
    vocab: dict[str, int] = model["vocab"]
    pairs = np.array([(vocab[left], vocab[right]) for left, right in model["merges"]], np.int64).reshape(-1, 2)
    merged = np.array([vocab[left + right] for left, right in model["merges"]], np.uint32)
    byte_ids = np.array([vocab[symbol] for symbol in byte_symbols()], np.int64)
    table = np.full(1 << max(4, (2 * len(pairs)).bit_length()), FREE)  # at most half full
    likely = np.zeros(max(1, len(table) // 16), np.uint64)
    _kernels_bpe.fill_pairs(pairs, table, likely)
    byte_keys = np.empty(1 << 16, np.uint32)
    _kernels_bpe.fill_bytes(byte_ids, table, likely, byte_keys)
    whole = _whole_words(vocab if model.get("ignore_merges") else {})
    return Vocabulary(classes_of(pattern), byte_ids, byte_keys, table, likely, merged, *whole)


def _whole_words(vocab: dict[str, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The last three arrays of ``Vocabulary``; tokens that spell no bytes are left out."""
    byte_of = {symbol: byte for byte, symbol in enumerate(byte_symbols())}
    words = [b""] * (max(vocab.values(), default=-1) + 1)
    for text, number in vocab.items():
        words[number] = bytes(byte_of[one] for one in text) if byte_of.keys() >= set(text) else b""
    column = text_column(pa.record_batch({"text": pa.array(words, pa.large_binary()).view(pa.large_string())}))
    whole = np.full(1 << (2 * len(words)).bit_length(), -1)
    _kernels_bpe.fill_whole(column.data, column.offsets, whole)
    return column.data, column.offsets, whole
