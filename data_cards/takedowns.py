"""What a card says of documents that were taken down: dates and counts. Neither text nor doc_id of them is repeated."""

from typing import Any

from gristmill.corpus.rundir import RunDir
from gristmill.data_cards.pages import Card, Section, Table
from gristmill.data_cards.wording import number

LISTS = ("removed", "reelected", "copies", "left")  # of the record; their length is told
COUNTS = ("rejects", "rows_rewritten", "entries_deleted", "index_removed")
PROOF = (
    "Every 32-byte slice that only the removed documents said was looked for in every file of the run, of its store "
    "entries and of its band index: raw, column by column, and with tokens spelled out."
)


def takedowns(run: RunDir) -> list[dict[str, Any]]:
    """One entry a takedown of the run, oldest first.

    removed, reelected, copies (documents that stay with the text of a removed one), left (files that hold a slice
    still), rejects, rows_rewritten, entries_deleted, index_removed: counts; date; entries_of_others: store entries that
    other runs keep; retrained; training_deleted; plan: why there was none afterwards.
    """
    return [_told(record) for record in run.takedowns]


def _told(record: dict[str, Any]) -> dict[str, Any]:
    return {
        "date": record["date"],
        **{name: len(record.get(name, [])) for name in LISTS},
        **{name: record.get(name, 0) for name in COUNTS},
        "entries_of_others": sum(record.get("entries_of_others", {}).values()),
        "retrained": record.get("retrained"),
        "training_deleted": bool(record.get("train")),
    }


def section(card: Card) -> Section | None:
    """What was removed when, what took its place, and what the search found; None without a takedown."""
    told = card["takedowns"]
    if not told:
        return None
    columns = ("date", "documents", "rejects", "copies that stay", "re-elected", "rows rewritten", "entries deleted")
    rows = [
        (one["date"], *(number(one[name]) for name in ("removed", "rejects", "copies", "reelected")), *_rewritten(one))
        for one in told
    ]
    return Section(
        "takedowns",
        "Documents taken down",
        [f"{sentence(card)} {PROOF}"],
        tables=[Table((*columns, "band index"), rows)],
        items=[finding for one in told for finding in _findings(one)],
    )


def _rewritten(one: dict[str, Any]) -> tuple[str, ...]:
    return tuple(number(one[name]) for name in ("rows_rewritten", "entries_deleted", "index_removed"))


def sentence(card: Card) -> str:
    """All takedowns in one sentence, for machine-readable fields; empty without one."""
    told = card["takedowns"]
    if not told:
        return ""
    documents, dates = sum(one["removed"] for one in told), sorted({one["date"] for one in told})
    times = f"on {dates[0]}" if len(dates) == 1 else f"from {dates[0]} to {dates[-1]}"
    return f"{number(documents)} {'document was' if documents == 1 else 'documents were'} taken down {times}."


def _findings(one: dict[str, Any]) -> list[str]:
    found = [_left(one["left"])]
    if one["entries_of_others"]:
        found.append(f"{number(one['entries_of_others'])} old store entries stay, as other runs name them.")
    if one["retrained"]:
        found.append(f"the {one['retrained']} was trained again, as its vocabulary spelled removed text.")
    if one["training_deleted"]:
        found.append("the model trained before was deleted, as it had seen the documents.")
    return [f"{one['date']}: {finding}" for finding in found]


def _left(files: int) -> str:
    return f"{number(files)} files still hold such a slice." if files else "the search found no slice left."
