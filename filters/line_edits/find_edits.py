r"""Line edits: which lines of a document published recipes cut, as spans over its bytes and as signals.

Two readings, each with the reasons of its spans:

``c4``
    datatrove 0.10 C4QualityFilter, of a line stripped of white space: ``blank``; ``long_word`` (over 1000 characters);
    ``no_terminal_punct`` (ends in none of . ! ? " ' or in three dots); ``few_words`` (under 3); ``javascript``;
    ``policy`` (six phrases). A line that stays loses ``citation`` ([], [12], [edit], [citation needed]) and ``space``
    at its ends.
``refinedweb@dclm``
    dclm_baseline_refinedweb.yaml, of a line as it stands: ``uppercase`` (over half of its characters); ``numeric``
    (digits alone); ``counter`` (3 likes); ``short`` (under 2 words); in lines of at most 10 words the phrases
    ``items_in_cart``, ``read_more`` (at the end, and any three characters) and ``sign_in`` (at the beginning) go with a
    blank, and the line when nothing is left. Empty lines stay.

Where both differ from their sources: lines end at line feeds alone, a Han or kana character is a word, case is folded
and digits are read in ASCII. DCLM strips the page between its rules, here the ends of a page are judged as they stand.
No line decides about its document: rules on the signals do (profiles ``c4@edited`` and ``refinedweb@dclm``).
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.corpus.account import Account, add_up
from gristmill.corpus.errors import UnknownNameError
from gristmill.corpus.receipt import Outcome
from gristmill.corpus.schema import SPANS, signals_schema
from gristmill.corpus.source_accounts import passed_by_source
from gristmill.corpus.span_tables import spans_batch
from gristmill.corpus.tables import PartWriter, read_batches
from gristmill.corpus.text._kernels import word_capacity
from gristmill.corpus.text.columns import text_column
from gristmill.filters.line_edits import _kernels as kernels
from gristmill.filters.line_edits import _kernels_found as counts
from gristmill.filters.signals.measure import Signal

VERSION = "1"
READINGS = {"c4": kernels.C4, "refinedweb@dclm": kernels.DCLM}
REASONS = (  # in the order of the kernels
    *(
        f"c4:{reason}"
        for reason in (
            "blank", "long_word", "no_terminal_punct", "few_words", "javascript", "policy", "citation", "space",
        )
    ),
    *(
        f"refinedweb:{reason}"
        for reason in ("uppercase", "numeric", "counter", "short", "items_in_cart", "read_more", "sign_in")
    ),
)  # fmt: skip
FILE = "line_edits.parquet"
_BYTES_A_SPAN = 16  # room for one in so many bytes of text; pages are mapped only where spans reach


def _signals_of(reading: str) -> Iterator[Signal]:
    prefix, source = reading.split("@")[0], f"line rules {reading}"
    words = "of those that begin with a letter or digit"
    yield Signal(f"{prefix}_cut_line_share", "share of text lines", "text lines that are cut whole", source)
    yield Signal(f"{prefix}_cut_word_share", "share of words", f"words that are cut, {words}", source)
    yield Signal(f"{prefix}_cut_char_share", "share of characters", "characters that are cut", source)
    yield Signal(f"{prefix}_words_left", "words", f"words that are left, {words}", source)
    yield Signal(f"{prefix}_sentences_left", "sentences", "sentences in the lines that are left", source)
    if prefix == "c4":
        yield Signal("c4_lorem_ipsum_left", "lines", 'lines with "lorem ipsum" that end well and have 3 words', source)
        yield Signal("c4_curly_brackets_left", "lines", "such lines with {, and without javascript", source)


SIGNALS_OF = {reading: tuple(_signals_of(reading)) for reading in READINGS}
LINE_SIGNALS = {signal.name: signal for signals in SIGNALS_OF.values() for signal in signals}


def find_edits(batch: pa.RecordBatch, reading: str) -> tuple[np.ndarray, np.ndarray]:
    r"""What one reading cuts from a batch.

    Parameters
    ----------
    batch : ``text``, n_docs rows, no nulls, valid UTF-8
    reading : of ``READINGS``

    Returns
    -------
    int64[n_spans, 4]: document, start and end in bytes of its text, place in ``REASONS``; by document and line, apart.
    int64[n_docs, 9]: counts, see ``_kernels_edits_found``

    >>> spans, _ = find_edits(pa.record_batch({"text": ["It is on.[1]\nmenu\n"]}), "c4")
    >>> [(start, end, REASONS[reason]) for _, start, end, reason in spans.tolist()]
    [(9, 12, 'c4:citation'), (13, 18, 'c4:no_terminal_punct')]
    """
    check_readings([reading])
    text = text_column(batch)
    longest = int(np.diff(text.offsets).max(initial=0))
    scratch = kernels.make_scratch(word_capacity(text.offsets), longest)
    totals = np.empty((text.n_docs, counts.N_TOTALS), np.int64)
    found = np.empty((len(text.data) // _BYTES_A_SPAN, 4), np.int64)
    n = kernels.edit_lines(*text, READINGS[reading], scratch, found, totals)
    if n > len(found):
        found = np.empty((n, 4), np.int64)
        n = kernels.edit_lines(*text, READINGS[reading], scratch, found, totals)
    found = found[:n]
    found[:, 1:3] -= text.offsets[found[:, 0], None]
    return found, totals


def signals_of_totals(totals: np.ndarray, reading: str) -> dict[str, np.ndarray]:
    """The signals of a reading, double[n_docs] by name, from the counts of ``find_edits``."""

    def over(part: int, whole: int) -> np.ndarray:
        return totals[:, part] / np.maximum(totals[:, whole], 1)

    values = [
        over(counts.LINES_CUT, counts.LINES),
        over(counts.WORDS_CUT, counts.WORDS),
        over(counts.CHARS_CUT, counts.CHARS),
        totals[:, counts.WORDS] - totals[:, counts.WORDS_CUT],
        *totals[:, [counts.SENTENCES, counts.LOREM, counts.CURLY]].T,
    ]
    names = [signal.name for signal in SIGNALS_OF[reading]]
    return {name: value.astype(float) for name, value in zip(names, values, strict=False)}


def measure_edits(batch: pa.RecordBatch, rules: Sequence[str]) -> tuple[pa.RecordBatch, np.ndarray]:
    r"""Signals of ``edits_schema(rules)`` of a batch with doc_id and text, and the spans of all its readings.

    >>> batch = pa.record_batch({"doc_id": ["d"], "text": ["LOUD WORDS\nA quiet line."]})
    >>> signals, spans = measure_edits(batch, ["refinedweb@dclm"])
    >>> signals["refinedweb_cut_word_share"][0].as_py(), spans.tolist()
    (0.4, [[0, 0, 11, 8]])
    """
    columns: dict[str, np.ndarray] = {}
    spans = []
    for reading in rules:
        found, totals = find_edits(batch, reading)
        columns |= signals_of_totals(totals, reading)
        spans.append(found)
    arrays = [batch.column("doc_id").cast(pa.string()), *(pa.array(column) for column in columns.values())]
    found = np.concatenate(spans)
    return pa.record_batch(arrays, schema=edits_schema(rules)), found[np.lexsort((found[:, 1], found[:, 0]))]


def edits_schema(rules: Sequence[str]) -> pa.Schema:
    """doc_id and the signals of the readings."""
    return signals_schema({signal.name: signal.unit for reading in rules for signal in SIGNALS_OF[reading]})


def edit_part(documents: Path, folder: Path, *, rules: Sequence[str], domains: Sequence[str] = ()) -> Outcome:
    """Judge the lines of one part: ``line_edits.parquet``, row-aligned with ``documents``, and ``spans.parquet``.

    Parameters
    ----------
    rules : readings of ``READINGS``; where two cut the same bytes the earlier span gives the reason
    domains : spans are written for documents of these alone, for all when empty; signals for every document

    Returns
    -------
    Outcome with the rows, documents and bytes passed on by source, and in ``facts`` the bytes of the spans by reason

    Raises
    ------
    UnknownNameError : a reading that nobody knows

    Cost
    ----
    One pass over the text for each reading; memory is a row group of text and its spans.
    """
    check_readings(rules)
    accounts: list[dict[str, Account]] = []
    n_bytes = np.zeros(len(REASONS), np.int64)
    columns = ["doc_id", "source", "domain", "text"]
    with PartWriter(folder / FILE, edits_schema(rules)) as writer, PartWriter(folder / "spans.parquet", SPANS) as edits:
        for batch in read_batches(documents, columns):
            signals, found = measure_edits(batch, rules)
            found = found[_chosen(batch.column("domain"), domains)[found[:, 0]]]
            np.add.at(n_bytes, found[:, 3], found[:, 2] - found[:, 1])
            writer.write(signals)
            edits.write(spans_batch(signals.column("doc_id"), found, REASONS))
            accounts.append(passed_by_source(batch.column("source"), pc.binary_length(batch.column("text"))))
    return Outcome(writer.rows, add_up(accounts), {"bytes_by_reason": bytes_by_reason(n_bytes), "edited": edits.rows})


def bytes_by_reason(n_bytes: np.ndarray) -> Mapping[str, int]:
    """Bytes int64[n_reasons] under their names; reasons that cut nothing are left out."""
    return {reason: int(n) for reason, n in zip(REASONS, n_bytes, strict=True) if n}


def check_readings(rules: Sequence[str]) -> None:
    """Raise for a reading that nobody knows, naming the nearest."""
    for reading in rules:
        if reading not in READINGS:
            raise UnknownNameError("reading in line_edits.rules", reading, READINGS)


def _chosen(column: pa.Array, domains: Sequence[str]) -> np.ndarray:
    """bool[n_docs]: the document's domain is one of these; all when there are none."""
    if not domains:
        return np.ones(len(column), bool)
    return pc.is_in(column, pa.array(list(domains), column.type)).to_numpy(zero_copy_only=False)
