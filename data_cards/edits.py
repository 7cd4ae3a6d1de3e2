"""What was cut from, or masked in, the kept text: by source and reason, every byte once."""

from typing import Any

from gristmill.corpus.rundir import RunDir
from gristmill.corpus.span_tables import MASK
from gristmill.data_cards.pages import Card, Table, foreign
from gristmill.data_cards.wording import number, size


def edits(run: RunDir) -> dict[str, dict[str, dict[str, int]]]:
    """Spans, bytes and documents by source and reason; empty for a run that edits no text."""
    return dict(run.manifest("edits").parts[0].facts.get("by_reason", {})) if run.has("edits") else {}


def by_reason(card: Card) -> Table:
    """One row a reason over all sources."""
    total: dict[str, dict[str, int]] = {}
    for reasons in card["edits"].values():
        for reason, counts in reasons.items():
            sums = total.setdefault(reason, dict.fromkeys(counts, 0))
            for name, value in counts.items():
                sums[name] += value
    rows = [
        (foreign(reason), _fate(reason), *_shown(counts))
        for reason, counts in sorted(total.items(), key=lambda item: (-item[1]["bytes"], item[0]))
    ]
    return Table(("reason", "what", "documents", "spans", "bytes"), rows, "Cut from kept text, every byte once", 2)


def _fate(reason: str) -> str:
    return "masked" if reason.startswith(MASK) else "cut"


def _shown(counts: dict[str, int]) -> tuple[str, ...]:
    return number(counts["documents"]), number(counts["spans"]), size(counts["bytes"])


def unbalanced(card: dict[str, Any]) -> list[str]:
    """Sources of the stage ``edits`` whose cut bytes, by reason, are not the bytes that its account drops."""
    accounts = next((stage["sources"] for stage in card["funnel"] if stage["stage"] == "edits"), {})
    return [
        source
        for source, account in accounts.items()
        if account["bytes_dropped"] != _cut(card["edits"].get(source, {}))
    ]


def _cut(reasons: dict[str, dict[str, int]]) -> int:
    return sum(counts["bytes"] for reason, counts in reasons.items() if not reason.startswith(MASK))
