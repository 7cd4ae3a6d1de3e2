"""What a card says of documents that were taken down: dates and counts. Neither text nor doc_id of them is repeated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gristmill.corpus.rundir import TAKEDOWN, RunDir
from gristmill.corpus.typed_json import Json, from_json, to_json
from gristmill.data_cards.wording import number

LISTS = ("removed", "reelected", "copies", "left")  # of the record; their length is shown
COUNTS = ("rejects", "rows_rewritten", "entries_deleted", "index_removed")


@dataclass(frozen=True, slots=True)
class Takedown:
    """One takedown in counts.

    ``copies`` are documents that stay with the text of a removed one, ``left`` files that hold a slice still,
    ``entries_of_others`` store entries that other runs keep.
    """

    date: str
    removed: int
    reelected: int
    copies: int
    left: int
    rejects: int
    rows_rewritten: int
    entries_deleted: int
    index_removed: int
    entries_of_others: int
    retrained: str | None
    training_deleted: bool
    replayed_steps: int | None = None  # of a training that went back to before it saw a removed document


def gather_takedowns(run: RunDir) -> tuple[Takedown, ...]:
    """One entry for each takedown of the run, oldest first."""
    return tuple(_counted(record) for record in run.takedowns)


def takedowns(run: RunDir) -> list[Json]:
    """The same as plain JSON, for keys of store entries."""
    return to_json(gather_takedowns(run))


def _counted(record: Mapping[str, Any]) -> Takedown:
    lists = from_json(Mapping[str, tuple[Any, ...]], {name: record.get(name, []) for name in LISTS}, TAKEDOWN)
    others = from_json(Mapping[str, int], record.get("entries_of_others", {}), f"{TAKEDOWN}: entries_of_others")
    counted = {
        "date": record["date"],
        **{name: len(found) for name, found in lists.items()},
        **{name: record.get(name, 0) for name in COUNTS},
        "entries_of_others": sum(others.values()),
        "retrained": record.get("retrained"),
        "training_deleted": bool(record.get("train")),
        "replayed_steps": record.get("replayed_steps"),
    }
    return from_json(Takedown, counted, TAKEDOWN)


def sentence(takedowns: Sequence[Takedown]) -> str:
    """All takedowns in one sentence, for machine-readable fields; empty without one."""
    if not takedowns:
        return ""
    documents, dates = sum(one.removed for one in takedowns), sorted({one.date for one in takedowns})
    times = f"on {dates[0]}" if len(dates) == 1 else f"from {dates[0]} to {dates[-1]}"
    return f"{number(documents)} {'document was' if documents == 1 else 'documents were'} taken down {times}."
