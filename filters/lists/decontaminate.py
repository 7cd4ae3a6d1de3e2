"""Decontamination: which passages of evaluation sets a document holds, and how much of them.

A passage is found in a document that has

- ``ngram`` words of it in a row; of a shorter passage two fifths of its words, at least ``short_ngram``;
- or half (``threshold``) of its 5-grams, wherever they stand. A 5-gram that many passages of a benchmark share
  (a question's standing words) weighs little: log(1 + passages / passages with it);
- or, of 8 to 15 words, all of them but one, or all of them in two pieces with up to 64 words between.

Case, punctuation, white space and full width forms do not matter. Every Han and kana character is a word; Thai, Lao,
Burmese and Khmer are cut into pieces of about three characters. A passage of no more than ``short_ngram`` words is too
short to tell from chance, and is reported as such. Which documents are dropped is decided by rules, not here.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.corpus.stage import Measured
from gristmill.corpus.tables import read_part
from gristmill.corpus.text._kernels import word_capacity
from gristmill.corpus.text.columns import TextColumn
from gristmill.filters.lists import _kernels_passages as kernels
from gristmill.filters.lists.evaluation_sets import Passages, Sets, folded, load_passages
from gristmill.filters.lists.stage import BenchmarkFacts, ContaminationFacts, Decontaminate

PASSAGES = pa.schema(
    [
        pa.field("doc_id", pa.string(), False),
        pa.field("benchmark", pa.string(), False),
        pa.field("item", pa.string(), False),  # its own id, or else its row in the benchmark's files
        pa.field("passage", pa.int64(), False),  # its row in the benchmark's files, one after the other
        pa.field("share", pa.float64(), False),  # of its 5-grams, by weight
        pa.field("words", pa.int64(), False),  # most of them in a row
    ]
)
_FIRST_CAPACITY = 1 << 12


def prepare(options: Decontaminate, sets: Sets) -> Passages:
    """Read the evaluation sets: .jsonl, .jsonl.gz or .parquet with a passage in ``text_field``.

    Sets that the options do not name are documents of evaluation sources: each document is a passage.

    Raises
    ------
    SourceError, SchemaError : a set is missing or has no such field
    """
    named, own = options.sets.keys(), sorted(sets.keys() - options.sets.keys())
    frozen, documents = (tuple((name, tuple(sets[name])) for name in some) for some in (named, own))
    return load_passages(frozen, documents, options.text_field, options.id_field, options.ngram, options.short_ngram)


def measure(batch: pa.RecordBatch, options: Decontaminate, state: Passages) -> Measured:
    """The largest share of a passage in each document, how many passages it holds, and which."""
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
    text = folded(batch.column("text").cast(pa.large_string()))
    best, hits = np.empty(text.n_docs), np.empty((_FIRST_CAPACITY, 4), np.int64)
    n = _overlaps(text, passages, threshold, best, hits)
    if n > len(hits):
        hits = np.empty((n, 4), np.int64)
        _overlaps(text, passages, threshold, best, hits)
    documents, found, weights, rows = hits[:n][np.lexsort((hits[:n, 1], hits[:n, 0]))].T
    owners = np.searchsorted(passages.firsts_of, found, "right") - 1
    pairs = [
        batch.column("doc_id").cast(pa.string()).take(pa.array(documents)),
        pa.array(passages.benchmarks, pa.string()).take(pa.array(owners)),
        passages.items.take(pa.array(found)),
        pa.array(found - passages.firsts_of[owners]),
        pa.array(weights / passages.totals[found]),
        pa.array(rows),
    ]
    counts = np.bincount(documents, minlength=text.n_docs).astype(float)
    signals = {"contamination": pa.array(best), "contaminated_passages": pa.array(counts)}
    return signals, pa.record_batch(pairs, schema=PASSAGES)


def _overlaps(text: TextColumn, passages: Passages, threshold: float, best: np.ndarray, hits: np.ndarray) -> int:
    capacity = word_capacity(text.offsets)
    scratch = (tuple(np.empty((4, capacity), np.int64)), *np.empty((2, capacity), np.uint64))
    entries, row_of = len(passages.index[2]), passages.index[5]
    n_passages, unseen = len(passages.totals), -1
    state = (
        np.full(entries, unseen, np.int64),
        np.empty(entries, np.int64),
        np.full(entries, unseen, np.int64),
        np.full(n_passages, unseen, np.int64),
        *np.empty((2, n_passages), np.int64),
        np.empty(n_passages, np.bool_),
        np.full((row_of.max(initial=0) + 1, kernels.NEAR_MAX + 1), unseen, np.int64),
    )
    touched = np.empty(n_passages, np.int64)
    return kernels.overlaps(*text, *passages[3:], threshold, scratch, state, touched, best, hits)
