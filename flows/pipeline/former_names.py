"""``renamed = "latest"`` of a source: a file that was renamed keeps the name under which the latest run read it.

The name of a file is part of its documents' ids and of the key of its part. It is found by content before the lock is
made, and stands there in place of the new one: the run stays a function of its lock, and a card holds the names.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from gristmill.corpus.lock import LockedFile
from gristmill.corpus.rundir import RunDir
from gristmill.flows.pipeline.inputs import Inputs
from gristmill.flows.pipeline.recipe import Recipe
from gristmill.flows.pipeline.run_state import latest_id
from gristmill.sources.listing import InputFile

Names = Mapping[str, Sequence[LockedFile]]  # files by source, as a lock has them
LATEST = "latest"


def names_of_latest(recipe: Recipe, runs: Path) -> Names:
    """The inputs of the recipe's latest verified run; empty where there is none, or where no source asks for it.

    Raises
    ------
    StoreError : its lock is damaged
    """
    if not any(source.renamed for source in recipe.sources):
        return {}
    folder = runs / recipe.name
    run = latest_id(folder)
    return RunDir(folder / run).lock.inputs if run and (folder / run / "lock.json").exists() else {}


def with_former_names(inputs: Inputs, recipe: Recipe, names: Names) -> Inputs:
    """The inputs under the names that ``names`` has for their content, for sources with ``renamed``.

    A name is given only where no file has it now; of equal files the first in order gets the first name. Files of
    readers from outside keep theirs, since such a reader may open a path by itself.
    """
    asked = {source.name for source in recipe.sources if source.renamed}
    outside = {one.reader.name for one in inputs.readers}
    files = {
        source: _renamed(found, names.get(source, ()), outside) if source in asked else found
        for source, found in inputs.files.items()
    }
    return replace(inputs, files=files)


def _renamed(files: list[InputFile], former: Sequence[LockedFile], outside: set[str]) -> list[InputFile]:
    listed, known = {file.path for file in files}, {file.path for file in former}
    free: defaultdict[tuple[str, int, str], list[str]] = defaultdict(list)
    for file in sorted((file for file in former if file.path not in listed), key=lambda file: file.path, reverse=True):
        free[file.digest, file.bytes, file.format].append(file.path)
    named = []
    for file in files:
        left = free[file.digest, file.bytes, file.format]
        is_new = file.path not in known and file.format not in outside
        named.append(replace(file, path=left.pop(), place=file.path) if is_new and left else file)
    return sorted(named, key=lambda file: file.path)
