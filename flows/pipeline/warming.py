"""Compiling the kernels that a recipe needs before it runs: its stages mill a few tiny documents, side by side.

Each call is a process of its own and mills into a temporary home, so nothing of it stands in store or runs. Left out:
classifiers, which compile nothing, and plug-ins, whose code is their own.
"""

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from gristmill.corpus.recipe_values import Section
from gristmill.corpus.stage import PartStage
from gristmill.corpus.warmup import Call, warm
from gristmill.flows.pipeline.catalogue import Catalogue
from gristmill.flows.pipeline.recipe import Recipe
from gristmill.flows.pipeline.recipe_reading import CheckedRecipe, load_recipe, recipe_model
from gristmill.flows.pipeline.stages import BUILT_IN, Instance

S = TypeVar("S", bound=Section)
WHOLE = ("signals", "signatures", "clusters", "decide", "lines", "substrings", "edits")  # one call: each needs the last
BESIDE = (  # stages whose work on tiny inputs stands in their rooms
    ("tokens", Call("gristmill.tokenizer.tiny_tokens:train_encode_and_pack")),
    ("plan", Call("gristmill.handoff.tiny_plan:plan_and_read")),
)
OWN = frozenset(  # what a tiny corpus has of its own, or does not need
    [
        "name",
        "seed",
        "sources",
        "decide",
        "plugins",
        "description",
        "classifiers",
        "curriculum",
        "mixing",
        "tokenizer",
        "shards",
        "trainer",
        "schedule",
        "engine",
        "store",
    ]
)
EVERYTHING = {
    "language": {},
    "line_edits": {"rules": ["c4", "refinedweb@dclm"]},
    "pii": {"email": "count"},
    "compression": {},
    "dedup": {"lines": {}, "substrings": {}},
}
LINES = tuple(
    f"Stone {number} of the mill turns slowly, and {number + 7} sacks of flour are fine." for number in range(40)
)
TEXTS = tuple(  # an exact copy, a near one, and one that shares half of its lines: whatever clusters and cuts compile
    "\n".join(lines)
    for lines in (LINES, LINES, (*LINES[:-1], "The last line is another one."), (*LINES[:20], *LINES[:9]))
)


def warm_up(recipe: Path | None, say: Callable[[str], None], workers: int = 0) -> list[str]:
    """Compile what the stages of a recipe need; without one, what most recipes need.

    Parameters
    ----------
    say : is given one line when there is something to compile
    workers : processes at most; 0 = all cores

    Returns
    -------
    the stages whose kernels were compiled now

    Raises
    ------
    RecipeError : the recipe has mistakes
    """
    calls = calls_of(load_recipe(recipe).recipe if recipe else _recipe(EVERYTHING))
    return [_stage(call) for call in warm(calls, say, workers)]


def _stage(call: Call) -> str:
    return call.arguments[-1] if call.arguments else next(name for name, beside in BESIDE if beside == call)


def calls_of(recipe: Recipe) -> Sequence[Call]:
    """One call for each stage that may compile something, the longest first."""
    given = recipe.model_dump(mode="json", exclude=set(OWN))
    tiny = json.dumps(given, sort_keys=True)
    stages = Catalogue().stages_of(_recipe(given))
    measuring = [_needed(one) for one in stages if isinstance(one.spec, PartStage) and one.name not in WHOLE]
    names = [WHOLE, *measuring]
    return [*(Call(f"{__name__}:mill_tiny", (tiny, *some)) for some in names), *(call for _, call in BESIDE)]


def _needed(stage: Instance) -> tuple[str, ...]:
    """The stage's name, after that of the stage that makes its model."""
    makers = [name for name in stage.spec.reads if name != "documents"] if stage.spec.each else []
    return (*(f"{maker}-{stage.options.name}" for maker in makers), stage.name)


def mill_tiny(sections: str, *names: str) -> None:
    """Run some stages of a recipe on tiny documents.

    Parameters
    ----------
    sections : of the recipe, as JSON
    names : the stages that are run, after documents
    """
    from gristmill.flows.pipeline.open_context import open_checked
    from gristmill.flows.pipeline.running import run_stage

    with _home() as folder:
        checked = CheckedRecipe(_on_tiny_files(_recipe(json.loads(sections)), folder), Catalogue(), "")
        with open_checked(checked, engine={"workers": 1}) as context:
            for stage in context.stages:
                if stage.name in ("documents", *names):
                    run_stage(context, stage)


@contextmanager
def _home() -> Iterator[Path]:
    """A temporary folder that is $GRISTMILL_HOME in this process."""
    before = os.environ.get("GRISTMILL_HOME")
    with tempfile.TemporaryDirectory() as name:
        os.environ["GRISTMILL_HOME"] = name
        try:
            yield Path(name)
        finally:
            os.environ.pop("GRISTMILL_HOME")
            if before is not None:
                os.environ["GRISTMILL_HOME"] = before


def _recipe(sections: dict[str, object]) -> Recipe:
    source = {"name": "tiny", "path": "tiny.jsonl", "domain": "tiny"}
    return recipe_model(BUILT_IN).model_validate({"name": "tiny", "seed": 1, "sources": [source], **sections})


def _on_tiny_files(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe on a file of tiny documents, without budgets that so few documents break."""
    tiny = str(folder / "tiny.jsonl")
    Path(tiny).write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    near = _with(recipe.dedup.near, index=None, max_largest_share=1.0)
    sources = tuple(_with(source, path=tiny) for source in recipe.sources)
    references = tuple(_with(one, texts=(tiny,)) if one.texts else one for one in recipe.references)
    return _with(recipe, sources=sources, references=references, dedup=_with(recipe.dedup, near=near))


def _with(section: S, **values: object) -> S:
    return section.model_copy(update=values)
