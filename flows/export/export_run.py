"""``gristmill export``: a run written out for other tools, whole or not at all."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gristmill.corpus.errors import GristmillError, StoreError, UnknownNameError
from gristmill.corpus.files import file_sha256, fsync_path, write_json
from gristmill.corpus.rundir import EXPORTS
from gristmill.corpus.state_files import Record, read_typed
from gristmill.flows.export.target import BY, COLUMNS, ORDERS, Exported, ExportOptions
from gristmill.flows.export.targets import Target, target_named
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.damage import damage_behind, names_damage
from gristmill.flows.pipeline.open_context import reopen_run
from gristmill.flows.pipeline.policy_gate import refuse_forbidden
from gristmill.flows.pipeline.progress import Reporter

FORMAT = "gristmill-export-1"
EXPORT_FILE = "export.json"  # written last: a folder without it is no export
UNFINISHED = "unfinished.json"  # what is being written; gone once the export is whole
WRITTEN = ("part-[0-9]*.*", ".part-[0-9]*.tmp", "index.json")  # by any target, until then


@names_damage
def export_run(
    run: Path, target: str, folder: Path, options: ExportOptions | None = None, reporter: Reporter | None = None
) -> dict[str, Any]:
    """Write a run out and record it in the run.

    Parameters
    ----------
    run : a run directory that has come as far as decide
    target : a name of ``gristmill.flows.export.targets.TARGETS``, or one that an installed package announces
    folder : a new or empty folder, or one that holds an unfinished export of the same run with the same options

    Returns
    -------
    What stands in FOLDER/export.json, and ``folder``

    Raises
    ------
    StageError : a target from outside failed, or reported files that are not there
    PolicyError : documents that the recipe forbids are kept or packed
    UnknownNameError : no such target, column to export by, further column, or order
    StoreError : the run has not decided or kept nothing, the folder holds something else, it cannot be written, or
        the format cannot hold what is asked for
    """
    options = options or ExportOptions()
    chosen = target_named(target)
    _check_known("column of --by", [options.by] if options.by else [], BY)
    _check_known("column of --with", options.columns, COLUMNS)
    _check_known("order of --order", [options.order] if options.order else [], ORDERS)
    with reopen_run(run, reporter=reporter) as context:
        context.run.manifest("decide")  # else an empty folder would be left
        refuse_forbidden(context)
        export = _head(context, target, options) | _origin(chosen)
        made = not folder.exists()
        try:
            _open_folder(folder, export)
            with _left_as_found(folder, made):
                result = export | _body(chosen.write(context, folder, options), context)
            _finish(folder, result)
        except GristmillError:
            raise
        except OSError as error:
            written = StoreError(f"--out {folder}: {error}; the export is unfinished, the same command begins it again")
            raise damage_behind(error, [context]) or written from error
        _record(context, folder, result)
    return {**result, "folder": str(folder)}


def _check_known(kind: str, names: Iterable[str], known: tuple[str, ...]) -> None:
    for name in names:
        if name not in known:
            raise UnknownNameError(kind, name, known)


def _head(context: RunContext, target: str, options: ExportOptions) -> dict[str, Any]:
    """What is exported, and how; no path, no date: the same export is byte for byte the same everywhere."""
    from gristmill.handoff.plan import Plan

    return {
        "format": FORMAT,
        "target": target,
        "run": f"{context.recipe.name}/{context.run.brief_lock.run_id}",
        "plan": Plan.load(context.run.path / "plan").digest if context.run.has("plan") else None,
        "by": options.by,
        "with": sorted(options.columns),
        **({"order": options.order} if options.order else {}),
    }


def _origin(target: Target) -> dict[str, Any]:
    """The package of a target from outside: another one may write other bytes."""
    if target.plugin is None:
        return {}
    return {"plugin": {name: getattr(target.plugin, name) for name in ("name", "version", "sha256")}}


def _body(exported: Exported, context: RunContext) -> dict[str, Any]:
    if not exported.files:
        raise StoreError(f"{context.run.path} kept no document with a text; there is nothing to export")
    return {
        "files": [asdict(file) for file in exported.files],
        "documents": sum(exported.by_source.values()),
        "by_source": dict(exported.by_source),
        "heldout": exported.heldout,
        "emptied": dict(exported.emptied),
        **exported.more,
    }


def _open_folder(folder: Path, export: dict[str, Any]) -> None:
    """Make the folder, or clear an unfinished export of the same away; nothing else is ever deleted."""
    if folder.exists() and not folder.is_dir():
        raise StoreError(f"--out {folder} is a file; name a folder")
    folder.mkdir(parents=True, exist_ok=True)
    marker = folder / UNFINISHED
    if marker.exists() and not (folder / EXPORT_FILE).exists():
        begun = read_typed(Record, marker, "delete the folder, or name another one")
        if begun != export:
            raise StoreError(
                f"--out {folder} holds an unfinished export of {begun.get('run')} with other options or of "
                "another state of the run; finish that one, or delete the folder"
            )
        for path in [one for pattern in WRITTEN for one in folder.rglob(pattern)]:
            if path.is_file():
                path.unlink()
    elif held := sorted(path.name for path in folder.iterdir()):
        raise StoreError(f"--out {folder} holds {held[0]!r}; name a new or an empty folder")
    write_json(marker, export)


@contextmanager
def _left_as_found(folder: Path, made: bool) -> Iterator[None]:
    """Where a target refuses before it has written anything, the folder is as it was: other options may do."""
    try:
        yield
    except GristmillError:
        if [path.name for path in folder.iterdir()] == [UNFINISHED]:
            (folder / UNFINISHED).unlink()
            if made:
                folder.rmdir()
        raise


def _finish(folder: Path, result: dict[str, Any]) -> None:
    write_json(folder / EXPORT_FILE, result)
    (folder / UNFINISHED).unlink()
    fsync_path(folder)


def _record(context: RunContext, folder: Path, result: dict[str, Any]) -> None:
    """Put the export into the run's list, in place of an earlier one into the same folder."""
    path, where = context.run.path / EXPORTS, str(folder.resolve())
    before = context.run.export_records
    entry = {
        "folder": where,
        **{name: result[name] for name in ("target", "plan", "by", "with", "documents", "heldout")},
        "bytes": sum(file["bytes"] for file in result["files"]),
        "sha256": file_sha256(folder / EXPORT_FILE),
    }
    write_json(path, {"exports": [*(one for one in before if one["folder"] != where), entry]})
