"""What stands on the pages of a card, once, for Markdown and HTML alike: sections of plain text, tables and figures.

A section holds no markup. The templates set it, and they escape every text of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gristmill.data_cards.wording import number, one_line, size

Card = dict[str, Any]


class Share(float):
    """A share from 0 to 1; set as percent, in HTML with a bar."""


Cell = str | int | float | None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under named columns; the first ``left`` columns are text, the others numbers."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]
    title: str = ""
    left: int = 1
    folded: bool = False  # shown on demand, where a page can


@dataclass(frozen=True, slots=True)
class Section:
    """One heading and what stands under it, in this order."""

    anchor: str
    title: str
    text: list[str] = field(default_factory=list)
    figure: tuple[str, str] | None = None  # file name, caption
    tables: list[Table] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    code: list[tuple[str, str]] = field(default_factory=list)  # language, text


def sections(card: Card) -> list[Section]:
    """All sections of a card, in reading order; those without content are left out."""
    from gristmill.data_cards import pages_corpus, pages_handover, pages_refine, takedowns

    makers: tuple[Callable[[Card], Section | None], ...] = (
        pages_refine.sources,
        pages_refine.funnel,
        pages_refine.rules,
        pages_refine.duplicates,
        takedowns.section,
        pages_corpus.languages,
        pages_corpus.lengths,
        pages_corpus.references,
        pages_corpus.knowledge,
        pages_handover.mixture,
        pages_handover.rows,
        pages_handover.training,
        pages_corpus.uses,
        pages_corpus.limits,
        pages_handover.provenance,
        pages_handover.rebuild,
        pages_handover.contact,
    )
    return [section for make in makers if (section := make(card))]


def totals(card: Card) -> dict[str, int]:
    """Sums over sources and domains."""
    keys = ("records", "rejected", "documents", "kept", "merged", "dropped", "text_bytes", "kept_bytes", "files")
    domains = card["shards_by_domain"].values()
    return {key: sum(source[key] for source in card["sources"]) for key in keys} | {
        "rows": sum(domain["rows"] for domain in domains),
        "tokens": sum(domain["tokens"] for domain in domains),
        "shards": sum(len(shards) for shards in card["shards"].values()),
    }


def headline(card: Card) -> str:
    """The corpus in one sentence."""
    total = totals(card)
    return (
        f"{number(total['kept'])} documents ({size(total['kept_bytes'])} of text) kept from {number(total['records'])} "
        f"records of {len(card['sources'])} sources, packed into {number(total['rows'])} rows "
        f"of {number(card['rows']['row_tokens'])} tokens in {len(card['shards'])} domains."
    )


def glance(card: Card) -> list[tuple[str, str, str]]:
    """The figures at the top: value, what it counts, and a note."""
    total, mixture = totals(card), card["mixture"]
    return [
        (number(total["kept"]), "documents kept", f"of {number(total['documents'])} read"),
        (size(total["kept_bytes"]), "of text", f"of {size(total['text_bytes'])}"),
        (number(total["tokens"]), "tokens", f"vocabulary of {number(card['tokenizer']['vocab_size'])}"),
        (number(total["rows"]), "rows", f"of {number(card['rows']['row_tokens'])} tokens, {total['shards']} shards"),
        (number(mixture["tokens"]), "tokens planned", f"{number(mixture['samples'])} samples"),
        (number(len(card["shards"])), "domains", f"from {len(card['sources'])} sources"),
    ]


def foreign(value: Any) -> str:
    """Text that came with the data, on one line."""
    return one_line(value)
