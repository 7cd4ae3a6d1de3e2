"""The targets of ``gristmill export``, by name: the mill's own, and those that installed packages announce.

A further target of the mill is one line here and the function that it names; a package announces its own in the
entry-point group ``gristmill.exports``.
"""

from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from gristmill.corpus.errors import StageError, UnknownNameError
from gristmill.corpus.files import file_sha256
from gristmill.corpus.plugins import plugin_from_package, resolve, told_by
from gristmill.corpus.stage import Plugin, load
from gristmill.flows.export.target import Exported, ExportOptions
from gristmill.flows.pipeline.context import RunContext

Write = Callable[[RunContext, Path, ExportOptions], Exported]  # fills an empty folder

TARGETS: Mapping[str, str] = {
    "jsonl": "gristmill.flows.export.text_export:export_jsonl",
    "parquet": "gristmill.flows.export.text_export:export_parquet",
    "arrow": "gristmill.flows.export.text_export:export_arrow",
    "rows-parquet": "gristmill.flows.export.parquet_rows:export_rows_parquet",
    "memmap": "gristmill.flows.export.memmap_rows:export_memmap",
    "megatron": "gristmill.flows.export.megatron_documents:export_megatron",
    "mds": "gristmill.flows.export.mds_rows:export_mds",
    "litdata": "gristmill.flows.export.litdata_rows:export_litdata",
    "dots1": "gristmill.flows.export.model_export:export_dots1",
    "qwen3moe": "gristmill.flows.export.model_export:export_qwen3moe",
    "deepseekv3": "gristmill.flows.export.model_export:export_deepseekv3",
}
GROUP = "gristmill.exports"


class Target(NamedTuple):
    """What writes an export, and the installed package that it comes from; None for the mill's own."""

    write: Write
    plugin: Plugin | None = None


def target_named(name: str) -> Target:
    """The mill's target of this name, else the one that a package announces.

    Raises
    ------
    UnknownNameError : no such target
    StageError : two packages announce it, or the one that does cannot be loaded
    """
    if name in TARGETS:
        return Target(load(TARGETS[name]))
    announced: dict[str, set[str]] = {}
    for point in metadata.entry_points(group=GROUP):
        announced.setdefault(point.name, set()).add(point.value)
    if name not in announced:
        raise UnknownNameError("target of --to", name, [*TARGETS, *announced])
    if len(announced[name]) > 1:
        raise StageError(f"--to {name} is announced more than once, by {' and by '.join(sorted(announced[name]))}")
    return _outside(name, announced[name].pop())


def _outside(name: str, reference: str) -> Target:
    """What ``"module:function"`` of an installed package names; whatever it raises is one error that names it."""
    module, _, function = (piece.strip() for piece in reference.partition(":"))
    try:
        plugin = plugin_from_package(module)
    except (ImportError, OSError) as error:
        raise StageError(f"--to {name} is announced by {reference}, which cannot be loaded: {error}") from error
    inner = resolve(f":{function}", plugin, f"export {name!r}")

    def write(context: RunContext, folder: Path, options: ExportOptions) -> Exported:
        with told_by(plugin, f"writing the export {name!r}"):
            exported = inner(context, folder, options)
        _check(exported, folder, f"plug-in {plugin.name!r}, export {name!r}: ")
        return exported

    return Target(write, plugin)


def _check(exported: object, folder: Path, who: str) -> None:
    """Files are where and what the target reports."""
    if not isinstance(exported, Exported):
        raise StageError(f"{who}it returned {type(exported).__name__}, not gristmill.flows.export.target.Exported")
    for file in exported.files:
        path = folder / file.path
        if not path.is_file() or not path.resolve().is_relative_to(folder.resolve()):
            raise StageError(f"{who}it reported {file.path}, which is no file of the folder")
        if (path.stat().st_size, file_sha256(path)) != (file.bytes, file.sha256):
            raise StageError(f"{who}{file.path} is not the file that it reported, by size or by sha256")
