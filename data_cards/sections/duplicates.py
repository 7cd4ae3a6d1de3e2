"""Duplicates: the scheme, its curve, what it found; and passages repeated inside documents."""

from dataclasses import asdict

from gristmill.data_cards.card import Card
from gristmill.data_cards.page import Section, Share, Table
from gristmill.data_cards.parts.dedup import Dedup, Repeats
from gristmill.data_cards.wording import number, one_line, size


def section(card: Card) -> Section:
    """Documents that are duplicates as a whole, then passages."""
    found = card.dedup.found
    merged = [(one_line(kind.rule), number(kind.documents), size(kind.bytes)) for kind in card.dedup.merged]
    facts = [(name.replace("_", " "), _plain(name, value)) for name, value in asdict(found).items() if _is_plain(value)]
    curve = [(f"{jaccard:.2f}", Share(chance)) for jaccard, chance in found.curve]
    sizes = [(f"{low} to {high}" if low < high else str(low), number(n)) for low, high, n in found.sizes]
    tables = [
        Table(("merged as", "documents", "text"), merged),
        Table(("found", "value"), facts, "Scheme and findings", 1, True),
        Table(("documents in a cluster", "clusters"), sizes, "Sizes of clusters", 1, True),
        Table(("Jaccard", "chance to be compared"), curve, "Curve of the scheme", 1, True),
    ]
    return Section("duplicates", "Duplicates", [_scheme(card.dedup), *_repeats(card.repeats)], tables=tables)


def _scheme(dedup: Dedup) -> str:
    near, found = dedup.scheme, dedup.found
    if near.off:
        return "Documents of equal text were merged; near duplicates were not looked for."
    return (
        f"Documents of equal text are one cluster. Near duplicates are candidates from MinHash signatures "
        f"({near.hashes} hashes over {near.shingle_words}-word shingles, {found.bands} bands of {found.rows} rows), "
        f"and join a cluster only when their exact Jaccard similarity is {near.threshold:g} or more. Of each cluster "
        "one document that passes all rules is kept."
    )


def _repeats(repeats: Repeats) -> list[str]:
    text = []
    if lines := repeats.lines:
        text.append(
            f"Of {number(lines.units)} {lines.unit}s of kept text that were long enough, {number(lines.duplicates)} "
            f"repeat an earlier one ({size(lines.bytes_removed)})."
        )
    if runs := repeats.substrings:
        text.append(
            f"Runs of {number(runs.min_tokens)} tokens or more that kept text already has amount to "
            f"{size(runs.bytes_removed)}."
        )
    return text


def _is_plain(value: object) -> bool:
    return isinstance(value, int | float | str)


def _plain(name: str, value: bool | int | float | str) -> str | Share:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return one_line(value)
    return Share(value) if name.endswith("_share") else number(value)
