"""Texts of a few changed documents, the only ones that are read; what is masked is shown by its marker."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from gristmill.flows.diff.change_groups import ChangeGroup
from gristmill.flows.diff.changed_documents import ABSENT
from gristmill.flows.diff.turned_rules import Side
from gristmill.flows.inspect.sample_texts import cut_text, documents_named, masks_of

SHOWN_CHARS = 160
_COLUMNS = ["doc_id", "locator", "text"]
LEAD_CHARS = 40  # shown before the first difference


def changed_texts(before: Side, after: Side, groups: Sequence[ChangeGroup], n: int) -> list[dict[str, Any]]:
    """One document of each of the ``n`` largest groups: where it stands, and its text in each run that has it.

    Of an edited text the piece around the first difference is shown, of others the beginning. What was taken down of
    one run is not shown from the other.
    """
    shown = [group for group in groups if "takedown" not in group.reasons]
    chosen = [(group.ids[0], group) for group in shown[:n]]
    texts = [
        _texts(side, [doc_id for doc_id, group in chosen if getattr(group, name) != ABSENT])
        for side, name in ((before, "before"), (after, "after"))
    ]
    samples = []
    for doc_id, group in chosen:
        pair = [side.get(doc_id) for side in texts]
        start = _first_difference(pair[0][1], pair[1][1]) if pair[0] and pair[1] else 0
        pieces = [None if one is None else one[1][start : start + SHOWN_CHARS] for one in pair]
        locator = next(one[0] for one in pair if one is not None)
        about = {"doc_id": doc_id, "source": group.source, "kind": group.kind, "locator": locator}
        samples.append(about | {"before": pieces[0], "after": pieces[1], "from_char": start})
    return samples


def _texts(side: Side, doc_ids: list[str]) -> dict[str, tuple[str, str]]:
    """Locator and masked text by doc_id."""
    found = side.columns.documents.filter(pl.col("doc_id").is_in(doc_ids))
    documents = documents_named(side.context, doc_ids, _COLUMNS, found["part"].unique().to_list())
    masks = masks_of(side.context, documents)
    return {one: (row["locator"], cut_text(row["text"], masks.get(one, []))) for one, row in documents.items()}


def _first_difference(before: str, after: str) -> int:
    """The character to show from; 0 for equal texts.

    >>> _first_difference("a" * 100, "a" * 90 + "b"), _first_difference("a", "a")
    (50, 0)
    """
    if before == after:
        return 0
    shorter = min(len(before), len(after))
    pairs = enumerate(zip(before, after, strict=False))
    return max(next((at for at, (one, other) in pairs if one != other), shorter) - LEAD_CHARS, 0)
