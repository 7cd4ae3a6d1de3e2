"""``gristmill mix``: a curriculum under edit over what a run packed; nothing is planned or written."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gristmill.corpus.errors import RecipeError, StoreError, nearest
from gristmill.corpus.recipe_file import check_tables, parse_toml, read_recipe
from gristmill.corpus.rundir import RunDir
from gristmill.flows.inspect.mixed_quotas import mixed_quotas
from gristmill.flows.inspect.settings import stated_value
from gristmill.flows.pipeline.assemble import phases_of
from gristmill.flows.pipeline.recipe import Recipe
from gristmill.flows.pipeline.recipe_checks import known_domains, phases
from gristmill.flows.pipeline.recipe_reading import stored_recipe
from gristmill.flows.pipeline.row_order import paces_of
from gristmill.mixing.stage import Mixing, Phase

EDITED = ("curriculum", "mixing")


def mix_run(run_path: Path, sets: Sequence[str] = (), curriculum: Path | None = None) -> dict[str, Any]:
    """What a curriculum would draw from a run's rows.

    Parameters
    ----------
    run_path : a run directory that has come as far as shards
    sets : ``KEY=VALUE`` over the run's recipe: ``curriculum.1.shares.web=0.3`` (the phase's other shares keep their
        proportions), ``curriculum.0.until_tokens=2M``, ``curriculum.1.shares=unimax``, ``mixing.caps.max_epochs=2``
    curriculum : a TOML file with [[curriculum]], and perhaps [mixing], in place of the recipe's

    Returns
    -------
    run, the fields of ``mixing.preview.Preview``, and quotas: for each type of [knowledge.quotas] the fields of
    ``mixed_quotas.MixedQuota``

    Raises
    ------
    RecipeError : a key, value or file that a recipe could not have
    """
    from gristmill.mixing.compile import Packed, RowsInOrder
    from gristmill.mixing.feasibility import EpochCaps
    from gristmill.mixing.preview import preview

    run = RunDir.open(run_path)
    path = run.path / "recipe.toml"
    recipe = stored_recipe(read_recipe(path), str(path))
    if curriculum:
        recipe = _with_file(recipe, curriculum)
    if sets:
        recipe = _with_settings(recipe, sets)
    shards = {domain: run.path / "shards" / domain for domain in recipe.domains}
    if not all(folder.is_dir() for folder in shards.values()):
        raise StoreError(f"{run_path} has no shards yet; run `gristmill run` on its recipe until shards")
    packed = {domain: Packed.of(folder) for domain, folder in shards.items()}
    caps = EpochCaps(**recipe.mixing.caps.model_dump())
    order = RowsInOrder(paces_of(recipe), recipe.mixing.window_rows)
    found = preview(phases_of(recipe), packed, recipe.shards.row_tokens, caps, order)
    asked = recipe.knowledge.quotas if recipe.knowledge else {}
    quotas = mixed_quotas(run_path, asked, {one.domain: one.epochs for one in found.domains})
    return {"run": str(run_path), **asdict(found), "quotas": [asdict(one) for one in quotas]}


def _with_file(recipe: Recipe, path: Path) -> Recipe:
    text = read_recipe(path)
    edited = parse_toml(text, str(path))
    unknown = [key for key in edited if key not in EDITED]
    if unknown:
        raise RecipeError(f"{path}: {unknown[0]!r} is neither [[curriculum]] nor [mixing]")
    return _checked(recipe, edited, text, str(path))


def _with_settings(recipe: Recipe, sets: Sequence[str]) -> Recipe:
    edited = recipe.model_dump(mode="json", include=set(EDITED))
    shared: dict[str, set[str]] = {}
    for text in sets:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals:
            raise RecipeError(f"{text!r} is not KEY=VALUE; write curriculum.0.shares.web=0.3")
        _place(edited, key, value)
        phase, dot, domain = key.partition(".shares.")
        if dot:
            shared.setdefault(phase, set()).add(domain)
    for phase, domains in shared.items():
        _rescale(_at(edited, phase.split("."), phase)["shares"], domains)
    return _checked(recipe, edited, "", "--set")


def _checked(recipe: Recipe, edited: dict[str, Any], text: str, name: str) -> Recipe:
    """The recipe with other tables, checked as a recipe is."""
    whole = recipe.model_dump(mode="json", exclude=set(EDITED), exclude_defaults=True, by_alias=True) | edited
    return check_tables(whole, Recipe, lambda one: [*known_domains(one), *phases(one)], text, name)


def _place(edited: dict[str, Any], key: str, value: str) -> None:
    """Set one value; numbers are read as such."""
    *way, last = key.split(".", 3) if ".shares." in key else key.split(".")
    if not way or way[0] not in EDITED:
        raise RecipeError(f"{key}: set keys of curriculum.N, N from 0, or of mixing")
    table = _at(edited, way, key)
    if isinstance(table, str):
        raise RecipeError(
            f"{key}: the phase has shares by name, {table!r}; set it whole: {'.'.join(way)}={{ web = 0.3, ... }}"
        )
    known = _known(way)
    if known and last not in known:
        raise RecipeError(f"{key}: no such key{nearest(last, known)}")
    try:
        table[last] = float(value)
    except ValueError:
        table[last] = stated_value(value)


def _known(way: Sequence[str]) -> tuple[str, ...]:
    """The keys of a table of fixed keys; empty where any name may stand."""
    return {("mixing",): tuple(Mixing.model_fields), ("mixing", "caps"): ("max_epochs", "domains")}.get(
        tuple(way), tuple(Phase.model_fields) if len(way) == 2 and way[0] == "curriculum" else ()
    )


def _at(edited: Any, way: Sequence[str], key: str) -> Any:
    table = edited
    for step in way:
        inner = table[int(step)] if isinstance(table, list) and step.isdecimal() and int(step) < len(table) else None
        table = table.get(step) if isinstance(table, dict) else inner
        if table is None:
            raise RecipeError(f"{key}: nothing stands at {step!r}; write curriculum.N.shares.DOMAIN, N from 0")
    return table


def _rescale(shares: dict[str, Any], fixed: set[str]) -> None:
    """The shares that were not set keep their proportions and take what the others leave."""
    stated = [shares[name] for name in fixed]
    if not all(isinstance(share, float) for share in stated):
        return  # no number: reported as such
    rest, left = sum(share for name, share in shares.items() if name not in fixed), 1 - sum(stated)
    for name in shares:
        if name not in fixed and rest > 0 and left >= 0:
            shares[name] *= left / rest
