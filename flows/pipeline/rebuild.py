"""``gristmill rebuild``: the corpus again from its card, and whether it is the same, byte for byte."""

from pathlib import Path
from typing import Any

from gristmill.corpus.errors import CardError
from gristmill.corpus.files import read_json
from gristmill.flows.pipeline.context import Mill, open_mill_text
from gristmill.flows.pipeline.progress import Reporter
from gristmill.flows.pipeline.stages import run_stages


def rebuild_from_card(
    card: Path, *, check: bool, workers: int | None = None, reporter: Reporter | None = None
) -> dict[str, Any]:
    """Run the card's recipe up to the plan; with ``check``, compare inputs and shards with the card's digests.

    Raises
    ------
    CardError : no card there, or an input is not the one that the card was made from
    """
    facts = read_card(card)
    engine = {} if workers is None else {"workers": workers}
    name = f"{card}: recipe"
    with open_mill_text(facts["recipe"], name, reporter=reporter, engine=engine, index=False) as mill:
        if check:
            check_inputs(facts["lock"]["inputs"]["files"], mill.inputs.to_json()["files"])
        run_stages(mill, "plan")
        difference = first_difference(facts["shards"], shard_digests(mill)) if check else None
        result = {"run": str(mill.run.path), "checked": check}
        return result | ({"identical": difference is None, "first_difference": difference} if check else {})


def read_card(card: Path) -> dict[str, Any]:
    """card.json of a card folder."""
    path = card / "card.json" if card.is_dir() else card
    if not path.exists():
        raise CardError(f"{card} holds no card.json; give the folder that `gristmill card` wrote")
    return read_json(path)


def check_inputs(carded: dict[str, Any], found: dict[str, Any]) -> None:
    """Raise CardError naming the first input that is missing, new or changed."""
    for source, files in carded.items():
        here = {file["path"]: file["digest"] for file in found.get(source, [])}
        for file in files:
            if here.pop(file["path"], None) != file["digest"]:
                raise CardError(f"sources.{source}: {file['path']} is not the file that the card was made from")
        if here:
            raise CardError(f"sources.{source}: {sorted(here)[0]} was not there when the card was made")


def shard_digests(mill: Mill) -> dict[str, list[dict[str, Any]]]:
    """Name, rows and sha256 of every shard, by domain."""
    return {
        folder.name: [
            {k: shard[k] for k in ("name", "rows", "sha256")} for shard in read_json(folder / "index.json")["shards"]
        ]
        for folder in sorted((mill.run.path / "shards").iterdir())
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
