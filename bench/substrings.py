"""Repeated substrings and lines: spans from Parquet files, against a suffix array.

    python bench/substrings.py [--data DIR] [--quick] [--json]

1. Runs of 50 tokens that occur earlier in the corpus, MB of text per CPU second: ours from Parquet to spans, of the
   peer only suffix array (pydivsufsort) and LCP array (Kasai) of the text in memory; what it would take to read, to
   find the runs in the arrays and to write spans is not counted. Both must cover the same tokens of each document.
2. Peak memory of the same work, above that of the process with its imports.
3. Repeated lines, from Parquet to spans, and again without the reading of Parquet.
"""

import re
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench.compare

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from bench.compare import Comparison, cpu_seconds, options, run_peer, say
from bench.planted import SAMPLES, _batch
from gristmill.corpus.schema import DOCUMENTS
from gristmill.corpus.tables import write_part
from gristmill.corpus.text._kernels import CJK, char_class
from gristmill.dedup.repeats.lines import line_spans
from gristmill.dedup.repeats.substrings import substring_spans

HOUSE = Path(__file__).resolve().parent.parent
MIN_TOKENS, MIN_CHARS = 50, 30
QUICK_BYTES, MAX_BYTES = 4 << 20, 100 << 20
WARM = [("0", "a b c d e f g h " * 20, None), ("1", "a b c d e f g h " * 20, None)]


def texts_of(data: Path | None, max_bytes: int) -> list[str]:
    """Real texts in all languages, chosen by hash when there are more than wanted.

    Without the two control characters that separate tokens and documents for the peer (26 fortunes have one).
    """
    folders = [data / "text"] if data else [HOUSE / "samples" / name for name in SAMPLES]
    paths = sorted(path for folder in folders for path in folder.glob("*.parquet"))
    tables = [pq.read_table(path, columns=["text"]) for path in paths if "text" in pq.read_schema(path).names]
    texts = [text for text in pa.concat_tables(tables)["text"].to_pylist() if not {"\x01", "\x02"} & set(text)]
    share = max_bytes / sum(len(text.encode()) for text in texts)
    return [text for text in texts if xxhash.xxh3_64_intdigest(text[:200].encode()) < share * 2**64]


def write(rows: list[tuple], folder: Path) -> Path:
    path = folder / "documents.parquet"
    write_part(path, DOCUMENTS, (_batch(rows[i : i + 500]) for i in range(0, len(rows), 500)))
    return path


def kept_rows(path: Path) -> pa.Table:
    table = pq.read_table(path, columns=["doc_id", "source"])
    return table.append_column("row", pa.array(range(len(table)), pa.int64()))


def run(work: str, path: Path) -> tuple[list, dict]:
    """One stage in a folder of its own: its spans and facts."""
    with tempfile.TemporaryDirectory() as name:
        if work == "substrings":
            outcome = substring_spans([path], [kept_rows(path)], Path(name), min_tokens=MIN_TOKENS)
        else:
            outcome = line_spans([path], [kept_rows(path)], Path(name), unit="line", min_chars=MIN_CHARS)
        return pq.read_table(Path(name) / "spans.parquet").to_pylist(), dict(outcome.facts)


