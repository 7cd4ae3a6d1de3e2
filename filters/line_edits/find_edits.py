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

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.corpus.errors import UnknownNameError
from gristmill.corpus.span_tables import spans_column
from gristmill.corpus.stage import Measured
from gristmill.corpus.text._kernels import word_capacity
from gristmill.corpus.text.columns import text_column
from gristmill.filters.line_edits import _kernels as kernels
from gristmill.filters.line_edits import _kernels_found as counts
from gristmill.filters.line_edits.stage import READINGS as NAMES
from gristmill.filters.line_edits.stage import SIGNALS_OF, LineEdits, LineEditsFacts

READINGS: dict[str, int] = dict(zip(NAMES, (kernels.C4, kernels.DCLM), strict=True))
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
_BYTES_A_SPAN = 16  # room for one in so many bytes of text; pages are mapped only where spans reach


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


def measure(batch: pa.RecordBatch, options: LineEdits, state: None) -> Measured:  # noqa: ARG001
    r"""Signals of every document, and the spans of all readings in documents of the named domains.

    Where two readings cut the same bytes, the earlier span gives the reason when spans are merged.

    >>> batch = pa.record_batch({"domain": ["web"], "text": ["LOUD WORDS\nA quiet line."]})
    >>> found = measure(batch, LineEdits(rules=("refinedweb@dclm",)), None)
    >>> found.columns["refinedweb_cut_word_share"][0].as_py(), found.facts.bytes_by_reason
    (0.4, {'refinedweb:uppercase': 11})
    """
    columns, spans = measure_edits(batch, options.rules)
    spans = spans[_chosen(batch.column("domain"), options.domains)[spans[:, 0]]]
    n_bytes = np.zeros(len(REASONS), np.int64)
    np.add.at(n_bytes, spans[:, 3], spans[:, 2] - spans[:, 1])
    facts = LineEditsFacts(bytes_by_reason(n_bytes), len(np.unique(spans[:, 0])))
    return Measured(columns, spans_column(batch.num_rows, spans, REASONS), facts)


def measure_edits(batch: pa.RecordBatch, rules: Sequence[str]) -> tuple[dict[str, pa.Array], np.ndarray]:
    """Signals by name, double[n_docs] each, and the spans of all readings, int64[n_spans, 4] by document and start."""
    columns: dict[str, np.ndarray] = {}
    spans = []
    for reading in rules:
        found, totals = find_edits(batch, reading)
        columns |= signals_of_totals(totals, reading)
        spans.append(found)
    found = np.concatenate(spans)
    arrays = {name: pa.array(column) for name, column in columns.items()}
    return arrays, found[np.lexsort((found[:, 1], found[:, 0]))]


def bytes_by_reason(n_bytes: np.ndarray) -> dict[str, int]:
    """Bytes int64[n_reasons] under their names; reasons that cut nothing are left out."""
    return {reason: int(n) for reason, n in zip(REASONS, n_bytes, strict=True) if n}


def check_readings(rules: Sequence[str]) -> None:
    """Raise for an unknown reading, naming the nearest."""
    for reading in rules:
        if reading not in READINGS:
            raise UnknownNameError("reading in line_edits.rules", reading, READINGS)


def _chosen(column: pa.Array, domains: Sequence[str]) -> np.ndarray:
    """bool[n_docs]: the document's domain is one of these; all when there are none."""
    if not domains:
        return np.ones(len(column), bool)
    return pc.is_in(column, pa.array(list(domains), column.type)).to_numpy(zero_copy_only=False)
