"""The stage ``documents``: raw files to documents and rejects, one part for every ``limits.part_bytes`` of input."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from gristmill.corpus.account import passed_on
from gristmill.corpus.errors import SourceError
from gristmill.corpus.receipt import Manifest, Outcome
from gristmill.corpus.rundir import RunDir
from gristmill.corpus.stage import Plugin
from gristmill.corpus.use_policy import BLOCKED
from gristmill.filters.decide.budgets import check_budgets
from gristmill.flows.pipeline.catalogue import OutsideReader
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.disk_space import refuse_full_disk
from gristmill.flows.pipeline.graph_entries import graph_of
from gristmill.flows.pipeline.jobs import Job, job_key
from gristmill.flows.pipeline.locking import libraries_of
from gristmill.flows.pipeline.plugged_in import plugged_in
from gristmill.flows.pipeline.recipe import Recipe
from gristmill.flows.pipeline.stages import Instance
from gristmill.flows.pipeline.taken_down import refuse_taken_down, removed_from_others, unnamed
from gristmill.knowledge.stage import VERBALISE
from gristmill.sources.stage import SourceSpec

NOT_READ = {"path", "exclude", "format", "priority", "retention_budget", "use", "renamed"}  # keys that readers lack

if TYPE_CHECKING:
    from gristmill.sources.first_records import Place
    from gristmill.sources.listing import InputFile
    from gristmill.sources.reader import Reader
    from gristmill.sources.spec import ReadSpec


def ingest(context: RunContext, stage: Instance) -> Manifest:
    """Read every source, in the order of the recipe; then hold what was rejected against each source's budget.

    What was taken down from another run of the home is not read again, see ``taken_down``.
    """
    with context.report.progress("splitting", 0):  # big files are read once, to find where records begin
        jobs = list(plan_ingest(context, stage))
    _refuse_wrong_beginnings(context, jobs)
    refuse_full_disk(context, jobs)
    removed = removed_from_others(context.run)
    new = unnamed(context, jobs) if removed else []
    manifest = context.compute(stage.name, jobs, accept=lambda: refuse_taken_down(context, new, removed))
    kept = {name: passed_on(account.documents_kept, 0) for name, account in manifest.accounts.items()}
    check_budgets(kept, budgets_of(context.recipe), rejects=rejects_of(context.run))
    return manifest


def budgets_of(recipe: Recipe) -> dict[str, float]:
    """The share of its records that each source may lose; a blocked one loses them all."""
    return {one.name: 1.0 if one.use == BLOCKED else one.retention_budget for one in recipe.sources}


def rejects_of(run: RunDir) -> dict[str, dict[str, int]]:
    """Rejected records of every source that has been read, by reason; a part is of one source."""
    found: dict[str, Counter[str]] = {}
    for part in run.manifest("documents").parts:
        for source in part.accounts:
            found.setdefault(source, Counter()).update(part.facts.get("rejects", {}))
    return {source: dict(reasons) for source, reasons in found.items()}


def plan_ingest(context: RunContext, stage: Instance) -> Iterator[Job]:
    """The jobs of ``ingest``, in order of the recipe's sources."""
    for source in context.recipe.sources:
        if source.format == "graph":
            yield _verbalise_job(context, source)
        else:
            yield from _read_jobs(context, stage, source)


def files_of_one_core(context: RunContext) -> list[str]:
    """Large files that no reader can split, so that other workers wait for them."""
    from gristmill.sources.splitting import Splitting, files_in_one_part

    limits, extra = context.recipe.limits, [one.reader for one in context.inputs.readers]
    how = Splitting(limits.part_bytes, limits.record_bytes)
    return [path for files in context.inputs.files.values() for path in files_in_one_part(files, how, extra)]


def _read_jobs(context: RunContext, stage: Instance, source: SourceSpec) -> Iterator[Job]:
    from gristmill.sources.first_records import Place
    from gristmill.sources.spec import ReadSpec
    from gristmill.sources.splitting import group_parts

    limits = context.recipe.limits.model_dump()
    part_bytes = limits.pop("part_bytes")
    fields = source.model_dump(exclude=NOT_READ)
    spec = ReadSpec(**fields, **limits)
    libraries = libraries_of(stage)
    outside = {one.reader.name: one for one in context.inputs.readers}
    extra = [one.reader for one in outside.values()]
    parts = group_parts(context.inputs.files[source.name], part_bytes, record_bytes=spec.record_bytes, extra=extra)
    for number, files in enumerate(parts):
        inputs = [[file.path, file.digest, file.format] for file in files]
        used = {name: outside[name] for name in sorted({file.format for file in files}) if name in outside}
        stated = {name: value for name, value in asdict(spec).items() if name != "messages" or value is not None}
        fixed = {"spec": stated, "libraries": libraries, **({"readers": _versions(used)} if used else {})}
        key = job_key("documents", stage.spec.version, inputs, **fixed)
        plugins = tuple(dict.fromkeys(one.plugin for one in used.values()))
        arguments = {"files": files, "spec": spec, "place": Place(number, len(parts)), "plugins": plugins}
        yield Job("documents", key, read_job, arguments, sum(file.bytes for file in files))


def _versions(used: Mapping[str, OutsideReader]) -> dict[str, list[str]]:
    return {name: [one.reader.version, one.plugin.sha256] for name, one in used.items()}


def _refuse_wrong_beginnings(context: RunContext, jobs: Sequence[Job]) -> None:
    """SourceError with what the first records of all sources say that were not read before."""
    from gristmill.sources.first_look import first_mistake

    first = [job for job in jobs if job.function is read_job and job.arguments["place"].number == 0]
    mistakes = []
    for job in first:
        if context.store.find("documents", job.key) is None:
            readers = _readers(job.arguments["plugins"])
            mistakes.append(
                first_mistake(job.arguments["files"], job.arguments["spec"], readers, job.arguments["place"])
            )
    found = [one for one in mistakes if one]
    if found:
        raise SourceError(found[0] if len(found) == 1 else "\n  ".join([f"{len(found)} sources are wrong", *found]))


def _readers(plugins: Sequence[Plugin]) -> "list[Reader]":
    return [reader for one in plugins for reader in plugged_in(one).readers]


def read_job(
    files: "Sequence[InputFile]", spec: "ReadSpec", folder: Path, place: "Place", plugins: Sequence[Plugin]
) -> Outcome:
    """Read one part; what a worker calls. Readers from outside are found in their plug-ins."""
    from gristmill.sources.read import read_part

    return read_part(files, spec, folder, _readers(plugins), place)


def _verbalise_job(context: RunContext, source: SourceSpec) -> Job:
    from gristmill.knowledge.verbalise import verbalise_part

    knowledge = context.recipe.knowledge
    assert knowledge is not None  # the recipe's check has refused it otherwise
    options = {
        "source": source.name,
        "domain": source.domain,
        "languages": knowledge.languages,
        "license": source.license,
    }
    graph, digest = graph_of(context)
    if knowledge.verbalise is not None:
        from gristmill.knowledge.verbalise_languages import verbalise_languages

        del options["languages"]
        worded = knowledge.verbalise
        key = job_key("documents", VERBALISE.version, digest, verbalise=options | {"asked": worded.model_dump()})
        return Job("documents", key, verbalise_languages, {"graph": graph, "asked": worded, **options})
    key = job_key("documents", VERBALISE.version, digest, verbalise=options)
    return Job("documents", key, verbalise_part, {"graph": graph, **options})
