"""What was removed on request and when, what took its place, and what the search for it found."""

from gristmill.data_cards.card import Card
from gristmill.data_cards.page import Section, Table
from gristmill.data_cards.takedowns import Takedown, sentence
from gristmill.data_cards.wording import number

COLUMNS = ("date", "documents", "rejects", "copies that stay", "re-elected", "rows rewritten", "entries deleted")
COLUMNS += ("band index",)
PROOF = (
    "Every 32-byte slice that only the removed documents contain was looked for in every file of the run, of its store "
    "entries and of its band index: raw, column by column, and with tokens spelled out."
)


def section(card: Card) -> Section | None:
    """None without a takedown."""
    takedowns = card.takedowns
    if not takedowns:
        return None
    text = [f"{sentence(takedowns)} {PROOF}"]
    items = [finding for one in takedowns for finding in _findings(one)]
    return Section(
        "takedowns", "Documents taken down", text, tables=[Table(COLUMNS, list(map(_row, takedowns)))], items=items
    )


def _row(one: Takedown) -> tuple[str, ...]:
    counts = (one.removed, one.rejects, one.copies, one.reelected)
    counts += (one.rows_rewritten, one.entries_deleted, one.index_removed)
    return one.date, *map(number, counts)


def _findings(one: Takedown) -> list[str]:
    found = [f"{number(one.left)} files still hold such a slice." if one.left else "the search found no slice left."]
    if one.entries_of_others:
        found.append(f"{number(one.entries_of_others)} old store entries stay, as other runs name them.")
    if one.retrained:
        found.append(f"the {one.retrained} was trained again, as its vocabulary spelled removed text.")
    if one.training_deleted:
        found.append("the model trained before was deleted, as it had seen the documents.")
    if one.replayed_steps is not None:
        found.append(
            "every copy was removed too, and the model went back to before it saw one of them: "
            f"{number(one.replayed_steps)} steps were trained again; train/certificate.json has the digests."
        )
    return [f"{one.date}: {finding}" for finding in found]
