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
    yield from _ledger_mistakes(card, _ledger(tables))
    encoded: Counted = {(one.domain,): (one.tokens,) for one in card.tokenizer.encoded}
    rows = _rows(tables)
    yield from compare("languages", ("documents", "bytes", "kept"), _carded_languages(card), _languages(tables))
    yield from compare("rejects", ("records",), _carded_rejects(card), _rejects(tables))
    yield from compare("rows", ("rows", "tokens", "documents"), _carded_rows(card), rows)
    yield from compare("tokens", ("tokens",), encoded, _tokens(rows))
    yield from compare("edits", ("documents", "spans", "bytes"), _carded_edits(card), _edits(tables))


def _ledger_mistakes(card: Card, ledger: pa.Table) -> Iterator[str]:
    documents = _documents(ledger)
    dropped, merged = (ledger.filter(pc.equal(ledger["verdict"], verdict)) for verdict in ("dropped", "merged"))
    rules = {_rule(drop): (drop.documents, drop.bytes, drop.alone) for drop in card.drops}
    kinds = {(kind.rule,): (kind.documents, kind.bytes) for kind in card.dedup.merged}
    by_verdict = _grouped(documents, ["source", "domain", "verdict"])
    yield from compare("verdicts", ("documents", "bytes"), _carded_verdicts(card), by_verdict)
    yield from compare("sources", SOURCE_UNITS, _carded_sources(card), _sources(documents))
    yield from compare("drops", ("documents", "bytes", "alone"), rules, _rules(dropped))
    yield from compare("drops by source", ("documents",), _carded_rule_sources(card), _rule_sources(dropped))
    yield from compare("merged", ("documents", "bytes"), kinds, _grouped(merged, ["rule"]))


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


def _documents(ledger: pa.Table) -> pa.Table:
    """One row for each document: source, domain, verdict, bytes."""
    keys = ["doc_id", "source", "domain", "verdict"]
    return ledger.group_by(keys).aggregate([("bytes", "max")]).rename_columns([*keys, "bytes"])


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


def _rules(dropped: pa.Table) -> Counted:
    times = dropped.group_by("doc_id").aggregate([([], "count_all")])
    once = times.filter(pc.equal(times["count_all"], 1))["doc_id"]
    both = _grouped(dropped, RULE)
    alone = _grouped(dropped.filter(pc.is_in(dropped["doc_id"], value_set=once.combine_chunks())), RULE)
    return {key: (*counts, alone.get(key, (0, 0))[0]) for key, counts in both.items()}


def _rule_sources(dropped: pa.Table) -> Counted:
    return {key: counts[:1] for key, counts in _grouped(dropped, [*RULE, "source"]).items()}


def _carded_rule_sources(card: Card) -> Counted:
    return {(*_rule(drop), source): (n,) for drop in card.drops for source, n in drop.sources.items()}


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
    parts_of_run = zip(tables.paths(stage, file), tables.paths("signals", "signals.parquet"), strict=True)
    counted = [_labels(*paths, column, rows[parts == part]) for part, paths in enumerate(parts_of_run)]
    table = (
        pa.concat_tables(counted).group_by("lang").aggregate([(name, "sum") for name in ("documents", "bytes", "kept")])
    )
    return {
        (row["lang"],): tuple(row[f"{name}_sum"] for name in ("documents", "bytes", "kept"))
        for row in table.to_pylist()
    }


def _labels(path: Path, signals: Path, column: str, kept: np.ndarray) -> pa.Table:
    """A row for each document of a part: lang, documents = 1, bytes, kept = 0 or 1."""
    text = pc.replace_substring_regex(pq.read_table(path, columns=[column])[column], WHITE_SPACE, " ")
    text = pc.utf8_trim_whitespace(text)
    stays = np.zeros(len(text), np.int64)
    stays[kept] = 1
    return pa.table(
        {
            "lang": pc.if_else(pc.equal(text, ""), None, text),
            "documents": np.ones(len(text), np.int64),
            "bytes": pq.read_table(signals, columns=["bytes"])["bytes"].cast(pa.int64()),
            "kept": stays,
        }
    )


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


def _tokens(rows: Counted) -> Counted:
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


def _carded_edits(card: Card) -> Counted:
    return {(one.source, one.reason): (one.documents, one.spans, one.bytes) for one in card.edits}


def _edits(tables: Tables) -> Counted:
    """Documents, spans and bytes by source and reason."""
    flat = [_spans(pq.read_table(path, columns=["source", "spans"])) for path in tables.paths("edits", "kept.parquet")]
    if not flat:
        return {}
    sums = [("document", "count_distinct"), ([], "count_all"), ("bytes", "sum")]
    rows = pa.concat_tables(flat).group_by(["source", "reason"]).aggregate(sums).to_pylist()
    units = ("document_count_distinct", "count_all", "bytes_sum")
    return {(row["source"], row["reason"]): tuple(row[unit] for unit in units) for row in rows}


def _spans(kept: pa.Table) -> pa.Table:
    """One row for each span: source, reason, document (its place), bytes."""
    lists = kept["spans"].combine_chunks()
    spans, documents = lists.flatten(), pc.list_parent_indices(lists)
    size = pc.subtract(spans.field("end"), spans.field("start")).cast(pa.int64())
    sources = kept["source"].combine_chunks().take(documents)
    return pa.table({"source": sources, "reason": spans.field("reason"), "document": documents, "bytes": size})
