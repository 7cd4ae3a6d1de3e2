"""The counts of a card, counted again from the tables of its run by other code: no function is shared with ``gather``.

Pyarrow and numpy here, polars there. Text is never read; memory is bounded by the ledger and a part's small columns.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.corpus.receipt import Receipt
from gristmill.corpus.rundir import RunDir
from gristmill.data_cards.card import Card

Key = tuple[str | None, ...]
Counted = Mapping[Key, tuple[int, ...]]
WHITE_SPACE = r"[\s\p{Cc}]+"
TAKEDOWN = "takedown"  # a reason without a row: what was taken down left no reject


class Tables(NamedTuple):
    """Where the tables of a run lie."""

    run: RunDir
    folder_of: Callable[[Receipt], Path]

    def paths(self, stage: str, file: str) -> list[Path]:
        """A file of every part of a stage; none where it did not run."""
        parts = self.run.manifest(stage).parts if self.run.has(stage) else ()
        return [self.folder_of(part) / file for part in parts]


def recount_mistakes(card: Card, tables: Tables) -> Iterator[str]:
    """Each count of the card that is not the one of the tables, in one sentence."""
    documents = _documents(tables)
    rules = {_rule(drop): (drop.documents, drop.bytes, drop.alone) for drop in card.drops}
    merged = {(kind.rule,): (kind.documents, kind.bytes) for kind in card.dedup.merged}
    encoded: Counted = {(one.domain,): (one.tokens,) for one in card.tokenizer.encoded}
    by_verdict = _grouped(documents, ["source", "domain", "verdict"])
    yield from compare("verdicts", ("documents", "bytes"), _carded_verdicts(card), by_verdict)
    yield from compare("sources", SOURCE_UNITS, _carded_sources(card), _sources(documents))
    yield from compare("drops", ("documents", "bytes", "alone"), rules, _rules(tables))
    yield from compare("drops by source", ("documents",), _carded_rule_sources(card), _rule_sources(tables))
    yield from compare("merged", ("documents", "bytes"), merged, _merged(tables))
    yield from compare("languages", ("documents", "bytes", "kept"), _carded_languages(card), _languages(tables))
    yield from compare("rejects", ("records",), _carded_rejects(card), _rejects(tables))
    yield from compare("rows", ("rows", "tokens", "documents"), _carded_rows(card), _rows(tables))
    yield from compare("tokens", ("tokens",), encoded, _tokens(tables))
    yield from compare("edits", ("documents", "spans", "bytes"), _carded_edits(card), _edits(tables))


def compare(name: str, units: Key, carded: Counted, counted: Counted) -> Iterator[str]:
    """Counts that differ; what is zero may be left out.

    >>> list(compare("merged", ("documents", "bytes"), {("exact",): (3, 9)}, {("exact",): (3, 8)}))
    ['merged of exact: bytes is 9 in the card, 8 in the tables']
    """
    nothing = (0,) * len(units)
    for key in sorted(carded.keys() | counted.keys(), key=str):
        of = ", ".join(map(str, key))
        for unit, one, other in zip(units, carded.get(key, nothing), counted.get(key, nothing), strict=True):
            if one != other:
                yield f"{name} of {of}: {unit} is {one} in the card, {other} in the tables"


# ------------------------------------------------------------------------------------------------ the ledger


def _ledger(tables: Tables) -> pa.Table:
    (path,) = tables.paths("decide", "ledger.parquet")
    return pq.read_table(path, columns=["doc_id", "source", "domain", "verdict", "bytes", *RULE])


RULE = ["rule", "signal", "bound", "profile"]


def _documents(tables: Tables) -> pa.Table:
    """One row for each document of the ledger: source, domain, verdict, bytes."""
    keys = ["doc_id", "source", "domain", "verdict"]
    return _ledger(tables).group_by(keys).aggregate([("bytes", "max")]).rename_columns([*keys, "bytes"])


def _carded_verdicts(card: Card) -> Counted:
    return {(row.source, row.domain, row.verdict): (row.documents, row.bytes) for row in card.verdicts}


def _sources(documents: pa.Table) -> Counted:
    fates = _grouped(documents, ["source", "verdict"])
    return {
        (source,): tuple(fates.get((source, fate), (0, 0))[unit] for unit in (0, 1) for fate in FATES)
        for source in {key[0] for key in fates}
    }


FATES = ("kept", "dropped", "merged")
SOURCE_UNITS = (*FATES, "kept_bytes", "dropped_bytes", "merged_bytes")


def _carded_sources(card: Card) -> Counted:
    """Bytes of dropped and merged documents stand in the account of decide alone."""
    accounts = next((one.sources for one in card.funnel if one.stage == "decide"), {})
    return {
        (source.name,): (
            *(source.kept, source.dropped, source.merged),
            *(source.kept_bytes, accounts[source.name].bytes_dropped, accounts[source.name].bytes_merged),
        )
        for source in card.sources
        if source.name in accounts
    }


def _rule(drop: object) -> Key:
    return tuple(getattr(drop, name) for name in RULE)


def _failed(tables: Tables) -> pa.Table:
    ledger = _ledger(tables)
    return ledger.filter(pc.equal(ledger["verdict"], "dropped"))


def _rules(tables: Tables) -> Counted:
    failed = _failed(tables)
    times = Counter(failed["doc_id"].to_pylist())
    once = pa.array([times[doc_id] == 1 for doc_id in failed["doc_id"].to_pylist()], pa.bool_())
    both, alone = _grouped(failed, RULE), _grouped(failed.filter(once), RULE)
    return {key: (*counts, alone.get(key, (0, 0))[0]) for key, counts in both.items()}


def _rule_sources(tables: Tables) -> Counted:
    return {key: counts[:1] for key, counts in _grouped(_failed(tables), [*RULE, "source"]).items()}


def _carded_rule_sources(card: Card) -> Counted:
    return {(*_rule(drop), source): (n,) for drop in card.drops for source, n in drop.sources.items()}


def _merged(tables: Tables) -> Counted:
    ledger = _ledger(tables)
    return _grouped(ledger.filter(pc.equal(ledger["verdict"], "merged")), ["rule"])


def _grouped(table: pa.Table, keys: list[str]) -> Counted:
    """Rows and bytes by ``keys``."""
    grouped = table.group_by(keys).aggregate([([], "count_all"), ("bytes", "sum")])
    rows = zip(*(grouped[name].to_pylist() for name in [*keys, "count_all", "bytes_sum"]), strict=True)
    return {tuple(row[:-2]): (row[-2], row[-1] or 0) for row in rows}


# ------------------------------------------------------------------------------------------------ parts


def _carded_languages(card: Card) -> Counted:
    return {(row.lang,): (row.documents, row.bytes, row.kept) for row in card.languages}


def _languages(tables: Tables) -> Counted:
    """By the model's label, else by the one of the input."""
    (path,) = tables.paths("decide", "kept.parquet")
    kept = pq.read_table(path, columns=["part", "row"])
    parts, rows = (kept[name].to_numpy() for name in ("part", "row"))
    stage, file, column = ("language", "language.parquet", "lang_id")
    if not tables.run.has(stage):
        stage, file, column = ("documents", "documents.parquet", "lang")
    total: Counter[tuple[str | None, int]] = Counter()
    labels = tables.paths(stage, file)
    for part, (path, signals) in enumerate(zip(labels, tables.paths("signals", "signals.parquet"), strict=True)):
        names = _flattened(pq.read_table(path, columns=[column])[column])
        sizes = pq.read_table(signals, columns=["bytes"])["bytes"].to_pylist()
        is_kept = np.zeros(len(names), bool)
        is_kept[rows[parts == part]] = True
        for name, n_bytes, stays in zip(names, sizes, is_kept.tolist(), strict=True):
            for unit, n in enumerate((1, int(n_bytes), int(stays))):
                total[name, unit] += n
    return {(name,): tuple(total[name, unit] for unit in (0, 1, 2)) for name, _ in total}


