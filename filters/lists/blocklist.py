"""Blocklists: listed words and phrases, web hosts and addresses, texts by their hash. Counted here, judged by rules.

Words are compared in lower case, whole; a Han or kana character is a word of its own, so Chinese and Japanese phrases
are found inside a sentence. Lists are plain text, an entry a line; a comment is # at the beginning or after a blank.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from unicodedata import normalize

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.corpus.errors import SourceError
from gristmill.corpus.own_files import read_own_lines
from gristmill.corpus.stage import Measured
from gristmill.corpus.text._kernels import word_capacity, words
from gristmill.corpus.text.columns import text_column
from gristmill.filters.lists import _kernels
from gristmill.filters.lists.stage import BLOCKLIST, Blocklist, BlocklistFacts
from gristmill.filters.signals._kernels_words import fill_keys

_COMMENT = re.compile(r"(?:^|\s)#.*")
_MAX_LABELS = 16  # of a host, and segments of a path: the longest entries that can match


class Phrases(NamedTuple):
    """Phrases ready to look up; see ``_kernels.count_phrases``."""

    first_keys: np.ndarray
    lengths: np.ndarray
    keys: np.ndarray
    phrases: np.ndarray
    phrase_offsets: np.ndarray
    phrase_data: np.ndarray


class Lists(NamedTuple):
    """All lists of a recipe, read."""

    phrases: Phrases
    addresses: pa.Array
    hashes: pa.Array


def prepare(options: Blocklist, lists: Mapping[str, tuple[Path, ...]]) -> Lists:  # noqa: ARG001
    """Read the lists: words and phrases of any language; hosts (``example.com`` blocks its subdomains too) and
    addresses (``example.com/a`` blocks what is below); text hashes, 32 hex characters.

    Raises
    ------
    SourceError : a list is missing
    """
    words, urls, hashes = (lists.get(kind, ()) for kind in ("words", "urls", "hashes"))
    return Lists(load_blocklist(words), _listed(urls), _listed(hashes))


def measure(batch: pa.RecordBatch, options: Blocklist, state: Lists) -> Measured:  # noqa: ARG001
    """Listed phrases in each text, and whether its address or its hash is listed."""
    counts = count_words(batch, state.phrases)
    blocked = pc.cast(match_urls(batch.column("url"), state.addresses), pa.int64()).to_numpy()
    hashed = pc.cast(pc.is_in(batch.column("text_hash"), value_set=state.hashes), pa.int64()).to_numpy(False)
    columns = [*counts.T, blocked, hashed]
    names = [signal.name for signal in BLOCKLIST.signals]
    words, _, urls, hashes = (int(np.count_nonzero(column)) for column in columns)
    arrays = {name: pa.array(column.astype(float)) for name, column in zip(names, columns, strict=True)}
    return Measured(arrays, facts=BlocklistFacts(words, urls, hashes))


# ------------------------------------------------------------------------------------------------ words


@lru_cache(maxsize=2)
def load_blocklist(paths: tuple[Path, ...]) -> Phrases:
    """Read lists of words and phrases and index them, once a process.

    Raises
    ------
    SourceError : a list is missing
    """
    return index_phrases(_listed(paths).to_pylist())


def index_phrases(entries: Sequence[str]) -> Phrases:
    """Index phrases; one without a word in it, or of more than 32, is not looked for.

    >>> bad = index_phrases(["bad word", "坏话"])
    >>> count_words(pa.record_batch({"text": ["A BAD  word, a bad deed. 他说坏话。"]}), bad).tolist()
    [[2, 2]]
    """
    spelled = sorted({" ".join(_words(entry)) for entry in entries} - {""})
    column = text_column(pa.table({"text": pa.array(spelled, pa.large_string())}))
    places, n = word_capacity(column.offsets), column.n_docs
    starts, ends = np.empty((2, places), np.int64)
    keys, first_keys = np.zeros((2, n), np.uint64)
    n_words = np.zeros(n, np.int64)
    _kernels.phrase_keys(*column, starts, ends, np.empty(places, np.uint64), keys, first_keys, n_words)
    chosen = np.flatnonzero(n_words)
    first_table, first_slots = _table(first_keys[chosen])
    table, slots = _table(keys[chosen])
    lengths, phrases = np.zeros(len(first_table), np.uint32), np.full(len(table), -1, np.int64)
    np.bitwise_or.at(lengths, first_slots, (1 << (n_words[chosen] - 1)).astype(np.uint32))
    phrases[slots] = chosen
    return Phrases(first_table, lengths, table, phrases, *column)


def count_words(batch: pa.RecordBatch, blocklist: Phrases) -> np.ndarray:
    """int64[n_docs, 2]: listed phrases in each text, leftmost and longest first, and how many different ones."""
    text = text_column(pa.table({"text": pc.utf8_lower(batch.column("text").cast(pa.large_string()))}))
    places = word_capacity(text.offsets)
    scratch = (*np.empty((2, places), np.int64), np.empty(places, np.uint64))
    seen = np.full(len(blocklist.phrase_offsets) - 1, -1, np.int64)
    counts = np.empty((text.n_docs, 2), np.int64)
    _kernels.count_phrases(*text, *blocklist, scratch, seen, counts)
    return counts


def _words(entry: str) -> list[str]:
    """Words of an entry as the kernels see them, NFC and in lower case."""
    column = text_column(pa.table({"text": pc.utf8_lower(pa.array([normalize("NFC", entry)], pa.large_string()))}))
    starts, ends = np.empty((2, word_capacity(column.offsets)), np.int64)
    n = words(column.data, 0, column.offsets[1], starts, ends)
    raw = column.data.tobytes()
    return [raw[start:end].decode() for start, end in zip(starts[:n].tolist(), ends[:n].tolist(), strict=True)]


def _table(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An open-addressing table a quarter full, and the slot of each key."""
    table, slots = np.zeros(1 << (4 * len(keys) + 8).bit_length(), np.uint64), np.empty(len(keys), np.int64)
    fill_keys(keys, table, slots)
    return table, slots


