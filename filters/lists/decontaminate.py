"""Decontamination: how much of a benchmark's passages a document holds, by n-grams of words weighted by rarity.

A passage counts by its grams of ``ngram`` words, or of ``short_ngram`` when it has fewer; one with fewer than those is
too short to tell from chance and is reported as such. A gram that many passages of a benchmark share (a question's
standing words) weighs little: log(1 + passages / passages with it). A document's score is the largest share of a
passage's weight that it holds; case, punctuation and white space do not matter.
"""

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
from gristmill.corpus.stage import Measured
from gristmill.corpus.tables import read_part
from gristmill.corpus.text._kernels import word_capacity
from gristmill.corpus.text.columns import TextColumn, text_column
from gristmill.filters.lists import _kernels
from gristmill.filters.lists.stage import BenchmarkFacts, ContaminationFacts, Decontaminate
from gristmill.filters.signals._kernels_words import fill_keys

PASSAGES = pa.schema(
    [
        pa.field("doc_id", pa.string(), False),
        pa.field("benchmark", pa.string(), False),
        pa.field("passage", pa.int64(), False),  # its row in the benchmark's files, one after the other
        pa.field("share", pa.float64(), False),
    ]
)
_FIXED = 1 << 20  # weights are summed as integers: the order of words does not matter
_FIRST_CAPACITY = 1 << 12

Sets = Mapping[str, Sequence[Path]]
Frozen = tuple[tuple[str, tuple[Path, ...]], ...]


class Passages(NamedTuple):
    """Grams of all passages, ready to look up; see ``_kernels.overlaps``."""

    benchmarks: tuple[str, ...]
    firsts_of: np.ndarray  # int64[n_benchmarks + 1]: first passage of each benchmark
    widths: np.ndarray  # int64: gram widths in use
    gate: np.ndarray
    keys: np.ndarray
    ranges: np.ndarray
    entries: np.ndarray
    weights: np.ndarray
    totals: np.ndarray  # int64[n_passages]; 0 for one that is too short


def prepare(options: Decontaminate, sets: Sets) -> Passages:
    """Read the evaluation sets: .jsonl, .jsonl.gz or .parquet with a passage in ``text_field``.

    Sets that the options do not name are documents of evaluation sources: each document is a passage.

    Raises
    ------
    SourceError, SchemaError : a set is missing or has no such field
    """
    named, own = options.sets.keys(), sorted(sets.keys() - options.sets.keys())
    frozen, documents = (tuple((name, tuple(sets[name])) for name in some) for some in (named, own))
    return load_passages(frozen, options.text_field, options.ngram, options.short_ngram, documents)


def measure(batch: pa.RecordBatch, options: Decontaminate, state: Passages) -> Measured:
    """The largest share of a passage in each document, the passages it holds from the threshold up, and which."""
    columns, pairs = score(batch, state, options.threshold)
    if not batch.num_rows or batch["source"][0].as_py() not in set(state.benchmarks) - set(options.sets):
        return Measured(columns, tables={"passages.parquet": pairs})
    nothing = pa.array(np.zeros(batch.num_rows))  # a part is of one source; documents of an evaluation source are a set
    return Measured(dict.fromkeys(columns, nothing), tables={"passages.parquet": pairs.slice(0, 0)})


def conclude(facts: None, folder: Path, options: Decontaminate, state: Passages) -> ContaminationFacts:  # noqa: ARG001
    """The facts of a part; for several parts see ``contamination_report``."""
    return ContaminationFacts(contamination_report([folder], state))


def contamination_report(folders: Sequence[Path], passages: Passages) -> dict[str, BenchmarkFacts]:
    """By benchmark: its passages, those too short to look for, those found, and documents that hold one."""
    tables = [read_part(folder / "passages.parquet") for folder in folders]
    table = pa.concat_tables(tables) if tables else PASSAGES.empty_table()
    report = {}
    for place, name in enumerate(passages.benchmarks):
        totals = passages.totals[passages.firsts_of[place] : passages.firsts_of[place + 1]]
        mine = table.filter(pc.equal(table.column("benchmark"), name))
        found, documents = (pc.count_distinct(mine.column(column)).as_py() for column in ("passage", "doc_id"))
        report[name] = BenchmarkFacts(len(totals), int((totals == 0).sum()), found, documents)
    return report


def score(batch: pa.RecordBatch, passages: Passages, threshold: float) -> tuple[dict[str, pa.Array], pa.RecordBatch]:
    """The two signals of each document, and a row of ``PASSAGES`` for each passage that one holds."""
    text = lowered(batch, "text")
    places = word_capacity(text.offsets)
    scratch = (*np.empty((2, places), np.int64), *np.empty((2, places), np.uint64))
    best, hits = np.empty(text.n_docs), np.empty((_FIRST_CAPACITY, 3), np.int64)
    n = _overlaps(text, passages, threshold, scratch, best, hits)
    if n > len(hits):
        hits = np.empty((n, 3), np.int64)
        _overlaps(text, passages, threshold, scratch, best, hits)
    hits = hits[:n][np.lexsort((hits[:n, 1], hits[:n, 0]))]
    counts = np.bincount(hits[:, 0], minlength=text.n_docs).astype(float)
    doc_ids = batch.column("doc_id").cast(pa.string())
    owners = np.searchsorted(passages.firsts_of, hits[:, 1], "right") - 1
    pairs = [
        doc_ids.take(pa.array(hits[:, 0])),
        pa.array(passages.benchmarks, pa.string()).take(pa.array(owners)),
        pa.array(hits[:, 1] - passages.firsts_of[owners]),
        pa.array(hits[:, 2] / passages.totals[hits[:, 1]]),
    ]
    signals = {"contamination": pa.array(best), "contaminated_passages": pa.array(counts)}
    return signals, pa.record_batch(pairs, schema=PASSAGES)


