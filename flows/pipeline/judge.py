"""Stages that look at the whole corpus through its columns: clusters and decide. No text is read to decide."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.corpus.errors import StoreError
from gristmill.corpus.files import file_sha256
from gristmill.corpus.receipt import Manifest, Outcome
from gristmill.flows.pipeline.context import Mill
from gristmill.flows.pipeline.each_part import DOCUMENTS
from gristmill.flows.pipeline.ingest import signature_seed
from gristmill.flows.pipeline.jobs import Job, job_key, resolve
from gristmill.flows.pipeline.signal_tables import measured_files, measured_refs, signal_columns, signals_measured
from gristmill.flows.pipeline.versions import stage_version

if TYPE_CHECKING:
    from gristmill.filters.decide.rules import Rule


ALARMS = ("max_unverified_share", "max_largest_share")


def cluster(mill: Mill) -> Manifest:
    """Exact and verified near duplicates over all documents; from the band index when the recipe keeps one."""
    from gristmill.dedup.clusters.alarms import check_alarms

    near = mill.recipe.dedup.near
    job = _cluster_from_index(mill) if near.index else _cluster_from_scratch(mill)
    manifest = mill.stage("clusters", [job], here=near.index is not None)
    check_alarms(manifest.parts[0].facts, **near.model_dump(include=set(ALARMS)))
    return manifest


def _cluster_from_scratch(mill: Mill) -> Job:
    from gristmill.dedup.clusters.cluster import cluster_documents

    near = mill.recipe.dedup.near
    options = {**near.model_dump(exclude={"off", "index", *ALARMS}), "near": not near.off}
    signatures = mill.run.manifest("signatures")
    key = job_key("clusters", stage_version("clusters"), [part.key for part in signatures.parts], **options)
    arguments = {
        "signatures": mill.refs("signatures", "signatures.parquet"),
        "documents": mill.refs("documents", DOCUMENTS),
        **options,
    }
    return Job("clusters", key, cluster_documents, arguments)


def _cluster_from_index(mill: Mill) -> Job:
    """The same entry under the same key, made from the index; which is brought in step even when the entry is there."""
    from gristmill.dedup.band_index.follow import cluster_documents, follow_parts

    plain = _cluster_from_scratch(mill)
    arguments = {name: value for name, value in plain.arguments.items() if name != "near"}
    arguments |= {
        "index": Path(str(mill.recipe.dedup.near.index)),
        "owner": mill.recipe.name,
        "step": plain.key,
        "seed": signature_seed(mill.recipe.seed),
    }
    mill.upkeep("index", lambda: follow_parts(**resolve(mill.store, arguments)))
    return replace(plain, function=cluster_documents, arguments=arguments)


def decide(mill: Mill) -> Manifest:
    """Keep, drop or merge every document; then hold every source against its retention budget."""
    from gristmill.filters.decide.verdicts import check_budgets

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
    stages = ["documents", *(stage for stage, _ in measured_files(mill)), "clusters"]
    inputs = {stage: mill.run.manifest(stage).key for stage in stages}
    plain_rules = {domain: [_plain(rule) for rule in chosen] for domain, chosen in rules.items()}
    reviewed = decisions_file(mill)
    digest = file_sha256(reviewed) if reviewed else None
    key = job_key("decide", stage_version("decide"), inputs, rules=plain_rules, decisions=digest, **options)
    arguments = {
        "documents": mill.refs("documents", DOCUMENTS),
        "language": mill.refs("language", "language.parquet") if mill.run.has("language") else [],
        "signals": measured_refs(mill),
        "clusters": mill.refs("clusters", "clusters.parquet"),
        "decisions": reviewed,
    }
    return Job("decide", key, decide_stage, {**arguments, "rules": rules, **options})


def decisions_file(mill: Mill) -> Path | None:
    """What people decided on the review page, when the recipe names it and anybody has."""
    path = Path(mill.recipe.decide.decisions) if mill.recipe.decide.decisions else None
    return path if path and path.is_file() else None


def _plain(rule: "Rule") -> dict[str, Any]:
    """A rule as JSON, which has no infinities."""
    return asdict(rule) | {"at_least": str(rule.at_least), "at_most": str(rule.at_most)}


def _columns_of(mill: Mill, stage: str, file: str) -> list[str]:
    """Signals of a finished stage; none while it is only planned."""
    try:
        return signals_measured([mill.file(stage, file)])
    except StoreError:
        return []


def rules_by_domain(mill: Mill) -> "dict[str, tuple[Rule, ...]]":
    """Each domain's rules: its own profiles and bounds when the recipe gives any, else the common ones."""
    from gristmill.filters.decide.rules import resolve

    chosen = {}
    further = [name for stage, file in measured_files(mill) for name in _columns_of(mill, stage, file)]
    for domain in mill.recipe.domains:
        spec = mill.recipe.decide.domains.get(domain, mill.recipe.decide)
        bounds = {name: (bound.at_least, bound.at_most, bound.off) for name, bound in spec.rules.items()}
        chosen[domain] = resolve(spec.profiles, bounds, further_signals=further)
    return chosen


def decide_stage(
    documents: list[Path],
    language: list[Path],
    signals: list[list[Path]],
    clusters: list[Path],
    decisions: Path | None,
    folder: Path,
    **options: Any,
) -> Outcome:
    """Gather the columns of all parts, decide, and write ledger.parquet and kept.parquet."""
    from gristmill.filters.decide.decisions import count_reviewed
    from gristmill.filters.decide.verdicts import decide as decide_columns

    said, stale = standing_decisions(decisions, documents) if decisions else (None, None)
    decision = decide_columns(
        document_columns(documents, signals[0], language),
        signal_columns(signals),
        pa.concat_tables([pq.read_table(path) for path in clusters]),
        decisions=said,
        **options,
    )
    for name, table in {"ledger": decision.ledger, "kept": decision.kept}.items():
        pq.write_table(table, folder / f"{name}.parquet", compression="zstd", compression_level=1)
    reviewed = {**count_reviewed(decision.ledger), "stale": stale.num_rows if stale else 0}
    return Outcome(decision.kept.num_rows, decision.accounts, {"reviewed": reviewed})


def standing_decisions(decisions: Path, documents: list[Path]) -> tuple[pa.Table, pa.Table]:
    """People's decisions that apply to these documents, and those made on another text."""
    from gristmill.filters.decide.decisions import read_decisions, split_stale

    said = read_decisions(decisions)
    columns = {"columns": ["doc_id", "text_hash"], "filters": pc.field("doc_id").isin(said["doc_id"].combine_chunks())}
    return split_stale(said, pa.concat_tables([pq.read_table(path, **columns) for path in documents]))


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