def peak_mb() -> float:
    """Peak memory of this process; getrusage would start from that of the process that started it."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) * 1024 / 1e6


def measured(work: str, path: Path, warm: Path) -> dict:
    """In a process of its own: CPU seconds, memory above that of the warm process, what was found."""
    run(work, warm)
    before = peak_mb()
    spans, facts = run(work, path)
    peak = peak_mb()
    seconds, _ = cpu_seconds(lambda: run(work, path))
    reading, _ = cpu_seconds(lambda: list(_row_groups(path)))
    return {"seconds": seconds, "reading": reading, "rss_mb": peak - before, "spans": spans, "facts": facts}


def _row_groups(path: Path):
    with pq.ParquetFile(path, memory_map=True) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group, columns=["doc_id", "text"], use_threads=False).num_rows


def token_pattern() -> re.Pattern:
    """White-space words, Han and kana one by one."""
    points = {point for point in range(0x110000) if char_class(point) & CJK}
    first, last = (sorted(point for point in points if point + step not in points) for step in (-1, 1))
    own = "".join(f"{chr(a)}-{chr(b)}" for a, b in zip(first, last, strict=True))
    return re.compile(f"[{own}]|[^\\s{own}]+")


def covered(rows: list[tuple], spans: list[dict], pattern: re.Pattern) -> list[list[int]]:
    """[document, first token, tokens] of our spans."""
    place = {row[0]: (number, row[1].encode()) for number, row in enumerate(rows)}
    found = []
    for row in spans:
        number, data = place[row["doc_id"]]
        for span in row["spans"]:
            before, inside = data[: span["start"]].decode(), data[span["start"] : span["end"]].decode()
            found.append([number, len(pattern.findall(before)), len(pattern.findall(inside))])
    return sorted(found)


def substrings(rows: list[tuple], ours: dict, folder: Path) -> list[Comparison]:
    pattern = token_pattern()
    documents = ("".join(f"\x01{token}" for token in pattern.findall(text)) + "\x01\x02" for _, text, _ in rows)
    (folder / "tokens").write_bytes("".join(documents).encode())
    request = {"text": str(folder / "tokens"), "min_tokens": MIN_TOKENS}
    theirs = run_peer("substrings", "substrings_divsufsort.py", request)
    equal = covered(rows, ours["spans"], pattern) == theirs["covered"]
    found, peer = theirs["covered"], ("pydivsufsort + Kasai LCP", theirs["version"])
    rates = megabytes(rows) / ours["seconds"], megabytes(rows) / theirs["cpu_seconds"]
    memory = ours["rss_mb"], theirs["rss_mb"]
    note = (
        f"{megabytes(rows):.1f} MB, {ours['facts']['tokens']:,} tokens, "
        f"{sum(n for *_, n in found):,} of them covered by {len(found):,} spans"
    )
    work = f"substring duplicates of {MIN_TOKENS} tokens"
    return [
        Comparison(work, *peer, "MB/CPU-s", *rates, rates[0] / rates[1], ">= 5x", equal, memory[0], note),
        Comparison(f"memory of {work}", *peer, "MB", *memory, memory[0] / memory[1], "<= 0.33x", equal, memory[0]),
    ]


def lines(rows: list[tuple], ours: dict) -> list[Comparison]:
    facts = ours["facts"]
    note = (
        f"{megabytes(rows):.1f} MB, {facts['units']:,} lines of {MIN_CHARS} characters or more, "
        f"{facts['duplicates']:,} duplicates"
    )
    timings = {"file to spans": ours["seconds"], "without the reading of Parquet": ours["seconds"] - ours["reading"]}
    none = (None, None, ">= 500 MB/CPU-s", None)
    return [
        Comparison(f"line duplicates, {how}", "-", "-", "MB/CPU-s", megabytes(rows) / s, *none, ours["rss_mb"], note)
        for how, s in timings.items()
    ]


def megabytes(rows: list[tuple]) -> float:
    return sum(len(text.encode()) for _, text, _ in rows) / 1e6


def main() -> None:
    arguments = options(__doc__).parse_args()
    texts = texts_of(arguments.data, QUICK_BYTES if arguments.quick else MAX_BYTES)
    rows = sorted((xxhash.xxh3_128_hexdigest(str(i).encode()), text, None) for i, text in enumerate(texts))
    fresh = ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1)
    with tempfile.TemporaryDirectory() as name, fresh as pool:
        folders = [Path(name) / "all", Path(name) / "warm"]
        for folder in folders:
            folder.mkdir()
        paths = write(rows, folders[0]), write(WARM, folders[1])
        for found in substrings(rows, pool.submit(measured, "substrings", *paths).result(), Path(name)):
            say(found, arguments.json)
        for found in lines(rows, pool.submit(measured, "lines", *paths).result()):
            say(found, arguments.json)


if __name__ == "__main__":
    main()
