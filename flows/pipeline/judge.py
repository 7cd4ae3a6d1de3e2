"""The stage ``decide``: which documents are kept, from stored columns. No text is read."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.corpus.facts import facts_json
from gristmill.corpus.files import file_sha256
from gristmill.corpus.languages import primary_subtags
from gristmill.corpus.receipt import Manifest, Outcome
from gristmill.corpus.tables import WRITTEN, read_part
from gristmill.corpus.use_policy import UsePolicy
from gristmill.filters.decide.budgets import check_budgets
from gristmill.filters.decide.stage import DecideFacts, Reviewed
from gristmill.flows.pipeline.catalogue import rules_of
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.ingest import budgets_of, rejects_of
from gristmill.flows.pipeline.jobs import Job, job_key
from gristmill.flows.pipeline.measure_documents import DOCUMENTS_FILE
from gristmill.flows.pipeline.recipe import Recipe
from gristmill.flows.pipeline.row_order import curves_of, quotas_of
from gristmill.flows.pipeline.signal_tables import signal_columns, signal_tables
from gristmill.flows.pipeline.stages import Instance
from gristmill.flows.pipeline.weighing import Weighing, weigh

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gristmill.filters.decide.rules import Rule


def decide(context: RunContext, stage: Instance) -> Manifest:
    """Keep, drop or merge every document; then hold every source against its retention budget."""
    manifest = context.compute(stage.name, [plan_decide(context, stage)])
    if manifest.parts[0].files:  # none yet in a dry run
        ledger = read_part(context.file("decide", "ledger.parquet"))
        check_budgets(manifest.accounts, budgets_of(context.recipe), ledger, rejects_of(context.run))
    return manifest


def plan_decide(context: RunContext, stage: Instance) -> Job:
    """The one job of ``decide``."""
    recipe, reviewed = context.recipe, decisions_file(context.recipe)
    rules = rules_of(recipe, measured_signals(context))
    options = {"priorities": recipe.priorities, "heldout": recipe.shards.heldout, "seed": context.seed("heldout")}
    names = ["documents", *(table.name for table in signal_tables(context.run)), "clusters"]
    key = job_key(
        "decide",
        stage.spec.version,
        {name: context.run.manifest(name).key for name in names},
        rules={domain: [rule.to_json() for rule in chosen] for domain, chosen in rules.items()},
        decisions=file_sha256(reviewed) if reviewed else None,
        **options,
        **_stated(recipe),
    )
    arguments = {**_columns(context), **_weighing(context), **options}
    return Job(
        "decide", key, decide_stage, {**arguments, "decisions": reviewed, "rules": rules, "policy": recipe.use_policy}
    )


def _stated(recipe: Recipe) -> dict[str, Any]:
    """What enters the key of ``decide`` only where the recipe says it, so that other recipes keep their keys."""
    policy, curves, quotas = recipe.use_policy, curves_of(recipe), quotas_of(recipe)
    type_domains = recipe.knowledge.domains if recipe.knowledge else {}
    stated = {
        "policy": asdict(policy) if policy != UsePolicy() else None,
        "curves": {name: asdict(one) for name, one in curves.items()},
        "quotas": asdict(quotas) if quotas else None,
        "type_domains": {name: sorted(types) for name, types in type_domains.items()},
    }
    return {name: value for name, value in stated.items() if value}


def _columns(context: RunContext) -> dict[str, Any]:
    """The tables that documents are judged by, part by part."""
    run = context.run
    return {
        "documents": context.refs("documents", DOCUMENTS_FILE),
        "language": context.refs("language", "language.parquet") if run.has("language") else [],
        "signals": [context.refs(table.name, str(table.table)) for table in signal_tables(run)],
        "clusters": context.refs("clusters", "clusters.parquet"),
        "passages": context.refs("contamination", "passages.parquet") if run.has("contamination") else [],
    }


def _weighing(context: RunContext) -> dict[str, Any]:
    """What moves or weighs documents that are kept, where the recipe says so."""
    recipe, found = context.recipe, {}
    if curves := curves_of(recipe):
        found["curves"] = curves
    if recipe.knowledge and recipe.knowledge.domains:
        found |= {"type_domains": recipe.knowledge.domains, "main_types": context.refs("mentions", "knowledge.parquet")}
    if quotas := quotas_of(recipe):
        found |= {"quotas": quotas, "types": context.refs("mentions", "types.parquet")}
    return found


def measured_signals(context: RunContext) -> frozenset[str]:
    """Signals that the stages of the recipe measure."""
    return frozenset(name for stage in context.stages for name in stage.signals)


def decisions_file(recipe: Recipe) -> Path | None:
    """What people decided on the review page, when the recipe names it and anybody has."""
    path = Path(recipe.decide.decisions) if recipe.decide.decisions else None
    return path if path and path.is_file() else None


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
    from gristmill.filters.decide.contaminated_items import with_items
    from gristmill.filters.decide.decisions import count_reviewed
    from gristmill.filters.decide.verdicts import decide as decide_columns

    types = options.pop("main_types", []), options.pop("type_domains", {})
    passages = options.pop("passages", [])  # of the stage contamination, part by part
    decided, stale = standing_decisions(decisions, documents) if decisions else (None, None)
    policy = options.get("policy", UsePolicy())
    asked = Weighing(options.pop("curves", {}), options.pop("quotas", None), options.pop("types", []))
    measured = signal_columns(signals, {"bytes"} | _signals_asked(options["rules"], asked))
    columns = document_columns(documents, measured["bytes"], language, licenses=bool(policy.forbid_licenses))
    decision = decide_columns(
        columns,
        measured,
        pa.concat_tables([read_part(path) for path in clusters]),
        decisions=decided,
        **options,
    )
    ledger = with_items(decision.ledger, passages)
    kept, weights, quotas = weigh(in_type_domains(decision.kept, *types), columns, measured, asked)
    for name, table in {"ledger": ledger, "kept": kept}.items():
        pq.write_table(table, folder / f"{name}.parquet", **WRITTEN)
    facts = DecideFacts(
        reviewed=Reviewed(**count_reviewed(decision.ledger), stale=stale.num_rows if stale else 0),
        languages_by="stage" if language else "record",
        no_language=pc.sum(columns["no_language"]).as_py() or 0,
        judges=decision.reach.judges,
        passed_over=decision.reach.passed_over,
        weights=weights,
        quotas=quotas,
    )
    return Outcome(decision.kept.num_rows, decision.accounts, facts_json(facts))


def _signals_asked(rules: "Mapping[str, Sequence[Rule]]", asked: Weighing) -> set[str]:
    """Signals that a rule or a curve of weights reads."""
    judging = {rule.signal for chosen in rules.values() for rule in chosen}
    return judging | {curve.signal for curve in asked.curves.values()}


def in_type_domains(
    kept: pa.Table, main_types: "Sequence[Path]", type_domains: "Mapping[str, Sequence[str]]"
) -> pa.Table:
    """The kept documents in the domains that [knowledge.domains] gives to their main types.

    Parameters
    ----------
    main_types : the table of the stage mentions of every part
    """
    from gristmill.filters.decide.type_domains import with_type_domains

    if not type_domains:
        return kept
    tables = [read_part(path, ["doc_id", "main_type"]) for path in main_types]
    return with_type_domains(kept, pa.concat_tables(tables), type_domains)


def standing_decisions(decisions: Path, documents: list[Path]) -> tuple[pa.Table, pa.Table]:
    """People's decisions that apply to these documents, and those made on another text."""
    from gristmill.filters.decide.decisions import read_decisions, split_stale

    decided = read_decisions(decisions)
    columns = {
        "columns": ["doc_id", "text_hash"],
        "filters": pc.field("doc_id").isin(decided["doc_id"].combine_chunks()),
    }
    return split_stale(decided, pa.concat_tables([pq.read_table(path, **columns) for path in documents]))


