"""Running a stage that measures documents: one job for each part, named so that any worker can run it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gristmill.corpus.errors import StageError
from gristmill.corpus.files import content_key
from gristmill.corpus.measuring import measure_part
from gristmill.corpus.receipt import Manifest, Outcome, Receipt
from gristmill.corpus.stage import PartStage, Plugin, StageSpec
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.inputs import Artefact
from gristmill.flows.pipeline.jobs import Job, Ref, job_key
from gristmill.flows.pipeline.locking import libraries_of
from gristmill.flows.pipeline.plugged_in import plugged_in
from gristmill.flows.pipeline.stages import BUILT_IN, Instance

DOCUMENTS_FILE, REJECTS_FILE = "documents.parquet", "rejects.parquet"


def measure_documents(context: RunContext, stage: Instance) -> Manifest:
    """Run a stage on every part of the documents."""
    assert isinstance(stage.spec, PartStage)
    options = options_of(context, stage)
    artefacts, digests = _artefacts(context, stage)
    fixed = {
        "options": options,
        "artefacts": digests,
        "libraries": libraries_of(stage),
        **({"plugin": stage.plugin.sha256} if stage.plugin else {}),
    }
    arguments = {"stage": stage.spec.name, "plugin": stage.plugin, "options": options, "artefacts": artefacts}

    def job(part: Receipt) -> Job:
        key = job_key(stage.name, stage.spec.version, part.key, **fixed)
        n_bytes = part.facts.get("text_bytes", 0)
        return Job(stage.name, key, measure_job, {"documents": Ref(part, DOCUMENTS_FILE), **arguments}, n_bytes)

    return context.compute(stage.name, [job(part) for part in context.run.manifest("documents").parts])


def options_of(context: RunContext, stage: Instance) -> dict[str, Any] | None:
    """What the stage is given, as plain JSON: its section, or what it makes of the section and a seed."""
    assert isinstance(stage.spec, PartStage)
    options = stage.options
    if stage.spec.options is not None:
        options = stage.spec.options(stage.options, context.seed(stage.spec.purpose))
    return None if options is None else options.model_dump(mode="json")


def _artefacts(context: RunContext, stage: Instance) -> tuple[dict[str, tuple[Any, ...]], dict[str, str]]:
    """Files by what they are, and their digests; those that an earlier stage made are found by its key."""
    given: Mapping[str, Artefact] = context.inputs.of_stage(stage.name)
    files: dict[str, tuple[Any, ...]] = {name: artefact.paths for name, artefact in given.items()}
    digests = {name: artefact.digest for name, artefact in given.items()}
    spec = stage.spec
    if isinstance(spec, PartStage) and spec.made and spec.made[0] not in given:
        name, file = spec.made
        (receipt,) = context.run.manifest(_maker(stage)).parts
        files[name], digests[name] = (Ref(receipt, file),), receipt.key  # same key, same bytes
    for name, parts in _documents_of_use(context, spec).items():
        files[name] = tuple(Ref(part, DOCUMENTS_FILE) for part in parts)
        digests[name] = content_key([part.key for part in parts])
    return files, digests


def _documents_of_use(context: RunContext, spec: StageSpec) -> dict[str, list[Receipt]]:
    """Parts of the documents, each of which is of one source, by the sources whose use the stage asks for."""
    if not isinstance(spec, PartStage) or not spec.of_use:
        return {}
    parts = context.run.manifest("documents").parts
    chosen = [source.name for source in context.recipe.sources if source.use == spec.of_use]
    return {name: [part for part in parts if name in part.accounts] for name in chosen}


def _maker(stage: Instance) -> str:
    maker = next(name for name in stage.spec.reads if name != "documents")
    return f"{maker}-{stage.options.name}" if stage.spec.each else maker


def measure_job(
    documents: Path,
    folder: Path,
    *,
    stage: str,
    plugin: Plugin | None,
    options: dict[str, Any] | None,
    artefacts: Mapping[str, tuple[Path, ...]],
) -> Outcome:
    """Measure one part; what a worker calls. The stage is found by name, in the mill or in its plug-in."""
    spec = part_stage(stage, plugin)
    section = {} if options is None else options
    kind = option_type(spec)
    return measure_part(spec, documents, folder, kind.model_validate(section) if kind else None, artefacts, plugin)


def part_stage(name: str, plugin: Plugin | None) -> PartStage:
    """The declaration of a stage, of ours or of a plug-in.

    Raises
    ------
    StageError : the plug-in declares no such stage
    """
    known = plugged_in(plugin).stages if plugin else BUILT_IN
    for spec in known:
        if spec.name == name and isinstance(spec, PartStage):
            return spec
    raise StageError(f"plug-in {plugin.name if plugin else 'none'!r} declares no stage {name!r}")


def option_type(spec: PartStage) -> Any:
    """The section that ``measure`` is given."""
    if spec.options is None:
        return spec.section
    from typing import get_type_hints

    return get_type_hints(spec.options)["return"]