def lowered(batch: pa.RecordBatch | pa.Table, name: str) -> TextColumn:
    """A text column in lower case, the same for ß and ss, as it comes back from upper case."""
    texts = pc.utf8_lower(batch.column(name).cast(pa.large_string()))
    return text_column(pa.table({name: pc.replace_substring(texts, "ß", "ss")}), name)


def _overlaps(
    text: TextColumn,
    passages: Passages,
    threshold: float,
    scratch: tuple[np.ndarray, ...],
    best: np.ndarray,
    hits: np.ndarray,
) -> int:
    n_passages = len(passages.totals)
    seen, stamps = np.full(len(passages.keys), -1, np.int64), np.full(n_passages, -1, np.int64)
    stamped = (seen, stamps, *np.empty((2, n_passages), np.int64))
    return _kernels.overlaps(*text, *passages[2:], threshold, scratch, stamped, best, hits)


# ------------------------------------------------------------------------------------------------ evaluation sets


@lru_cache(maxsize=2)
def load_passages(
    sets: Frozen, text_field: str = "text", ngram: int = 13, short_ngram: int = 8, documents: Frozen = ()
) -> Passages:
    """Read evaluation sets and index their grams, once a process; ``documents``: sets of files of documents."""
    texts = [[text for path in paths for text in _read(path, text_field)] for _, paths in sets]
    texts += [[text for path in paths for text in _read(path, "text")] for _, paths in documents]
    firsts = np.cumsum([0, *map(len, texts)]).astype(np.int64)
    column = lowered(pa.table({"text": pa.array([text for each in texts for text in each], pa.large_string())}), "text")
    grams, owners = _grams(column, ngram, short_ngram)
    weights = _weights(grams, owners, firsts)
    totals = np.zeros(firsts[-1], np.int64)
    np.add.at(totals, owners, weights)
    distinct, begins, n_entries = np.unique(grams, return_index=True, return_counts=True)
    keys = np.zeros(
        1 << (4 * len(distinct) + 8).bit_length(), np.uint64
    )  # a quarter full, so most look-ups end at once
    slots = np.empty(len(distinct), np.int64)
    fill_keys(distinct, keys, slots)
    ranges = np.zeros((len(keys), 2), np.int64)
    ranges[slots] = np.column_stack([begins, begins + n_entries])
    gate = np.zeros(_kernels.GATE_WORDS, np.uint64)
    _kernels.fill_gate(distinct, gate)
    widths = np.unique([short_ngram, ngram]).astype(np.int64)
    return Passages(
        tuple(name for name, _ in (*sets, *documents)), firsts, widths, gate, keys, ranges, owners, weights, totals
    )


def _grams(column: TextColumn, ngram: int, short_ngram: int) -> tuple[np.ndarray, np.ndarray]:
    """Distinct pairs of gram and passage, by gram."""
    places, capacity = word_capacity(column.offsets), len(column.data) + column.n_docs
    grams, passages = np.empty(capacity, np.uint64), np.empty(capacity, np.int64)
    starts, ends = np.empty((2, places), np.int64)
    n = _kernels.passage_grams(*column, ngram, short_ngram, starts, ends, np.empty(places, np.uint64), grams, passages)
    order = np.lexsort((passages[:n], grams[:n]))
    grams, passages = grams[order], passages[order]
    new = np.ones(n, np.bool_)
    new[1:] = (grams[1:] != grams[:-1]) | (passages[1:] != passages[:-1])
    return grams[new], passages[new]


def _weights(grams: np.ndarray, passages: np.ndarray, firsts: np.ndarray) -> np.ndarray:
    """log(1 + N / n) in fixed point: N passages of the benchmark, n of them with the gram. Pairs come by gram."""
    benchmarks = np.searchsorted(firsts, passages, "right") - 1
    new = np.ones(len(grams), np.bool_)
    new[1:] = (grams[1:] != grams[:-1]) | (benchmarks[1:] != benchmarks[:-1])
    groups = np.cumsum(new) - 1
    with_gram = np.bincount(groups)[groups] if len(groups) else groups
    return np.rint(np.log1p(np.diff(firsts)[benchmarks] / np.maximum(with_gram, 1)) * _FIXED).astype(np.int64)


def _read(path: Path, text_field: str) -> Iterator[str]:
    """Passages of one file; the reader of evaluation sets goes record by record, they are small."""
    if not path.is_file():
        raise SourceError(f"no evaluation set at {path}; set decontaminate.sets")
    if path.suffix == ".parquet":
        if text_field not in pq.read_schema(path).names:
            raise SchemaError(f"{path} has no column {text_field!r}; set decontaminate.text_field")
        yield from (text or "" for text in read_part(path, [text_field]).column(0).to_pylist())
        return
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield json.loads(line)[text_field]
            except (ValueError, KeyError, TypeError) as error:
                raise SourceError(
                    f"{path}:{number} has no {text_field!r} ({error!r}); set decontaminate.text_field"
                ) from None