def document_columns(
    documents: "Sequence[Path]", n_bytes: pa.ChunkedArray, language: "Sequence[Path]", *, licenses: bool = False
) -> pa.Table:
    """doc_id, source, domain, lang_id, no_language, bytes, part and row of every document, in order; no text.

    lang_id is the primary subtag that the language stage found, where the run has one, else that of the document's own
    tag; null where there is none. no_language: a tag is there, and names no language. With ``licenses`` license
    as well.

    Parameters
    ----------
    documents, language : a file of every part; no language where the run has no such stage
    n_bytes : double[n_docs], the signal ``bytes`` of every document, see ``text_bytes``
    """
    shown = ["doc_id", "source", "domain", *(["license"] if licenses else [])]
    parts = [read_part(path, shown if language else [*shown, "lang"]) for path in documents]
    table = pa.concat_tables(parts)
    stated = (
        pa.concat_tables([read_part(path, ["lang_id"]) for path in language])["lang_id"] if language else table["lang"]
    )
    lang_id, no_language = primary_subtags(stated)
    n_rows = [len(one) for one in parts]
    rows = np.arange(len(table)) - np.repeat(np.cumsum(n_rows) - n_rows, n_rows)
    beside = {
        "lang_id": lang_id,
        "no_language": no_language,
        "bytes": n_bytes.cast(pa.int64()),
        "part": pa.array(np.repeat(np.arange(len(parts), dtype=np.int32), n_rows)),
        "row": pa.array(rows),
    }
    table = table.select(shown)
    for name, column in beside.items():
        table = table.append_column(name, column)
    return table


def text_bytes(signals: "Sequence[Path]") -> pa.ChunkedArray:
    """The signal ``bytes`` of every document, double[n_docs], from the signals of every part."""
    return pa.concat_tables([read_part(path, ["bytes"]) for path in signals])["bytes"]
