"""Stages that look at the whole corpus through its columns: clusters and decide. No text is read to decide."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from corpus.receipt import Manifest, Outcome
from flows.jobs import Job, job_key
from flows.mill import Mill
from flows.stages_ingest import DOCUMENTS
from flows.versions import stage_version

if TYPE_CHECKING:
    from filters.rules import Rule


def cluster(mill: Mill) -> Manifest:
    """Exact and verified near duplicates over all documents."""
    from dedup.clusters import cluster_documents

    near = mill.recipe.dedup.near.model_dump(exclude={"off"})
    options = {**near, "near": not mill.recipe.dedup.near.off}
    signatures = mill.run.manifest("signatures")
    key = job_key("clusters", stage_version("clusters"), [part.key for part in signatures.parts], **options)
    arguments = {
        "signatures": mill.refs("signatures", "signatures.parquet"),
        "documents": mill.refs("documents", DOCUMENTS),
        **options,
    }
    return mill.stage("clusters", [Job("clusters", key, cluster_documents, arguments)])


def decide(mill: Mill) -> Manifest:
    """Keep, drop or merge every document; then hold every source against its retention budget."""
    from filters.decide import check_budgets

    job = plan_decide(mill)
    manifest = mill.stage("decide", [job])
    budgets = {source.name: source.retention_budget for source in mill.recipe.sources}
    check_budgets(manifest.accounts, budgets, pq.read_table(mill.file("decide", "ledger.parquet")))
    return manifest


def plan_decide(mill: Mill) -> Job:
    """The one job of ``decide``."""
    rules = rules_by_domain(mill)
    options = {
        "priorities": {source.name: source.priority for source in mill.recipe.sources},
        "heldout": mill.recipe.shards.heldout,
        "seed": mill.recipe.seed,
    }
    stages = ["documents", "signals", "language", "mentions", "clusters"]
    inputs = {stage: mill.run.manifest(stage).key for stage in stages if mill.run.has(stage)}
    plain_rules = {domain: [_plain(rule) for rule in chosen] for domain, chosen in rules.items()}
    key = job_key("decide", stage_version("decide"), inputs, rules=plain_rules, **options)
    columns = {
        "signals": mill.refs("signals", "signals.parquet"),
        "language": mill.refs("language", "language.parquet") if mill.run.has("language") else [],
        "knowledge": mill.refs("mentions", "knowledge.parquet") if mill.run.has("mentions") else [],
        "clusters": mill.refs("clusters", "clusters.parquet"),
    }
    arguments = {"documents": mill.refs("documents", DOCUMENTS), **columns, "rules": rules, **options}
    return Job("decide", key, decide_stage, arguments)


def _plain(rule: "Rule") -> dict[str, Any]:
    """A rule as JSON, which has no infinities."""
    return asdict(rule) | {"at_least": str(rule.at_least), "at_most": str(rule.at_most)}


def rules_by_domain(mill: Mill) -> "dict[str, tuple[Rule, ...]]":
    """Each domain's rules: its own profiles and bounds when the recipe gives any, else the common ones."""
    from filters.rules import resolve

    chosen = {}
    for domain in mill.recipe.domains:
        spec = mill.recipe.decide.domains.get(domain, mill.recipe.decide)
        bounds = {name: (bound.at_least, bound.at_most, bound.off) for name, bound in spec.rules.items()}
        chosen[domain] = resolve(spec.profiles, bounds)
    return chosen


def decide_stage(
    documents: list[Path],
    signals: list[Path],
    language: list[Path],
    knowledge: list[Path],
    clusters: list[Path],
    folder: Path,
    **options: Any,
) -> Outcome:
    """Gather the columns of all parts, decide, and write ledger.parquet and kept.parquet."""
    from filters.decide import decide as decide_columns

    decision = decide_columns(
        document_columns(documents, signals, language),
        signal_columns(signals, knowledge),
        pa.concat_tables([pq.read_table(path) for path in clusters]),
        **options,
    )
    for name, table in {"ledger": decision.ledger, "kept": decision.kept}.items():
        pq.write_table(table, folder / f"{name}.parquet", compression="zstd", compression_level=1)
    return Outcome(decision.kept.num_rows, decision.accounts)


def document_columns(documents: list[Path], signals: list[Path], language: list[Path]) -> pa.Table:
    """doc_id, source, domain, lang_id, bytes, part and row of every document, in order; no text."""
    tables = []
    for number, path in enumerate(documents):
        table = pq.read_table(path, columns=["doc_id", "source", "domain"])
        if language:
            lang_id = pq.read_table(language[number], columns=["lang_id"])["lang_id"]
        else:
            lang_id = pa.nulls(table.num_rows, pa.string())
        n_bytes = pq.read_table(signals[number], columns=["bytes"])["bytes"].cast(pa.int64())
        table = table.append_column("lang_id", lang_id).append_column("bytes", n_bytes)
        table = table.append_column("part", pa.array(np.full(table.num_rows, number, np.int32)))
        tables.append(table.append_column("row", pa.array(np.arange(table.num_rows))))
    return pa.concat_tables(tables)


def signal_columns(signals: list[Path], knowledge: list[Path]) -> pa.Table:
    """Every signal of every document, those of the graph beside those of the text."""
    table = pa.concat_tables([pq.read_table(path) for path in signals])
    if knowledge:
        graph = pa.concat_tables([pq.read_table(path) for path in knowledge])
        for name in graph.column_names[1:]:
            table = table.append_column(graph.schema.field(name), graph[name])
    return table
