"""What tokens stand for: the bytes of each, and which texts do not come back when their tokens are decoded."""

import re
from typing import Any

import numpy as np
import pyarrow as pa

from gristmill.corpus.text.columns import text_column
from gristmill.tokenizer import _kernels_spelling
from gristmill.tokenizer.reference_encoder import Tokens
from gristmill.tokenizer.text_tokenizer import TextTokenizer
from gristmill.tokenizer.tokenizer_json import Config, token_ids, vocab_size
from gristmill.tokenizer.vocabulary import byte_symbols

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")


def token_bytes(config: Config) -> list[bytes]:
    """The bytes of each token by id; a special token's own name, and nothing for an id that is free.

    As text stands in the middle of a document: a WordPiece word begins with the space before it, a Metaspace mark is
    a space. Where a decoder does more than to join these (``is_concatenation``), a document's text may differ.

    >>> token_bytes({"model": {"vocab": {"Ġa": 0}}, "decoder": {"type": "ByteLevel"}, "added_tokens": []})
    [b' a']
    """
    ids, spell = token_ids(config), _speller(config)
    found = [b""] * vocab_size(config)
    added = set() if is_concatenation(config) else {token["content"] for token in config.get("added_tokens") or ()}
    for text, number in ids.items():
        found[number] = text.encode() if text in added else spell(text)
    return found


def _speller(config: Config) -> Any:
    kinds = _decoders(config.get("decoder"))
    if "ByteLevel" in kinds:
        byte_of = {symbol: byte for byte, symbol in enumerate(byte_symbols())}
        return lambda text: bytes(byte_of[one] for one in text) if byte_of.keys() >= set(text) else text.encode()
    if "WordPiece" in kinds:
        prefix = config["decoder"].get("prefix", "##")
        return lambda text: text.removeprefix(prefix).encode() if text.startswith(prefix) else f" {text}".encode()
    return lambda text: bytes([int(one[1], 16)]) if (one := _BYTE.fullmatch(text)) else text.replace("▁", " ").encode()


def _decoders(decoder: Any) -> set[str]:
    if not decoder:
        return set()
    return {decoder["type"]}.union(*map(_decoders, decoder.get("decoders", ())))


def is_concatenation(config: Config) -> bool:
    """True where decoding joins the bytes of tokens and does nothing else: a byte-level tokenizer."""
    return (config.get("decoder") or {}).get("type") == "ByteLevel"


class RoundTrip:
    """Which texts come back from their tokens. About 400 MB a CPU second where decoding joins bytes, else 2."""

    def __init__(self, text: TextTokenizer):
        self._text = text
        self._ends = text.end_id is not None
        self._table = _table(token_bytes(text.config)) if is_concatenation(text.config) else None

    def holds(self, texts: pa.LargeStringArray, tokens: Tokens) -> np.ndarray:
        """Bool [n_docs]: the tokens of a document, without its end token, decode to its text."""
        offsets = np.ascontiguousarray(tokens.offsets)
        stops = offsets[1:] - self._ends
        if self._table is None:
            ids = [tokens.ids[start:stop].tolist() for start, stop in zip(offsets, stops, strict=False)]
            decoded = self._text.original.decode_batch(ids, skip_special_tokens=False)
            return np.array([one == text for one, text in zip(decoded, texts.to_pylist(), strict=True)], bool)
        column, out = text_column(pa.record_batch({"text": texts})), np.empty(len(texts), np.bool_)
        _kernels_spelling.spells(tokens.ids, offsets, stops, *self._table, column.data, column.offsets, out)
        return out


def _table(words: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    return np.frombuffer(b"".join(words) or b"\0", np.uint8), np.cumsum([0, *map(len, words)])
