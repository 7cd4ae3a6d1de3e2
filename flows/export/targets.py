"""The targets of ``gristmill export``, by name. A further target is one line here and the function that it names."""

from collections.abc import Callable, Mapping
from pathlib import Path

from gristmill.corpus.errors import UnknownNameError
from gristmill.corpus.stage import load
from gristmill.flows.export.target import Exported, ExportOptions
from gristmill.flows.pipeline.context import RunContext

Target = Callable[[RunContext, Path, ExportOptions], Exported]  # fills an empty folder

TARGETS: Mapping[str, str] = {
    "jsonl": "gristmill.flows.export.text_export:export_jsonl",
    "parquet": "gristmill.flows.export.text_export:export_parquet",
    "arrow": "gristmill.flows.export.text_export:export_arrow",
}


def target_named(name: str) -> Target:
    """The function of a target.

    Raises
    ------
    UnknownNameError : no such target
    """
    if name not in TARGETS:
        raise UnknownNameError("target of --to", name, TARGETS)
    return load(TARGETS[name])
