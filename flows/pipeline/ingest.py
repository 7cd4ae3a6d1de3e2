"""Stages that see text part by part: documents, signals, language, signatures, mentions."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from gristmill.corpus.receipt import Manifest
from gristmill.corpus.recipe import SourceSpec
from gristmill.corpus.seeds import derive_seed
from gristmill.flows.pipeline.context import Mill
from gristmill.flows.pipeline.each_part import each_part
from gristmill.flows.pipeline.jobs import Job, job_key
from gristmill.flows.pipeline.versions import library_versions, stage_version


def ingest(mill: Mill) -> Manifest:
    """Raw files to documents and rejects, one part for every ``limits.part_bytes`` of input."""
    return mill.stage("documents", list(plan_ingest(mill)))


def plan_ingest(mill: Mill) -> Iterator[Job]:
    """The jobs of ``ingest``, in order of the recipe's sources."""
    for source in mill.recipe.sources:
        yield from [_verbalise_job(mill, source)] if source.format == "graph" else _read_jobs(mill, source)


def _read_jobs(mill: Mill, source: SourceSpec) -> Iterator[Job]:
    from gristmill.sources.read import ReadSpec, read_part
    from gristmill.sources.splitting import group_parts

    limits = mill.recipe.limits.model_dump()
    part_bytes = limits.pop("part_bytes")
    fields = source.model_dump(exclude={"path", "format", "priority", "retention_budget"})
    spec = ReadSpec(**fields, **limits)
    for files in group_parts(mill.inputs.files[source.name], part_bytes):
        inputs = [[file.path, file.digest, file.format] for file in files]
        key = job_key("documents", stage_version("documents"), inputs, spec=asdict(spec), libraries=library_versions())
        yield Job("documents", key, read_part, {"files": files, "spec": spec})


def _verbalise_job(mill: Mill, source: SourceSpec) -> Job:
    from gristmill.knowledge.verbalise import VERSION, verbalise_part

    assert mill.recipe.knowledge is not None  # list_inputs has refused the recipe otherwise
    options = {
        "source": source.name,
        "domain": source.domain,
        "languages": mill.recipe.knowledge.languages,
        "license": source.license,
    }
    key = job_key("documents", VERSION, mill.inputs.graph, verbalise=options)
    return Job("documents", key, verbalise_part, {"graph": Path(mill.recipe.knowledge.graph), **options})


def measure_signals(mill: Mill) -> Manifest:
    """Every quality signal of every document."""
    from gristmill.filters.signals.measure import measure_part

    return each_part(mill, "signals", measure_part, {})


def identify_language(mill: Mill) -> Manifest | None:
    """Language and its score; only when the recipe has [language]."""
    if mill.recipe.language is None:
        return None
    from gristmill.filters.models.language import identify_part

    return each_part(
        mill, "language", identify_part, {"model": Path(mill.recipe.language.model)}, model=mill.inputs.language_model
    )


def sign(mill: Mill) -> Manifest:
    """MinHash signatures."""
    from gristmill.dedup.clusters.minhash import signatures_part

    near = mill.recipe.dedup.near
    options = {
        "shingle_words": near.shingle_words,
        "hashes": near.hashes,
        "seed": signature_seed(mill.recipe.seed),
    }
    return each_part(mill, "signatures", signatures_part, options, **options)


def signature_seed(seed: int) -> int:
    """The seed of the signatures, from the recipe's."""
    return derive_seed(seed, "minhash")


def link_mentions(mill: Mill) -> Manifest | None:
    """Entities of the graph in the text, and the triples that join them; only when the recipe has [knowledge]."""
    if mill.recipe.knowledge is None:
        return None
    from gristmill.knowledge.mentions import link_part

    spec = mill.recipe.knowledge
    options = {"languages": spec.languages, "min_label_chars": spec.min_label_chars}
    arguments = {"graph": Path(spec.graph), **options}
    return each_part(mill, "mentions", link_part, arguments, graph=mill.inputs.graph, **options)
