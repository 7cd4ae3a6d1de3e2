"""What is wrong between the uses of sources and the rest of a recipe, found before anything runs."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from gristmill.corpus.errors import RecipeError
from gristmill.corpus.files import file_sha256
from gristmill.corpus.recipe_values import Mistake
from gristmill.corpus.use_policy import BLOCKED, EVALUATE, TRAIN
from gristmill.flows.pipeline.recipe import Recipe
from gristmill.sources.stage import SourceSpec

if TYPE_CHECKING:
    from gristmill.sources.listing import InputFile

TEACHERS = {  # lists of the recipe whose files teach a model, and the keys that name these
    "classifiers": ("positive", "negative", "labelled"),
    "references": ("texts",),
}


def use_mistakes(recipe: Recipe) -> Iterator[Mistake]:
    """Uses and licences that break each other, as far as the recipe alone shows it."""
    yield from _licenses(recipe)
    yield from _domains(recipe)
    yield from _sets(recipe)
    yield from _teachers(recipe)


def _licenses(recipe: Recipe) -> Iterator[Mistake]:
    for place, source in enumerate(recipe.sources):
        pattern = recipe.use_policy.forbids(source.license)
        if pattern and source.use != BLOCKED:
            text = f'{pattern!r} forbids the licence {source.license!r}; leave the source out, or set use = "blocked"'
            yield Mistake((f"sources.{place}.license", f"sources.{place}.use", "handoff.forbid_licenses"), text)


def _domains(recipe: Recipe) -> Iterator[Mistake]:
    uses = tuple(f"sources.{place}.use" for place in range(len(recipe.sources)))
    trained = {source.domain for source in recipe.sources if source.use == TRAIN}
    if not trained:
        yield Mistake(uses, 'no source is for training; one at least has use = "train"')
    for number, phase in enumerate(recipe.curriculum):
        for name in () if phase.named else phase.shares:
            if phase.may_draw(name) and trained and name in recipe.source_domains and name not in trained:
                text = f"no source of the domain {name!r} is for training: they are to evaluate, or blocked"
                yield Mistake((("curriculum", number, "shares", name), *uses), text)


def _sets(recipe: Recipe) -> Iterator[Mistake]:
    asked, evaluate = recipe.decontaminate, recipe.use_policy.evaluate
    if asked is None:
        return
    if not asked.sets and not evaluate:
        yield Mistake(("decontaminate.sets",), 'no evaluation set is named; write sets = { NAME = ["FILE"] }')
    for place, source in enumerate(recipe.sources):
        if source.use == EVALUATE and source.name in asked.sets:
            text = f"{source.name!r} is an evaluation source, which is a set under its own name already"
            yield Mistake((("decontaminate", "sets", source.name), f"sources.{place}.name"), text)


def _teachers(recipe: Recipe) -> Iterator[Mistake]:
    for key, kinds in TEACHERS.items():
        for number, model in enumerate(getattr(recipe, key)):
            for kind in kinds:
                for path in getattr(model, kind):
                    for source in recipe.sources:
                        if source.use == EVALUATE and _names(source, path):
                            yield Mistake(((key, number, kind),), _taught(source.name, path))


def _taught(source: str, path: object) -> str:
    return f"{path} is a file of the evaluation source {source!r}, which teaches no model"


def _names(source: SourceSpec, path: str) -> bool:
    """Whether a local path is one of the source's, or stands in a folder of it."""
    whole = str(Path(path).absolute())
    for pattern in source.paths:
        if "://" not in pattern:
            mine = str(Path(pattern).absolute())
            if fnmatchcase(whole, mine) or whole.startswith(f"{mine.rstrip('/')}/"):
                return True
    return False


def refuse_evaluation_teachers(
    recipe: Recipe, files: "dict[str, list[InputFile]]", teachers: Sequence[tuple[str, Path]]
) -> None:
    """A copy of an evaluation file under another name teaches no model either.

    Parameters
    ----------
    files : of each source, as listed
    teachers : recipe key and path of every file that a classifier or a reference is made from

    Raises
    ------
    RecipeError : names the key, the file and the source
    """
    local = {
        file_sha256(Path(file.path)): source
        for source in recipe.use_policy.evaluate
        for file in files[source]
        if teachers and Path(file.path).is_file()
    }
    for key, path in teachers:
        source = local.get(file_sha256(path)) if local else None
        if source:
            raise RecipeError(f"{key}: {_taught(source, path)}")
