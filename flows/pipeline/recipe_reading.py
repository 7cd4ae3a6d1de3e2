"""Reading a recipe whole: its plug-ins first, then its tables with the sections that they add, then all checks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import create_model

from gristmill.corpus.errors import RecipeError
from gristmill.corpus.recipe_faults import Fault
from gristmill.corpus.recipe_file import check_tables, parse_toml, read_recipe
from gristmill.corpus.recipe_values import Mistake
from gristmill.corpus.stage import Plugin, StageSpec
from gristmill.flows.pipeline.catalogue import Catalogue, OutsideReader
from gristmill.flows.pipeline.plugged_in import Find, PluggedIn, announced_plugins, beside, load_plugins
from gristmill.flows.pipeline.plugin_checks import instance_mistakes
from gristmill.flows.pipeline.recipe import Recipe, Schedule
from gristmill.flows.pipeline.recipe_checks import check_recipe
from gristmill.flows.pipeline.stages import BUILT_IN, Instance
from gristmill.trainer.former_keys import renewed

_MISSPELT = 0.8  # "pi" for "pii", but not "listed" for "seed"


@dataclass(frozen=True, slots=True)
class CheckedRecipe:
    """A recipe without mistakes, what it can name, and the code from outside that it uses."""

    recipe: Recipe
    catalogue: Catalogue
    text: str
    plugins: tuple[Plugin, ...] = ()

    @property
    def stages(self) -> tuple[Instance, ...]:
        """The stages that it runs, in order."""
        return self.catalogue.stages_of(self.recipe)

    def with_recipe(self, recipe: Recipe) -> "CheckedRecipe":
        """The same with other values in it."""
        return replace(self, recipe=recipe)


def load_recipe(path: Path) -> CheckedRecipe:
    """Read and check a recipe file; RecipeError lists every mistake."""
    return parse_recipe(read_recipe(path), str(path), path.parent)


def load_scheduled(path: Path) -> tuple[str, Schedule]:
    """A recipe's name and its [schedule].

    Raises
    ------
    RecipeError : the recipe has mistakes, or no [schedule]
    """
    recipe = load_recipe(path).recipe
    if recipe.schedule is None:
        raise RecipeError(f'{path} has no [schedule]; add: [schedule] with cron = "0 3 * * *"')
    return recipe.name, recipe.schedule


def parse_recipe(
    text: str, name: str = "recipe", folder: Path | None = None, *, find: Find | None = None
) -> CheckedRecipe:
    """Check a recipe given as TOML text.

    Parameters
    ----------
    name : stands in messages
    folder : where paths of plug-ins start from; the working directory when None
    find : how plug-ins are found in place of that, see ``gristmill.flows.pipeline.plugged_in``

    Raises
    ------
    RecipeError : lists every mistake, those of plug-ins among them
    """
    raw = parse_toml(text, name)
    plugged, faults = load_plugins(raw.get("plugins", ()), find or beside(folder or Path()))
    announced, more = announced_plugins(raw, plugged, Recipe.model_fields)
    faults += more
    catalogue = catalogue_with([*plugged, *announced])
    model = recipe_model(catalogue.specs)
    tables = _without_sections_of_the_unloaded(raw, model, faults) if faults else raw

    def checks(found: Any) -> Iterator[Mistake]:
        yield from check_recipe(found, catalogue)
        yield from instance_mistakes(found, catalogue)

    recipe = check_tables(tables, model, checks, text, name, faults)
    return CheckedRecipe(recipe, catalogue, text, tuple(one.plugin for one in (*plugged, *announced)))


def _without_sections_of_the_unloaded(
    raw: Mapping[str, Any], model: type[Recipe], faults: Sequence[Fault]
) -> dict[str, Any]:
    """The tables without unknown ones that may belong to a plug-in that could not be loaded; misspelt ones stay."""
    known, blamed = list(model.model_fields), {fault.path[0] for fault in faults}
    unknown = {key for key, value in raw.items() if key not in known and isinstance(value, dict | list)}
    misspelt = {key for key in unknown - blamed if get_close_matches(key, known, n=1, cutoff=_MISSPELT)}
    return {key: value for key, value in raw.items() if key not in unknown - misspelt}


def catalogue_with(plugged: Sequence[PluggedIn]) -> Catalogue:
    """The shipped catalogue and what plug-ins add to it.

    Their stages stand first, so that they run as soon as there are documents: code that was just written fails before
    hours of clustering, not behind them.
    """
    specs = [spec for one in plugged for spec in one.stages]
    readers = tuple(OutsideReader(reader, one.plugin) for one in plugged for reader in one.readers)
    return Catalogue((*specs, *BUILT_IN), {spec.name: one.plugin for one in plugged for spec in one.stages}, readers)


def recipe_model(specs: Sequence[StageSpec]) -> type[Recipe]:
    """The recipe with a key for each section that it does not have yet: of plug-ins, and of stages just added."""
    added: dict[str, Any] = {}
    for spec in specs:
        if spec.section is not None and spec.recipe_key.split(".")[0] not in Recipe.model_fields:
            kind = tuple[spec.section, ...] if spec.each else spec.section | None
            added[spec.recipe_key] = (kind, () if spec.each else None)
    return create_model("Recipe", __base__=Recipe, **added) if added else Recipe


def stored_recipe(text: str, name: str) -> Recipe:
    """The recipe of a run, which was checked when it ran: no file is looked for, and no plug-in is loaded."""
    raw = _stored_tables(text, name)
    known = {key: value for key, value in raw.items() if key in Recipe.model_fields}
    return check_tables(known, Recipe, lambda _: (), text, name)


def parse_stored(text: str, name: str, catalogue: Catalogue) -> Recipe:
    """The recipe of a run with the sections of its plug-ins; what it says was checked when it ran."""
    return check_tables(_stored_tables(text, name), recipe_model(catalogue.specs), lambda _: (), text, name)


def _stored_tables(text: str, name: str) -> dict[str, Any]:
    """The tables of a run's recipe, keys of earlier versions as they are called now."""
    raw = parse_toml(text, name)
    return raw | {"trainer": renewed(raw["trainer"])} if "trainer" in raw else raw
