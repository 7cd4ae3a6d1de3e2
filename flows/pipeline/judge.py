"""The stage ``decide``: which documents are kept, from stored columns. Its work stands in ``deciding``."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from gristmill.corpus.files import file_sha256
from gristmill.corpus.receipt import Manifest
from gristmill.corpus.tables import read_part
from gristmill.corpus.use_policy import UsePolicy
from gristmill.filters.decide.budgets import check_budgets
from gristmill.flows.pipeline.catalogue import rules_of
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.deciding import Judging, Moving, Tables, decide_stage
from gristmill.flows.pipeline.ingest import budgets_of, rejects_of
from gristmill.flows.pipeline.jobs import Job, job_key
from gristmill.flows.pipeline.measure_documents import DOCUMENTS_FILE
from gristmill.flows.pipeline.recipe import Recipe
from gristmill.flows.pipeline.row_order import curves_of, quotas_of
from gristmill.flows.pipeline.signal_tables import signal_tables
from gristmill.flows.pipeline.stages import Instance


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
    judging = Judging(rules, **options, policy=recipe.use_policy, decisions=reviewed)
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
    arguments = {"tables": _tables(context), "judging": judging, "moving": _moving(recipe)}
    return Job("decide", key, decide_stage, arguments)


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


def _tables(context: RunContext) -> Tables:
    """The files of all parts, as a worker finds them."""
    run, refs, recipe = context.run, context.refs, context.recipe
    typed = bool(recipe.knowledge and recipe.knowledge.domains)
    return Tables(
        documents=refs("documents", DOCUMENTS_FILE),
        language=refs("language", "language.parquet") if run.has("language") else [],
        signals=[refs(table.name, str(table.table)) for table in signal_tables(run)],
        clusters=refs("clusters", "clusters.parquet"),
        passages=refs("contamination", "passages.parquet") if run.has("contamination") else [],
        main_types=refs("mentions", "knowledge.parquet") if typed else [],
        types=refs("mentions", "types.parquet") if quotas_of(recipe) else [],
    )


def _moving(recipe: Recipe) -> Moving:
    """What moves or weighs documents that are kept, where the recipe says so."""
    type_domains = recipe.knowledge.domains if recipe.knowledge else {}
    return Moving(type_domains, curves_of(recipe), quotas_of(recipe))


def measured_signals(context: RunContext) -> frozenset[str]:
    """Signals that the stages of the recipe measure."""
    return frozenset(name for stage in context.stages for name in stage.signals)


def decisions_file(recipe: Recipe) -> Path | None:
    """What people decided on the review page, when the recipe names it and anybody has."""
    path = Path(recipe.decide.decisions) if recipe.decide.decisions else None
    return path if path and path.is_file() else None