def _flattened(column: pa.ChunkedArray) -> list[str | None]:
    text = pc.utf8_trim_whitespace(pc.replace_substring_regex(column, WHITE_SPACE, " "))
    return [value or None for value in text.to_pylist()]


def _rejects(tables: Tables) -> Counted:
    counts: Counter[Key] = Counter()
    for path in tables.paths("documents", "rejects.parquet"):
        table = pq.read_table(path, columns=["source", "reason"])
        counts.update(zip(table["source"].to_pylist(), table["reason"].to_pylist(), strict=True))
    return {key: (n,) for key, n in counts.items()}


def _carded_rejects(card: Card) -> Counted:
    return {(row.source, row.reason): (row.records,) for row in card.rejects if row.reason != TAKEDOWN}


# ------------------------------------------------------------------------------------------------ rows, cuts


def _rows(tables: Tables) -> Counted:
    """Rows, tokens and documents that begin there, from the shards themselves."""
    return {(stage, domain): _packed(folder) for stage, domain, folder in _domains(tables)}


def _carded_rows(card: Card) -> Counted:
    stages = {"shards": card.shards_by_domain, "heldout": card.heldout_by_domain}
    return {
        (stage, domain): (one.rows, one.tokens, one.documents)
        for stage, domains in stages.items()
        for domain, one in domains.items()
    }


def _tokens(tables: Tables) -> Counted:
    """Tokens of a domain are those of its rows, held out or not: nothing is cut off in packing."""
    total: Counter[str] = Counter()
    for _, domain, folder in _domains(tables):
        total[domain] += _packed(folder)[1]
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


def _carded_edits(card: Card) -> Counted:
    return {(one.source, one.reason): (one.documents, one.spans, one.bytes) for one in card.edits}


def _edits(tables: Tables) -> Counted:
    """Documents, spans and bytes by source and reason."""
    counts: Counter[tuple[str, str, int]] = Counter()
    for path in tables.paths("edits", "kept.parquet"):
        table = pq.read_table(path, columns=["source", "spans"])
        for source, spans in zip(table["source"].to_pylist(), table["spans"].to_pylist(), strict=True):
            for reason in {span["reason"] for span in spans}:
                counts[source, reason, 0] += 1
            for span in spans:
                counts[source, span["reason"], 1] += 1
                counts[source, span["reason"], 2] += span["end"] - span["start"]
    return {(source, reason): tuple(counts[source, reason, unit] for unit in (0, 1, 2)) for source, reason, _ in counts}
