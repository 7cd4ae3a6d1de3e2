"""The counts of a card, counted again from the tables of its run by other code: no function is shared with ``gather``.

Pyarrow and numpy here, polars there. Text is never read; memory is bounded by the ledger and a part's small columns.
"""

from collections import Counter
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.corpus.whole_columns import coded
from gristmill.data_cards import recount_tables
from gristmill.data_cards.card import Card
from gristmill.data_cards.recount_tables import Counted, Key, Tables

TAKEDOWN = "takedown"  # a reason without a row: what was taken down left no reject


def recount_mistakes(card: Card, tables: Tables) -> Iterator[str]:
    """Each count of the card that is not the one of the tables, in one sentence."""
    yield from _ledger_mistakes(card, _ledger(tables))
    encoded: Counted = {(one.domain,): (one.tokens - one.without_targets,) for one in card.tokenizer.encoded}
    rows = recount_tables.rows(tables)
    languages, rejects = recount_tables.languages(tables), recount_tables.rejects(tables)
    yield from compare("languages", ("documents", "bytes", "kept"), _carded_languages(card), languages)
    yield from compare("rejects", ("records",), _carded_rejects(card), rejects)
    yield from compare("records", ("records",), _carded_records(card), recount_tables.records(tables, rejects))
    yield from compare("rows", ("rows", "tokens", "documents"), _carded_rows(card), rows)
    yield from compare("tokens", ("tokens",), encoded, recount_tables.tokens(rows))
    emptied: Counted = {(source.name,): (source.emptied,) for source in card.sources}
    yield from compare("emptied", ("documents",), emptied, recount_tables.emptied(tables))
    yield from compare("edits", ("documents", "spans", "bytes"), _carded_edits(card), recount_tables.edits(tables))


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
    table = pq.read_table(path, columns=["doc_id", "source", "domain", "verdict", "bytes", *RULE])
    number = coded(table["doc_id"]).indices  # of its document: grouped by names it takes three times the memory
    return table.drop_columns("doc_id").append_column("document", number)


RULE = ["rule", "signal", "bound", "profile"]


def _documents(ledger: pa.Table) -> pa.Table:
    """One row for each document: source, domain, verdict, bytes."""
    keys = ["document", "source", "domain", "verdict"]
    return ledger.group_by(keys).aggregate([("bytes", "max")]).rename_columns([*keys, "bytes"])


def _carded_verdicts(card: Card) -> Counted:
    return {(row.source, row.domain, row.verdict): (row.documents, row.bytes) for row in card.verdicts}


def _sources(documents: pa.Table) -> Counted:
    outcomes = _grouped(documents, ["source", "verdict"])
    return {
        (source,): tuple(outcomes.get((source, outcome), (0, 0))[unit] for unit in (0, 1) for outcome in VERDICTS)
        for source in {key[0] for key in outcomes}
    }


VERDICTS = ("kept", "dropped", "merged")
SOURCE_UNITS = (*VERDICTS, "kept_bytes", "dropped_bytes", "merged_bytes")


def _carded_sources(card: Card) -> Counted:
    """Bytes by verdict stand in the account of decide."""
    accounts = next((one.sources for one in card.funnel if one.stage == "decide"), {})
    return {
        (source.name,): (
            *(source.kept + source.emptied, source.dropped, source.merged),
            *(getattr(accounts[source.name], f"bytes_{verdict}") for verdict in VERDICTS),
        )
        for source in card.sources
        if source.name in accounts
    }


def _rule(drop: object) -> Key:
    return tuple(getattr(drop, name) for name in RULE)


def _rules(dropped: pa.Table) -> Counted:
    times = dropped.group_by("document").aggregate([([], "count_all")])
    once = times.filter(pc.equal(times["count_all"], 1))["document"]
    both = _grouped(dropped, RULE)
    alone = _grouped(dropped.filter(pc.is_in(dropped["document"], value_set=once)), RULE)
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


# ------------------------------------------------------------------------------------------------ what the card says


def _carded_languages(card: Card) -> Counted:
    return {(row.lang,): (row.documents, row.bytes, row.kept) for row in card.languages}


def _carded_records(card: Card) -> Counted:
    taken: Counter[str] = Counter()
    for row in card.rejects:
        taken[row.source] += row.records * (row.reason == TAKEDOWN)
    return {(source.name,): (source.records - taken[source.name],) for source in card.sources}


def _carded_rejects(card: Card) -> Counted:
    return {(row.source, row.reason): (row.records,) for row in card.rejects if row.reason != TAKEDOWN}


def _carded_rows(card: Card) -> Counted:
    stages = {"shards": card.shards_by_domain, "heldout": card.heldout_by_domain}
    return {
        (stage, domain): (one.rows, one.tokens, one.documents)
        for stage, domains in stages.items()
        for domain, one in domains.items()
    }


def _carded_edits(card: Card) -> Counted:
    return {(one.source, one.reason): (one.documents, one.spans, one.bytes) for one in card.edits}
