"""The corpus at a glance: totals, the headline, and the figures on top of its pages."""

from dataclasses import dataclass

from gristmill.data_cards.card import Card
from gristmill.data_cards.wording import counted, number, size


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over sources and domains."""

    records: int
    rejected: int
    documents: int
    kept: int
    merged: int
    dropped: int
    text_bytes: int
    kept_bytes: int
    rows: int
    tokens: int
    shards: int


TOTALS = ("records", "rejected", "documents", "kept", "merged", "dropped", "text_bytes", "kept_bytes")


def totals(card: Card) -> Totals:
    """Of the whole corpus; rows, tokens and shards are those to train on."""
    packed = card.shards_by_domain.values()
    return Totals(
        **{key: sum(getattr(source, key) for source in card.sources) for key in TOTALS},
        rows=sum(domain.rows for domain in packed),
        tokens=sum(domain.tokens for domain in packed),
        shards=sum(len(shards) for shards in card.shards.values()),
    )


def headline(card: Card) -> str:
    """The corpus in one sentence."""
    total, sources = totals(card), counted(len(card.sources), "source")
    return (
        f"{counted(total.kept, 'document')} ({size(total.kept_bytes)} of text) kept from "
        f"{counted(total.records, 'record')} of {sources}, packed into {counted(total.rows, 'row')} "
        f"of {number(card.rows.row_tokens)} tokens in {counted(len(card.shards), 'domain')}."
    )


def glance(card: Card) -> list[tuple[str, str, str]]:
    """The figures at the top: value, what it counts, and a note."""
    total, mixture = totals(card), card.mixture
    return [
        (number(total.kept), "documents kept", f"of {number(total.documents)} read"),
        (size(total.kept_bytes), "of text", f"of {size(total.text_bytes)}"),
        (number(total.tokens), "tokens", f"vocabulary of {number(card.tokenizer.vocab_size)}"),
        (number(total.rows), "rows", f"of {number(card.rows.row_tokens)} tokens, {counted(total.shards, 'shard')}"),
        (number(mixture.tokens), "tokens planned", counted(mixture.samples, "sample")),
        (
            number(len(card.shards)),
            "domain" if len(card.shards) == 1 else "domains",
            f"from {counted(len(card.sources), 'source')}",
        ),
    ]
