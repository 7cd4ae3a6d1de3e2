"""Line rules against datatrove's C4QualityFilter, and their own rate.

    python bench/line_edits.py [--data DIR] [--quick] [--json]

1. The text that C4 leaves of every document, ours by cutting spans, theirs as the filter rewrites it (white space at
   the ends of a page, which datatrove strips, left aside); and the verdicts of the profile c4@edited. Both systems
   differ in known ways; with those aligned (in datatrove, see bench/peers/filters_datatrove.py) no document may differ.
2. MB of text per CPU second: of both, and of the two readings on all text.
"""

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench.compare

import numpy as np
import pyarrow as pa

from bench.compare import Comparison, cpu_seconds, options, peak_rss_mb, say
from bench.filters import Input, ask_datatrove, cut, load, load_twin, passes
from gristmill.corpus.span_tables import merge_spans, span_rows, spans_column
from gristmill.filters.decide.profiles import PROFILES
from gristmill.filters.line_edits.find_edits import READINGS, REASONS, find_edits, measure_edits
from gristmill.filters.signals.measure import measure

KNOBS = {  # a known difference, and its reason
    "lines": "datatrove ends lines at 10 further characters, we at line feeds alone",
    "c4_words": "datatrove counts white-space words, we every Han and kana character",
    "lower": "datatrove lowers all of Unicode, we ASCII",
    "digits": "datatrove takes [1] out with the digits of every script, we with those of ASCII",
}


def edited(batch: pa.RecordBatch) -> list[str]:
    """The text that C4's spans leave of each document, by the path that the mill goes: table, merged, cut."""
    found, _ = find_edits(batch, "c4")
    table = merge_spans(
        [pa.Table.from_batches([span_rows(batch["doc_id"], spans_column(batch.num_rows, found, REASONS))])]
    )
    spans = dict(zip(table["doc_id"].to_pylist(), table["spans"].to_pylist(), strict=True))
    out = []
    for doc_id, text in zip(batch["doc_id"].to_pylist(), batch["text"].to_pylist(), strict=True):
        data, pieces, at = text.encode(), [], 0
        for span in spans.get(doc_id, ()):
            pieces.append(data[at : span["start"]])
            at = span["end"]
        out.append(b"".join([*pieces, data[at:]]).decode().strip())
    return out


def compare_edits(given: Input, documents: int, words: str) -> Iterator[Comparison]:
    """Text and verdicts: all knobs aligned must leave nothing; each knob alone is counted."""
    chosen = given.sampled(documents)
    batches = list(cut(chosen.texts))
    readings = [list(KNOBS), [], *([other for other in KNOBS if other != knob] for knob in KNOBS)]
    theirs = ask_datatrove(chosen.texts, words=words, work="edits", readings=readings)
    seconds, _ = cpu_seconds(lambda: [find_edits(batch, "c4") for batch in batches])
    texts = [text for batch in batches for text in edited(batch)]
    left = pa.concat_tables([pa.table(measure_edits(batch, ["c4"])[0]) for batch in batches])
    signals = pa.Table.from_batches([measure(batch) for batch in batches])
    for column in left.column_names[1:]:
        signals = signals.append_column(column, left[column])
    passed = passes(signals, PROFILES["c4@edited"].rules)
    known = [
        (
            sum(ours != other for ours, other in zip(texts, reading["texts"], strict=True)),
            int((passed != np.array(reading["passes"])).sum()),
        )
        for reading in theirs["readings"]
    ]
    rates = [chosen.megabytes / seconds, chosen.megabytes / theirs["readings"][1]["cpu_seconds"]]
    for place, work in enumerate(("c4 edited text", "verdicts of c4@edited")):
        note = ", ".join(f"{knob} {differ[place]}" for knob, differ in zip(KNOBS, known[2:], strict=True))
        yield Comparison(
            work=f"{work} on {len(texts)} documents",
            peer="datatrove",
            peer_version=theirs["version"],
            unit="documents that differ, known differences aligned",
            ours=known[0][place],
            theirs=None,
            ratio=None,
            target="0",
            equal=known[0][place] == 0,
            rss_mb=peak_rss_mb(),
            note=f"as datatrove reads: {known[1][place]}; by {note}; {int(passed.sum())} pass",
        )
    yield Comparison("c4 line rules", "datatrove", theirs["version"], "MB/CPU-s", round(rates[0], 1),
                     round(rates[1], 3), round(rates[0] / rates[1], 1), "reported", known[0][0] == 0,
                     peak_rss_mb())  # fmt: skip


def rate(given: Input, reading: str, repeats: int) -> Comparison:
    """One reading on all text."""
    batches = given.batches()
    find_edits(batches[0], reading)
    seconds, _ = cpu_seconds(lambda: list(map(partial(find_edits, reading=reading), batches)), repeats)
    work = f"line rules {reading}, {given.megabytes:.1f} MB"
    return Comparison(work, "", "", "MB/CPU-s", round(given.megabytes / seconds, 1), None, None, ">= 200", None,
                      peak_rss_mb())  # fmt: skip


def main() -> None:
    arguments = options(__doc__).parse_args()
    given, quick = load(arguments.data), arguments.quick
    for reading in READINGS:
        say(rate(given.spaced(8) if quick else given, reading, 5), arguments.json)
    for found in compare_edits(given, 300 if quick else 3000, load_twin().CJK):
        say(found, arguments.json)


if __name__ == "__main__":
    main()
