"""Personal data: how right on a gold set, how fast against the same rules in plain Python; see bench/pii.py too.

    python bench/quality_pii.py [--data DIR] [--quick] [--json]

1. Each kind of personal data on presidio's sentences (DIR/gold/pii_presidio.parquet): precision counts the finds that
   touch a gold span of the kind, recall the gold spans that a find touches. phone stands there twice: on all gold
   spans, and on the forms that are claimed (+, brackets, a trunk 0, North American, or a word beside it that says
   telephone); a bare local number has no form.
2. The scan against `re` and checksums on the same text, find by find; re looks for the four kinds of one pattern each.
"""

import gzip
import importlib.util
import io
import json
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench.compare

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from bench.compare import HOUSE, Comparison, cpu_seconds, options, peak_rss_mb, say
from gristmill.filters.pii.scan import KINDS, find

TWIN = HOUSE / "tests" / "filters" / "test_pii.py"
SAMPLES = HOUSE / "samples"
GOLD = {
    "email": "EMAIL_ADDRESS",
    "ipv4": "IP_ADDRESS",
    "card": "CREDIT_CARD",
    "iban": "IBAN_CODE",
    "phone": "PHONE_NUMBER",
}
CLAIMED = re.compile(r"\+|\(|0|(?:1[ .-])?[2-9]\d\d([ .-])\d{3}\1\d{4}(?!\d)")
WITNESS = re.compile(r"(?i)phone|\b(?:tel|mobile|cell|fax|desk|office|call|dial|ring|reach|contact|answering)\b")
WITNESS_CHARS = 20
TWIN_BYTES = 8 << 20
PLAIN_KINDS = ("email", "ipv4", "ipv6", "card")  # one pattern each; the twins of the others are written to be read
Finder = Callable[[str], Iterable[tuple[int, int]]]


def megabytes(texts: list[str]) -> float:
    """UTF-8 bytes of texts, in MB."""
    return sum(len(text.encode()) for text in texts) / 1e6


def batch_of(texts: list[str]) -> pa.RecordBatch:
    """doc_id and text."""
    return pa.record_batch({"doc_id": [str(n) for n in range(len(texts))], "text": pa.array(texts, pa.large_string())})


def rate(work: str, peer: str, ours: float, theirs: float, target: str, equal: bool, note: str = "") -> Comparison:
    """MB a CPU second of both."""
    return Comparison(work, peer, sys.version.split()[0], "MB/CPU s", ours, theirs, ours / theirs, target, equal,
                      peak_rss_mb(), note)  # fmt: skip


# ------------------------------------------------------------------------------------------------ personal data


def gold_spans(rows: list[dict]) -> dict[str, list[set[tuple[int, int]]]]:
    """By type and document: the byte spans."""
    spans: dict[str, list[set[tuple[int, int]]]] = defaultdict(lambda: [set() for _ in rows])
    for document, row in enumerate(rows):
        text = row["text"]
        for span in row["spans"]:
            start, end = (len(text[: span[edge]].encode()) for edge in ("start", "end"))
            spans[span["type"]][document].add((start, end))
    return spans


def is_claimed(text: str, start: int, end: int) -> bool:
    """Whether a phone number of the gold, in bytes, has a form that ``pii`` claims, or a word beside it."""
    data = text.encode()
    beside = data[max(0, start - WITNESS_CHARS) : start] + b"|" + data[end : end + WITNESS_CHARS]
    return bool(CLAIMED.match(data[start:end].decode()) or WITNESS.search(beside.decode(errors="ignore")))


def touched(some: list[set], others: list[set]) -> float:
    """Share of the spans in ``some`` that overlap one of ``others``."""
    hits = [
        any(start < other_end and other_start < end for other_start, other_end in theirs)
        for ours, theirs in zip(some, others, strict=True)
        for start, end in ours
    ]
    return sum(hits) / len(hits)


