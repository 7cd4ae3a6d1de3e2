"""``[tokenizer] from = "latest"``: the tokenizer of the recipe's last verified run, so that token ids stay for ever.

It is found before the lock is made, and enters it by its sha256: the run id stays a function of its inputs. A card
keeps a copy, so that the corpus can be built again where the run is not.
"""

from pathlib import Path

from gristmill.corpus.errors import RecipeError
from gristmill.corpus.rundir import RunDir
from gristmill.flows.pipeline.recipe import Recipe
from gristmill.flows.pipeline.recipe_reading import CheckedRecipe
from gristmill.flows.pipeline.run_state import latest_id

FILE = Path("tokenizer") / "tokenizer.json"  # in a run, and in a card


def with_latest_tokenizer(checked: CheckedRecipe, runs: Path) -> CheckedRecipe:
    """The recipe with the path of that tokenizer; the same recipe where it does not ask for one, or has it already.

    Parameters
    ----------
    runs : the folder of the runs of all recipes

    Raises
    ------
    RecipeError : there is no such run, or it has no tokenizer any more
    """
    section = checked.recipe.tokenizer
    if section.from_ is None or section.path is not None:
        return checked
    folder = runs / checked.recipe.name
    run = latest_id(folder)
    path = folder / str(run) / FILE
    if run is None or not path.is_file():
        missing = f"no run of {checked.recipe.name!r} has ended and passed verify" if run is None else f"no {path}"
        raise RecipeError(
            f'tokenizer.from = "latest": {missing}. Leave the key out for one run, which trains the tokenizer that '
            "all later ones take, or name a file with tokenizer.path"
        )
    return checked.with_recipe(with_tokenizer(checked.recipe, path))


def with_tokenizer(recipe: Recipe, path: Path) -> Recipe:
    """The recipe with the tokenizer at ``path``, where it takes that of a run: the one that ``from`` has come to."""
    if recipe.tokenizer.from_ is None:
        return recipe
    return recipe.model_copy(update={"tokenizer": recipe.tokenizer.model_copy(update={"path": str(path)})})


def bytes_per_token(run: RunDir) -> dict[str, float]:
    """Bytes of kept text per token by domain; empty before the stage ``tokens``."""
    tokens, sizes = dict[str, int](), dict[str, int]()
    for part in run.manifest("tokens").parts if run.has("tokens") else ():
        for total, key in ((tokens, "tokens"), (sizes, "bytes")):
            for domain, count in part.facts[key].items():
                total[domain] = total.get(domain, 0) + count
    return {domain: sizes[domain] / count for domain, count in sorted(tokens.items()) if count}


def tokenizer_fit(recipe: Recipe, run: RunDir, came_from: str | None) -> dict[str, dict[str, float | None]]:
    """How well a tokenizer of an earlier run fits: bytes per token by domain, now and in the run before.

    Fewer bytes per token than before say that the text has moved away from what it was trained on. Empty for a recipe
    that trains its own.
    """
    if recipe.tokenizer.from_ is None:
        return {}
    before = run.path.parent / str(came_from)
    then = bytes_per_token(RunDir(before)) if (before / "lock.json").exists() else {}
    return {domain: {"before": then.get(domain), "now": fit} for domain, fit in bytes_per_token(run).items()}
