"""The stage ``clusters``: exact and verified near duplicates over all documents."""

from dataclasses import replace
from pathlib import Path

from gristmill.corpus.receipt import Manifest
from gristmill.dedup.clusters.alarms import check_alarms
from gristmill.dedup.clusters.stage import Near
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.jobs import Job, job_key, resolve
from gristmill.flows.pipeline.measure_documents import DOCUMENTS_FILE
from gristmill.flows.pipeline.stages import Instance

ALARMS = ("max_unverified_share", "max_largest_share")


def cluster(context: RunContext, stage: Instance) -> Manifest:
    """Cluster all documents; from the band index when the recipe keeps one."""
    near = context.recipe.dedup.near
    plain = _from_scratch(context, stage)
    job = _from_index(context, plain) if near.index else plain
    manifest = context.compute(stage.name, [job], here=near.index is not None)
    check_clusters(manifest, near)
    return manifest


def check_clusters(manifest: Manifest, near: Near) -> tuple[str, ...]:
    """BudgetError for clusters beyond the recipe's budgets; of a small corpus they are returned as warnings."""
    facts = manifest.parts[0].facts  # none yet in a dry run
    return check_alarms(facts, **near.model_dump(include=set(ALARMS))) if facts else ()


def _from_scratch(context: RunContext, stage: Instance) -> Job:
    from gristmill.dedup.clusters.cluster import cluster_documents

    near = context.recipe.dedup.near
    options = {**near.model_dump(exclude={"off", "index", *ALARMS}), "near": not near.off}
    signatures = context.run.manifest("signatures")
    key = job_key(stage.name, stage.spec.version, [part.key for part in signatures.parts], **options)
    arguments = {
        "signatures": context.refs("signatures", "signatures.parquet"),
        "documents": context.refs("documents", DOCUMENTS_FILE),
        **options,
    }
    return Job(stage.name, key, cluster_documents, arguments)


def _from_index(context: RunContext, plain: Job) -> Job:
    """The same entry under the same key, made from the index; which is brought in step even when the entry is there."""
    from gristmill.dedup.band_index.follow import cluster_documents, follow_parts

    arguments = {name: value for name, value in plain.arguments.items() if name != "near"}
    arguments |= {
        "index": Path(str(context.recipe.dedup.near.index)),
        "owner": context.recipe.name,
        "step": plain.key,
        "seed": context.seed("minhash"),
    }
    context.report.maintain("index", lambda: follow_parts(**resolve(context.store, arguments)))
    return replace(plain, function=cluster_documents, arguments=arguments)
