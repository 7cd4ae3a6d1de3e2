"""Evaluation sets: read record by record, and indexed by grams of their words; ``decontaminate`` scores documents."""

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.corpus.errors import SchemaError, SourceError
from gristmill.corpus.tables import read_part
from gristmill.corpus.text._kernels import word_capacity
from gristmill.corpus.text.columns import TextColumn, text_column
from gristmill.filters.lists import _kernels_passages as kernels
from gristmill.filters.lists.rarity import costs_of
from gristmill.filters.signals._kernels_words import fill_keys

_FIXED = 1 << 20  # weights are summed as integers: the order of words does not matter
_STANDING = 10  # passages of one benchmark, or 1 in 100 of it, that share a 5-gram: it is no mark of any of them
_COMBINING, _OTHER_FORMS = (0xCC, 0xCD), (0xC3, 0xC4, 0xCF, 0xEF)  # lead bytes of accents; of what ``fold_forms`` folds

Sets = Mapping[str, Sequence[Path]]
Frozen = tuple[tuple[str, tuple[Path, ...]], ...]


class Passages(NamedTuple):
    """All passages, ready to look up; see ``_kernels_passages.overlaps``."""

    benchmarks: tuple[str, ...]
    items: pa.Array  # string[n_passages]: the item's own id, or its row in the benchmark's files
    firsts_of: np.ndarray  # int64[n_benchmarks + 1]: first passage of each benchmark
    gate: np.ndarray
    keys: np.ndarray
    ranges: np.ndarray
    index: tuple[np.ndarray, ...]
    totals: np.ndarray  # int64[n_passages]; 0 for one that is too short
    needed: np.ndarray  # int64[n_passages]: words in a row


@lru_cache(maxsize=2)
def load_passages(
    sets: Frozen,
    documents: Frozen = (),
    text_field: str = "text",
    id_field: str = "id",
    ngram: int = 13,
    short_ngram: int = 7,
) -> Passages:
    """Read evaluation sets and index their grams, once a process; ``documents``: sets of files of documents.

    Raises
    ------
    SourceError, SchemaError : a set is missing or has no such field
    """
    found = [[one for path in paths for one in read_items(path, text_field, id_field)] for _, paths in sets]
    found += [[one for path in paths for one in read_items(path, "text", "doc_id")] for _, paths in documents]
    firsts = np.cumsum([0, *map(len, found)]).astype(np.int64)
    ids = [str(number) if name is None else name for one in found for number, (name, _) in enumerate(one)]
    texts = pa.array([text for one in found for _, text in one], pa.large_string())
    names = tuple(name for name, _ in (*sets, *documents))
    return _indexed(names, pa.array(ids, pa.string()), firsts, folded(texts), (ngram, short_ngram))


def read_items(path: Path, text_field: str, id_field: str) -> Iterator[tuple[str | None, str]]:
    """(id, passage) of each record of a file; the id is None where there is none. Sets are small: record by record."""
    if not path.is_file():
        raise SourceError(f"no evaluation set at {path}; set decontaminate.sets")
    if path.suffix == ".parquet":
        names = pq.read_schema(path).names
        if text_field not in names:
            raise SchemaError(f"{path} has no column {text_field!r}; set decontaminate.text_field")
        table = read_part(path, [name for name in (text_field, id_field) if name in names])
        ids = table[id_field].to_pylist() if id_field in names else [None] * len(table)
        for name, text in zip(ids, table[text_field].to_pylist(), strict=True):
            yield None if name is None else str(name), text or ""
        return
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                record = json.loads(line)
                name = record.get(id_field)
                yield None if name is None else str(name), _text(record[text_field])
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise SourceError(
                    f"{path}:{number} has no {text_field!r} ({error!r}); set decontaminate.text_field"
                ) from None


def _text(value: object) -> str:
    if not isinstance(value, str | None):
        raise TypeError(f"{type(value).__name__} is no text")
    return value or ""


# ------------------------------------------------------------------------------------------------ text


def folded(texts: pa.Array) -> TextColumn:
    """Texts as they are compared: lower case, full width letters and digits narrow, accents composed."""
    column = text_column(pa.table({"text": pc.utf8_lower(texts)}))
    accents = [np.flatnonzero(column.data == lead) for lead in _COMBINING]
    if any(len(places) for places in accents):
        chosen = np.zeros(column.n_docs, np.bool_)
        chosen[np.searchsorted(column.offsets, np.concatenate(accents), "right") - 1] = True
        composed = pc.utf8_normalize(texts.filter(pa.array(chosen)), "NFC")
        texts = pc.replace_with_mask(texts, pa.array(chosen), composed)
        column = text_column(pa.table({"text": pc.utf8_lower(texts)}))
    if any((column.data == lead).any() for lead in _OTHER_FORMS):
        narrow = TextColumn(np.empty_like(column.offsets), np.zeros_like(column.data))
        kernels.fold_forms(*column, *narrow)
        column = narrow
    return column


