"""What a target of ``gristmill export`` is given and what it returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

BY = ("source", "domain")
COLUMNS = ("signals",)  # that are written when asked for
STORED_ORDER, PLAN_ORDER = ORDERS = ("rows", "plan")


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """How a run is written out.

    Parameters
    ----------
    by : a column of ``BY``, each of whose values gets a folder of its own; None for one folder
    columns : further columns, of ``COLUMNS``
    order : of rows, one of ``ORDERS``: as they are stored, each once, or as the plan draws them, with its repeats;
        None stands for the stored one, and for documents, which have none
    """

    by: str | None = None
    columns: tuple[str, ...] = ()
    order: str | None = None


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """One file that was written."""

    path: str  # relative to the folder of the export
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Exported:
    """What a target has written."""

    files: tuple[ExportedFile, ...]
    by_source: Mapping[str, int]  # documents written
    heldout: int  # of these, the documents that no training reads
    emptied: Mapping[str, int]  # kept documents of which the edits left no text, by source; they are not written
    more: Mapping[str, Any] = field(default_factory=dict)  # what export.json says beside that, as plain JSON
