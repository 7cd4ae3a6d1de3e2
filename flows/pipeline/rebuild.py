"""``gristmill rebuild``: the corpus again from its card, and whether it is the same, byte for byte."""

from pathlib import Path
from typing import Any

from gristmill.corpus.errors import CardError
from gristmill.corpus.files import read_json
from gristmill.corpus.lock import Lock
from gristmill.corpus.rundir import PLUGINS
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.latest_tokenizer import FILE as TOKENIZER
from gristmill.flows.pipeline.latest_tokenizer import with_tokenizer
from gristmill.flows.pipeline.locking import build_lock
from gristmill.flows.pipeline.open_context import open_checked, without_index
from gristmill.flows.pipeline.plugged_in import kept_in
from gristmill.flows.pipeline.progress import Reporter
from gristmill.flows.pipeline.recipe import Recipe
from gristmill.flows.pipeline.recipe_reading import parse_recipe
from gristmill.flows.pipeline.running import run_stages


def rebuild_from_card(
    card: Path, *, check: bool, workers: int | None = None, reporter: Reporter | None = None
) -> dict[str, Any]:
    """Run the card's recipe up to the plan; with ``check``, compare inputs and shards with the card's digests.

    Raises
    ------
    CardError : no card there, or an input is not the one that the card was made from; or documents were taken down
        from its run, which the inputs that it names still hold
    RecipeError : a plug-in that the card needs is not in it, is not installed, or is another one; its code is not run
    """
    facts = read_card(card)
    engine = {} if workers is None else {"workers": workers}
    if gone := sum(one["removed"] for one in facts.get("takedowns", ())):
        raise CardError(
            f"{card}: takedowns removed {gone:,} of its documents, and the inputs that it names hold them: a rebuild "
            "would bring them back. Remove them from the inputs and run the recipe"
        )
    lock = Lock.from_json(facts["lock"], _folder_of(card))
    kept = kept_in(_folder_of(card) / PLUGINS, lock.plugins)
    checked = parse_recipe(facts["recipe"], f"{card}: recipe", find=kept)
    recipe = with_tokenizer(without_index(checked.recipe), _folder_of(card) / TOKENIZER)
    checked = checked.with_recipe(_reading_all(recipe))
    with open_checked(checked, reporter=reporter, engine=engine, names=lock.inputs) as context:
        if check:
            check_lock(lock, build_lock(checked, context.inputs))
        run_stages(context, "plan")
        difference = first_difference(facts["shards"], shard_digests(context)) if check else None
        result = {"run": str(context.run.path), "checked": check}
        return result | ({"identical": difference is None, "first_difference": difference} if check else {})


def _reading_all(recipe: Recipe) -> Recipe:
    """The same recipe, which believes no digest of an input."""
    return recipe.model_copy(update={"store": recipe.store.model_copy(update={"trust_mtime": False})})


def _folder_of(card: Path) -> Path:
    return card if card.is_dir() else card.parent


def read_card(card: Path) -> dict[str, Any]:
    """card.json of a card folder."""
    path = card / "card.json" if card.is_dir() else card
    if not path.exists():
        raise CardError(f"{card} holds no card.json; give the folder that `gristmill card` wrote")
    return read_json(path)


def check_lock(carded: Lock, found: Lock) -> None:
    """Raise CardError naming the first input, artefact or plug-in that is missing, new or changed."""
    for source, files in carded.inputs.items():
        here = {file.path: file.digest for file in found.inputs.get(source, [])}
        for file in files:
            if here.pop(file.path, None) != file.digest:
                raise CardError(f"sources.{source}: {file.path} is not the file that the card was made from")
        if here:
            raise CardError(f"sources.{source}: {sorted(here)[0]} was not there when the card was made")
    for stage, artefacts in carded.artefacts.items():
        for name, digest in artefacts.items():
            if found.artefacts.get(stage, {}).get(name) != digest:
                raise CardError(f"{stage}: {name} is not what the card was made from")
    for name, plugin in carded.plugins.items():
        if found.plugins.get(name) != plugin:
            raise CardError(f"plugins: {name} is not the one that the card was made with")


def shard_digests(context: RunContext) -> dict[str, list[dict[str, Any]]]:
    """Name, rows and sha256 of every shard, by domain."""
    return {
        folder.name: [
            {k: shard[k] for k in ("name", "rows", "sha256")} for shard in read_json(folder / "index.json")["shards"]
        ]
        for folder in sorted((context.run.path / "shards").iterdir())
    }


def first_difference(carded: dict[str, Any], built: dict[str, Any]) -> str | None:
    """The first shard that differs, as domain/name, or None when all are the same."""
    for domain in sorted(carded.keys() | built.keys()):
        before, after = carded.get(domain, []), built.get(domain, [])
        if len(before) != len(after):
            return f"{domain}: {len(before)} shards in the card, {len(after)} built"
        for one, other in zip(before, after, strict=True):
            if any(one[key] != other[key] for key in ("name", "rows", "sha256")):
                return f"{domain}/{one['name']}"
    return None