def personal_data(data: Path | None, _quick: bool) -> Iterator[Comparison]:
    """Precision and recall by kind; both IP kinds together, as the gold has them."""
    if data is None:
        raise LookupError("DIR/gold/pii_presidio.parquet")
    rows = pq.read_table(data / "gold" / "pii_presidio.parquet").to_pylist()
    gold = gold_spans(rows)
    found: dict[str, list[set]] = defaultdict(lambda: [set() for _ in rows])
    for document, start, end, kind in find(batch_of([row["text"] for row in rows])).tolist():
        found[KINDS[kind].replace("ipv6", "ipv4")][document].add((start, end))
    for kind, kind_of_gold in GOLD.items():
        finds, spans = found[kind], gold[kind_of_gold]
        precision, recall = touched(finds, spans), touched(spans, finds)
        note = f"precision {precision:.3f}, recall {recall:.3f} on {sum(map(len, spans))} spans"
        yield Comparison(f"personal data: {kind}", "presidio's gold set", "", "min(precision, recall)",
                         min(precision, recall), None, None, ">= 0.95", None, peak_rss_mb(), note)  # fmt: skip
    texts, phones = [row["text"] for row in rows], gold[GOLD["phone"]]
    claimed = [{span for span in spans if is_claimed(text, *span)} for text, spans in zip(texts, phones, strict=True)]
    recall = touched(claimed, found["phone"])
    note = f"{sum(map(len, claimed))} of {sum(map(len, phones))} spans"
    yield Comparison("personal data: phone, claimed forms", "presidio's gold set", "", "recall", recall, None, None,
                     ">= 0.95", None, peak_rss_mb(), note)  # fmt: skip


def texts_of(data: Path | None) -> list[str]:
    """Every text of DIR/text, or of the sample corpus."""
    if data is None:
        return sample_texts()
    paths = [path for path in sorted((data / "text").glob("*.parquet")) if "text" in pq.read_schema(path).names]
    return [text for path in paths for text in pq.read_table(path, columns=["text"])["text"].to_pylist()]


def scan_rate(data: Path | None, quick: bool) -> Iterator[Comparison]:
    """The scan against its twin, on all text and on what is left without documents that hold finds."""
    spec = importlib.util.spec_from_file_location("pii_twin", TWIN)
    twin = importlib.util.module_from_spec(spec)  # type: ignore
    spec.loader.exec_module(twin)  # type: ignore
    texts = texts_of(data)
    hit = {document for document, *_ in find(batch_of(texts)).tolist()}
    for name, chosen in (("all text", texts), ("sparse text", [t for n, t in enumerate(texts) if n not in hit])):
        batch = batch_of(chosen)
        seconds, _ = cpu_seconds(partial(find, batch))
        few = chosen[:: max(1, int(megabytes(chosen) * 1e6 / (TWIN_BYTES // (4 if quick else 1))))]
        ours = [[] for _ in few]
        for document, start, end, kind in find(batch_of(few), PLAIN_KINDS).tolist():
            ours[document].append((start, end, KINDS[kind]))
        finders = {kind: twin.FINDERS[kind] for kind in PLAIN_KINDS}
        plain_seconds, theirs = cpu_seconds(partial(plain_finds, few, finders), 1)
        note = "ours looks for all seven kinds, re for four"
        yield rate(f"PII scan, {name}", "Python re, the same rules", megabytes(chosen) / seconds,
                   megabytes(few) / plain_seconds, "100x", ours == theirs, note)  # fmt: skip


def plain_finds(texts: list[str], finders: dict[str, Finder]) -> list[list[tuple[int, int, str]]]:
    """Finds of each text by one pattern after the other; leftmost, then longest. Positions in bytes."""
    out = []
    for text in texts:
        finds = [(start, -end, kind) for kind, finder in finders.items() for start, end in finder(text)]
        kept, last = [], 0
        for start, end, kind in sorted(finds):
            if start >= last:
                last = -end
                kept.append((len(text[:start].encode()), len(text[:last].encode()), kind))
        out.append(kept)
    return out


def sample_texts() -> list[str]:
    """The sample corpus as texts; the web pages as one, from the WET file."""
    texts = []
    for path in sorted(SAMPLES.rglob("*.parquet")):
        if "knowledge" not in path.parts and path.stem != "not-a-parquet":
            texts += pq.read_table(path, columns=["text"])["text"].to_pylist()
    for path in sorted([*SAMPLES.glob("books/*.zst"), *SAMPLES.glob("forum/*.jsonl")]):
        raw = path.read_bytes()
        plain = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(raw)).read() if path.suffix == ".zst" else raw
        texts += [json.loads(line)["text"] for line in plain.split(b"\n") if line]
    return [*texts, gzip.open(SAMPLES / "web" / "debian-docs.warc.wet.gz").read().decode()]


SECTIONS = [personal_data, scan_rate]


def main() -> None:
    given = options(__doc__).parse_args()
    for section in SECTIONS:
        try:
            for found in section(given.data, given.quick):
                say(found, given.json)
        except LookupError as missing:
            print(f"{section.__name__}: left out, needs {missing}", file=sys.stderr)


if __name__ == "__main__":
    main()