# ------------------------------------------------------------------------------------------------ index


def _indexed(
    names: tuple[str, ...], items: pa.Array, firsts_of: np.ndarray, column: TextColumn, in_a_row: tuple[int, int]
) -> Passages:
    """Passages with more than ``short_ngram`` words, by their seeds; in_a_row: (ngram, short_ngram)."""
    ngram, short_ngram = in_a_row
    words_of, firsts = _words(column)
    sizes = np.diff(firsts)
    owners, places = np.repeat(np.arange(len(sizes)), sizes), np.arange(len(words_of)) - np.repeat(firsts[:-1], sizes)
    long_enough = (sizes > short_ngram)[owners]
    seeds, grams = np.zeros((2, len(words_of)), np.uint64)
    kernels.place_grams(words_of, firsts, kernels.SEED, seeds)
    kernels.place_grams(words_of, firsts, kernels.GRAM, grams)
    counts = _sharing(grams, owners, firsts_of)
    n_passages = np.diff(firsts_of)[np.searchsorted(firsts_of, owners, "right") - 1]
    weights = np.rint(np.log1p(n_passages / np.maximum(counts, 1)) * _FIXED).astype(np.int64)
    weights[(grams == 0) | ~long_enough] = 0
    totals = np.bincount(owners, weights, len(sizes)).astype(np.int64)
    entries = np.flatnonzero((seeds != 0) & long_enough)
    entries = entries[np.lexsort((-places[entries], owners[entries], seeds[entries]))]
    place_of = np.full(len(words_of) + 1, -1, np.int64)
    place_of[entries] = np.arange(len(entries))
    before = np.where(places[entries] > 0, place_of[entries - 1], -1)
    many = np.maximum(_STANDING, n_passages // 100)
    standing = counts > many
    short = (sizes >= kernels.NEAR_MIN) & (sizes <= kernels.NEAR_MAX) & (sizes > short_ngram)
    index = (
        firsts,
        words_of,
        np.column_stack([owners[entries], places[entries], before]),
        np.where(before >= 0, weights[entries - 1], 0),  # of the 5-gram that begins a word before the seed
        (before >= 0) & standing[entries - 1],
        np.where(short, np.cumsum(short) - 1, -1),
        costs_of(column, firsts, short),
        (_sharing(seeds, owners, firsts_of) > many)[entries],
    )
    needed = np.where(short, short_ngram - 1, np.clip(sizes * 2 // 5, short_ngram, ngram))
    return Passages(names, items, firsts_of, *_look_up(seeds[entries]), index, totals, needed)


def _words(column: TextColumn) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of all words, and where those of each passage begin."""
    places = word_capacity(column.offsets)
    scratch = tuple(np.empty((4, places), np.int64))
    hashes, ends = np.empty(len(column.data) // 2 + 2 * column.n_docs + 2, np.uint64), np.empty(column.n_docs, np.int64)
    kernels.hash_passages(*column, scratch, hashes, ends)
    firsts = np.concatenate([np.zeros(1, np.int64), ends])
    return hashes[: firsts[-1]].copy(), firsts


def _sharing(grams: np.ndarray, owners: np.ndarray, firsts_of: np.ndarray) -> np.ndarray:
    """How many passages of the same benchmark have the gram that begins at each place."""
    order = np.lexsort((owners, grams))
    sorted_grams, passages = grams[order], owners[order]
    benchmarks = np.searchsorted(firsts_of, passages, "right") - 1
    changes = np.ones((3, len(order)), np.bool_)
    for row, values in enumerate((sorted_grams, benchmarks, passages)):
        changes[row, 1:] = values[1:] != values[:-1]
    groups = np.cumsum(changes[0] | changes[1]) - 1
    counts = np.empty(len(order), np.int64)
    counts[order] = np.bincount(groups, changes.any(axis=0))[groups] if len(order) else 0
    return counts


def _look_up(seeds: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(gate, keys, range of entries of each key) of seeds in order."""
    distinct, begins, n_entries = np.unique(seeds, return_index=True, return_counts=True)
    keys = np.zeros(1 << (4 * len(distinct) + 8).bit_length(), np.uint64)  # a quarter full: most look-ups end at once
    slots = np.empty(len(distinct), np.int64)
    fill_keys(distinct, keys, slots)
    ranges = np.zeros((len(keys), 2), np.int64)
    ranges[slots] = np.column_stack([begins, begins + n_entries])
    gate = np.zeros(kernels.GATE_WORDS, np.uint64)
    kernels.fill_gate(distinct, gate)
    return gate, keys, ranges
