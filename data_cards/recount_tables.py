"""The tables of a run counted for ``recount``: languages, records, rows, spans. Text is never read."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.corpus.languages import primary_subtags
from gristmill.corpus.receipt import Receipt
from gristmill.corpus.rundir import RunDir
from gristmill.corpus.whole_columns import coded, whole

Key = tuple[str | None, ...]
Counted = Mapping[Key, tuple[int, ...]]
WHITE_SPACE = r"[\s\p{Cc}]+"


class Tables(NamedTuple):
    """Where the tables of a run lie."""

    run: RunDir
    folder_of: Callable[[Receipt], Path]

    def paths(self, stage: str, file: str) -> list[Path]:
        """A file of every part of a stage; none where it did not run."""
        parts = self.run.manifest(stage).parts if self.run.has(stage) else ()
        return [self.folder_of(part) / file for part in parts]


def _columns(path: Path, *names: str) -> pa.Table:
    """Columns of a part; ``pq.read_table`` would plan a data set first, 3 ms a file."""
    with pq.ParquetFile(path, memory_map=True) as file:
        return file.read(columns=list(names), use_threads=False)


def languages(tables: Tables) -> Counted:
    """By the model's label, else by the one of the input."""
    (path,) = tables.paths("decide", "kept.parquet")
    kept = _columns(path, "part", "row")
    parts, rows = (kept[name].to_numpy() for name in ("part", "row"))
    stage, file, column = ("language", "language.parquet", "lang_id")
    if not tables.run.has(stage):
        stage, file, column = ("documents", "documents.parquet", "lang")
    parts_of_run = zip(tables.paths(stage, file), tables.paths("signals", "signals.parquet"), strict=True)
    counted = [_labels(*paths, column, rows[parts == part]) for part, paths in enumerate(parts_of_run)]
    units = ("documents", "bytes", "kept")
    sums = pa.concat_tables(counted).group_by("lang").aggregate([(unit, "sum") for unit in units]).to_pylist()
    return {(row["lang"],): tuple(row[f"{unit}_sum"] for unit in units) for row in sums}


def _labels(path: Path, signals: Path, column: str, kept: np.ndarray) -> pa.Table:
    """A row for each document of a part: lang, documents = 1, bytes, kept = 0 or 1."""
    text = pc.replace_substring_regex(_columns(path, column)[column], WHITE_SPACE, " ")
    text = pc.utf8_trim_whitespace(text)
    text = primary_subtags(text)[0] if column == "lang" else text  # what an input states may be no language
    stays = np.zeros(len(text), np.int64)
    stays[kept] = 1
    return pa.table(
        {
            "lang": pc.if_else(pc.equal(text, ""), None, text),
            "documents": np.ones(len(text), np.int64),
            "bytes": _columns(signals, "bytes")["bytes"].cast(pa.int64()),
            "kept": stays,
        }
    )


def rejects(tables: Tables) -> Counted:
    """Records by source and reason."""
    counts: Counter[Key] = Counter()
    for path in tables.paths("documents", "rejects.parquet"):
        table = _columns(path, "source", "reason")
        counts.update(zip(table["source"].to_pylist(), table["reason"].to_pylist(), strict=True))
    return {key: (n,) for key, n in counts.items()}


def records(tables: Tables, rejects: Counted) -> Counted:
    """What was read from a source: its documents, and its records that did not become one."""
    counts: Counter[str | None] = Counter()
    for path in tables.paths("documents", "documents.parquet"):
        counts.update(_columns(path, "source")["source"].to_pylist())
    for (source, _), (records,) in rejects.items():
        counts[source] += records
    return {(source,): (n,) for source, n in counts.items()}


def rows(tables: Tables) -> Counted:
    """Rows, tokens and documents that begin there, from the shards themselves."""
    return {(stage, domain): _packed(folder) for stage, domain, folder in _domains(tables)}


def tokens(rows: Counted) -> Counted:
    """Tokens of a domain are those of its rows, held out or not: nothing is cut off in packing."""
    total: Counter[str | None] = Counter()
    for (_, domain), (_, tokens, _) in rows.items():
        total[domain] += tokens
    return {(domain,): (n,) for domain, n in total.items()}


def _domains(tables: Tables) -> Iterator[tuple[str, str, Path]]:
    for stage in ("shards", "heldout"):
        for folder in sorted((tables.run.path / stage).glob("*")) if tables.run.has(stage) else ():
            yield stage, folder.name, folder


def _packed(folder: Path) -> tuple[int, int, int]:
    rows = tokens = documents = 0
    for path in sorted(folder.glob("*.arrow")):
        with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as stream:
            for batch in stream:
                pieces = batch["documents"].flatten()
                rows += batch.num_rows
                tokens += pc.sum(pieces.field("length")).as_py() or 0
                documents += pc.sum(pc.equal(pieces.field("offset"), 0)).as_py() or 0
    return rows, tokens, documents


def emptied(tables: Tables) -> Counted:
    """By source: kept documents that were not encoded."""
    left = Counter(_sources_of(tables.paths("decide", "kept.parquet")))
    left.subtract(_sources_of(tables.paths("tokens", "tokens.parquet")))
    return {(source,): (n,) for source, n in left.items()}


def _sources_of(paths: list[Path]) -> list[str]:
    return [source for path in paths for source in _columns(path, "source")["source"].to_pylist()]


def edits(tables: Tables) -> Counted:
    """Documents, spans and bytes by source and reason."""
    flat = [_spans(_columns(path, "source", "spans")) for path in tables.paths("edits", "kept.parquet")]
    if not flat:
        return {}
    sums = [("document", "count_distinct"), ([], "count_all"), ("bytes", "sum")]
    rows = pa.concat_tables(flat).group_by(["source", "reason"]).aggregate(sums).to_pylist()
    units = ("document_count_distinct", "count_all", "bytes_sum")
    return {(row["source"], row["reason"]): tuple(row[unit] for unit in units) for row in rows}


def _spans(kept: pa.Table) -> pa.Table:
    """One row for each span: source, reason, document (its place), bytes."""
    lists = whole(kept["spans"])
    spans, documents = lists.flatten(), pc.list_parent_indices(lists)
    size = pc.subtract(spans.field("end"), spans.field("start")).cast(pa.int64())
    sources = coded(kept["source"]).take(documents)
    return pa.table({"source": sources, "reason": spans.field("reason"), "document": documents, "bytes": size})
