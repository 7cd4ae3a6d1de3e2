"""The inputs of a recipe: every file of its sources, and every artefact that a stage reads, with digests."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gristmill.corpus.errors import SourceError
from gristmill.corpus.files import file_sha256
from gristmill.flows.pipeline.catalogue import OutsideReader
from gristmill.flows.pipeline.recipe import Recipe
from gristmill.flows.pipeline.stages import Instance
from gristmill.flows.pipeline.use_checks import TEACHERS, refuse_evaluation_teachers
from gristmill.sources.digest_cache import DigestCache
from gristmill.sources.listing import InputFile, list_files
from gristmill.sources.stage import SourceSpec


@dataclass(frozen=True, slots=True)
class Artefact:
    """The files that a section names under one name, and their content."""

    paths: tuple[Path, ...]
    digest: str  # sha256 of one file; of several, 32 hex of the sha256 over theirs, in order


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a run reads."""

    files: Mapping[str, list[InputFile]]  # by source; empty for a graph source
    artefacts: Mapping[str, Mapping[str, Artefact]]  # by stage and by what the files are
    readers: tuple[OutsideReader, ...] = ()  # of plug-ins

    def of_stage(self, name: str) -> Mapping[str, Artefact]:
        """The artefacts of a stage, by what they are."""
        return self.artefacts.get(name, {})


def list_inputs(
    recipe: Recipe,
    stages: Sequence[Instance],
    readers: Sequence[OutsideReader] = (),
    digests: DigestCache | None = None,
) -> Inputs:
    """List and digest every input.

    Raises
    ------
    SourceError : one is missing or has no known format
    RecipeError : a file of an evaluation source teaches a classifier or a reference

    Parameters
    ----------
    readers : those of plug-ins, beside the mill's own
    digests : of earlier runs; what it knows is not read
    """
    files = {source.name: _files_of(source, readers, digests) for source in recipe.sources}
    artefacts = list_artefacts(stages)
    teachers = [
        (f"{one.spec.recipe_key}.{one.options.name}.{name}", path)
        for one in stages
        if one.spec.recipe_key in TEACHERS
        for name, artefact in artefacts.get(one.name, {}).items()
        if name != "model"
        for path in artefact.paths
    ]
    refuse_evaluation_teachers(recipe, files, teachers)
    return Inputs(files, artefacts, tuple(readers))


def list_artefacts(stages: Sequence[Instance]) -> dict[str, dict[str, Artefact]]:
    """Digest every file that a section names; SourceError when one is missing."""
    found = {one.name: dict(_artefacts(one)) for one in stages}
    return {name: artefacts for name, artefacts in found.items() if artefacts}


def _artefacts(stage: Instance) -> Iterator[tuple[str, Artefact]]:
    if stage.options is None:
        return
    for name, paths in stage.spec.artefacts(stage.options).items():
        if paths:
            yield name, artefact([Path(path) for path in paths], f"{stage.spec.recipe_key}.{name}")


def artefact(paths: Sequence[Path], key: str) -> Artefact:
    """Files with their digest; SourceError naming the recipe key when one is missing."""
    for path in paths:
        if not path.is_file():
            raise SourceError(f"{key}: no file at {path}")
    digests = [file_sha256(path) for path in paths]
    several = hashlib.sha256("".join(digests).encode()).hexdigest()[:32]
    whole = tuple(path.absolute() for path in paths)  # a worker may stand in another folder
    return Artefact(whole, digests[0] if len(digests) == 1 else several)


def _files_of(source: SourceSpec, readers: Sequence[OutsideReader], digests: DigestCache | None) -> list[InputFile]:
    if source.format == "graph":
        return []
    extra = [one.reader for one in readers]
    given = {"source": source.name, "exclude": source.exclude, "extra": extra, "digests": digests}
    return list_files(source.paths, source.format, **given)
