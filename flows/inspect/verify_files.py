"""The small files of a run against one another and against the store: lock, recipe, stages, manifests, what was placed.

Each function gives sentences that name the file and the leaf. The figures that they prove are checked elsewhere.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gristmill.corpus.entry_check import check_files
from gristmill.corpus.errors import DamagedEntryError, StoreError
from gristmill.corpus.files import content_key, file_sha256, read_json
from gristmill.corpus.receipt import Manifest, Receipt
from gristmill.corpus.typed_json import Json
from gristmill.data_cards.differences import differences
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.row_neighbours import folders_of

ID_CHARS = 16
LOCK = "its lock"
STORE = "its receipt in the store"


def lock_problems(context: RunContext) -> list[str]:
    """lock.json against the run's name; recipe.toml and stages.json against lock.json."""
    run, lock = context.run, read_json(context.run.path / "lock.json")
    problems = []
    if (named := content_key(lock)[:ID_CHARS]) != run.path.resolve().name:
        problems.append(f"lock.json is of run {named}, not of {run.path.resolve().name}")
    recipe = _known(context.recipe.locked(), lock["recipe"])
    locked = {key: value for key, value in lock["recipe"].items() if key in type(context.recipe).model_fields}
    problems += differences(recipe, locked, "recipe.toml", LOCK)
    versions: Json = {stage.name: stage.version for stage in run.stages.stages}
    named_by_lock: Json = {name: version for name, version in lock["stages"].items() if name in versions}
    return [*problems, *differences(versions, named_by_lock, "stages.json", LOCK)]


def _known(value: Json, locked: Json) -> Json:
    """``value`` without keys that the lock does not know: a later version has keys that then had no effect."""
    if isinstance(value, dict) and isinstance(locked, dict):
        return {key: _known(inner, locked[key]) for key, inner in value.items() if key in locked}
    if isinstance(value, list) and isinstance(locked, list) and len(value) == len(locked):
        return [_known(*pair) for pair in zip(value, locked, strict=True)]
    return value


def receipt_problems(context: RunContext, stage: str) -> list[str]:
    """A manifest against the receipts that the store has, leaf by leaf, and the files against both."""
    path = f"manifests/{stage}.json"
    found = read_json(context.run.path / path)
    manifest = Manifest.from_json(found)
    expected = manifest.to_json() | {"stage": stage, "parts": [_stored(context, part) for part in manifest.parts]}
    return [*differences(found, expected, path, STORE), *_file_problems(context, manifest)]


def _stored(context: RunContext, part: Receipt) -> Any:
    try:
        receipt = context.store.find(part.stage, part.key)
    except DamagedEntryError:
        return None
    return receipt.to_json() if receipt else None


def _file_problems(context: RunContext, manifest: Manifest) -> Iterator[str]:
    for part in manifest.parts:
        try:
            check_files(context.store.folder(part), part)
        except (StoreError, OSError) as error:
            yield str(error)


def placed_problems(context: RunContext, name: str) -> list[str]:
    """Files under ``name`` in the run against the receipt that they were placed from; none is missing or added.

    Parameters
    ----------
    name : tokenizer, plan, plan/pieces, shards/DOMAIN, heldout/DOMAIN or neighbours/ROWS/DOMAIN
    """
    folder, receipts = context.run.path / name, _receipts_of(context, name)
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    if name == "plan":  # the index of pieces lies in the plan's folder, and has receipts of its own
        there = {file for file in there if not file.startswith("pieces/")}
    named = {file.name for receipt in receipts for file in receipt.files}
    problems = [f"{name}/{file} is in no receipt" for file in sorted(there - named)]
    for receipt, file in ((one, file) for one in receipts for file in one.files):
        if file.name not in there:
            problems.append(f"{name}/{file.name} is missing")
        elif not _as_stored(folder / file.name, _entry_of(context, receipt) / file.name, file.sha256):
            problems.append(f"{name}/{file.name} is not what its receipt says (sha256 {file.sha256[:12]}...)")
    return problems


def _entry_of(context: RunContext, receipt: Receipt) -> Path:
    """The entry's folder, whether it is there or not; that it is missing is a check of its own."""
    try:
        return context.store.folder(receipt)
    except StoreError:
        return context.store.folder_of(receipt.stage, receipt.key)


def _receipts_of(context: RunContext, name: str) -> tuple[Receipt, ...]:
    """Receipts of the store entries whose files were placed under ``name``."""
    if name == "plan/pieces":
        return context.run.manifest("pieces").parts
    stage, _, domain = name.partition("/")
    parts = context.run.manifest(stage).parts
    if stage == "neighbours":
        return (parts[[f"{rows}/{one}" for rows, one in folders_of(context)].index(domain)],)
    return (dict(zip(context.recipe.domains, parts, strict=True))[domain],) if domain else parts[:1]


def _as_stored(path: Path, stored: Path, sha256: str) -> bool:
    """A file that the store shares is checked there, with the receipts; shards are read once."""
    return (stored.exists() and path.samefile(stored)) or file_sha256(path) == sha256