# ------------------------------------------------------------------------------------------------ addresses


def match_urls(urls: pa.Array, listed: pa.Array) -> pa.Array:
    """bool[n_docs]: the host or one above it, or the path or one above it, is listed. False where no address is.

    >>> listed = pa.array(["example.com", "host.org/private"])
    >>> urls = ["https://www.Example.com:80/a", "http://host.org/private/x?y", "http://host.org/privateer", None]
    >>> match_urls(pa.array(urls), listed).to_pylist()
    [True, True, False, False]
    """
    form = r"^(?:[A-Za-z][A-Za-z0-9+.-]*://)?(?:[^/?#@]*@)?(?P<host>[^/?#:]*)(?::[0-9]*)?(?P<path>[^?#]*)"
    parts = pc.extract_regex(pc.fill_null(urls.cast(pa.string()), ""), form)
    host = pc.utf8_rtrim(pc.utf8_lower(pc.struct_field(parts, "host")), ".")
    found = pc.is_in(host, value_set=listed)
    address = pc.utf8_rtrim(pc.binary_join_element_wise(host, pc.struct_field(parts, "path"), ""), "/")
    for _ in range(_MAX_LABELS):  # a column at a time: one label, one segment shorter
        found = pc.or_(found, pc.or_(pc.is_in(host, value_set=listed), pc.is_in(address, value_set=listed)))
        host = pc.replace_substring_regex(host, r"^[^.]*\.?", "")
        address = pc.replace_substring_regex(address, "/[^/]*$", "")
    return found


def _listed(paths: Sequence[Path]) -> pa.Array:
    """Entries of plain lists, sorted, each once: hosts and hashes in lower case, as words are compared anyway."""
    entries: set[str] = set()
    for path in paths:
        if not path.is_file():
            raise SourceError(f"no list at {path}; set blocklist.words, blocklist.urls or blocklist.hashes")
        try:
            entries.update(map(_entry, read_own_lines(path)))
        except UnicodeDecodeError as error:
            raise SourceError(f"{path}: {error}; set blocklist to lists in UTF-8") from None
    return pa.array(sorted(entries - {""}), pa.string())


def _entry(line: str) -> str:
    """An entry without its comment, scheme and last slash; a host's letters are small.

    >>> _entry("HTTPS://Example.com/Path/  # since 2020")
    'example.com/Path'
    """
    entry = _COMMENT.sub("", line).strip()
    scheme, mark, rest = entry.partition("://")
    host, slash, path = (rest if mark else scheme).partition("/")
    return f"{host.lower()}{slash}{path}".rstrip("/")
