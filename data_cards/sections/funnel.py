"""Conservation by stage, outcome by source, rejects by reason, cuts by reason."""

from collections.abc import Sequence

from gristmill.corpus.account import Account
from gristmill.data_cards.card import Card
from gristmill.data_cards.page import Section, Table
from gristmill.data_cards.parts.cut_text import Edits
from gristmill.data_cards.wording import number, one_line, size

COLUMNS = ("stage", "documents in", "kept", "dropped", "merged", "bytes in", "kept", "dropped", "merged", "adds up")
BY_SOURCE = ("source", "records", "rejected", "dropped", "merged", "emptied", "kept", "text kept")
TEXT = (
    "Every record is accounted for: what a stage takes in is what it keeps, drops and merges. "
    "Stage documents counts raw bytes of the input, stage decide bytes of text; stage edits, where text is cut, "
    "takes in what decide kept. Emptied documents were kept by every rule, but cuts left no text of them: stage tokens "
    "drops them, no row holds them, and no count of kept documents by source has them."
)


def section(card: Card) -> Section:
    """From records to kept documents."""
    outcomes = [
        (
            s.name,
            *(number(n) for n in (s.records, s.rejected, s.dropped, s.merged, s.emptied, s.kept)),
            size(s.kept_bytes),
        )
        for s in card.sources
    ]
    reasons = [(row.source, one_line(row.reason), row.kind, number(row.records)) for row in card.rejects]
    tables = [
        Table(COLUMNS, stages(card)),
        cuts(card.edits),
        Table(BY_SOURCE, outcomes, "By source"),
        Table(("source", "reason", "kind", "records"), reasons, "Records that did not become documents", 3, True),
    ]
    caption = "What became of each source's records"
    return Section("funnel", "From records to kept documents", [TEXT], ("funnel.svg", caption), tables)


def stages(card: Card) -> list[tuple]:
    """The first stage, and every one that drops or merges anything."""
    first, *others = card.funnel
    losing = [
        one
        for one in others
        if one.total.bytes_kept < one.total.bytes_in or one.total.documents_kept < one.total.documents_in
    ]
    return [(one.stage, *_account(one.total), "yes" if one.balanced else "NO") for one in (first, *losing)]


def _account(total: Account) -> list[str]:
    documents = (total.documents_in, total.documents_kept, total.documents_dropped, total.documents_merged)
    n_bytes = (total.bytes_in, total.bytes_kept, total.bytes_dropped, total.bytes_merged)
    return [*map(number, documents), *map(size, n_bytes)]


def cuts(edits: Sequence[Edits]) -> Table:
    """One row a reason over all sources, most bytes first."""
    total: dict[str, list[int]] = {}
    for one in edits:
        sums = total.setdefault(one.reason, [0, 0, 0])
        total[one.reason] = [a + b for a, b in zip(sums, (one.documents, one.spans, one.bytes), strict=True)]
    masks = {one.reason for one in edits if one.masks}
    rows = [
        (one_line(reason), "masked" if reason in masks else "cut", number(documents), number(spans), size(n_bytes))
        for reason, (documents, spans, n_bytes) in sorted(total.items(), key=lambda item: (-item[1][2], item[0]))
    ]
    return Table(("reason", "what", "documents", "spans", "bytes"), rows, "Cut from kept text, every byte once", 2)
