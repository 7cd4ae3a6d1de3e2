"""Rows and shards, with the digest of every file."""

from gristmill.data_cards.card import Card
from gristmill.data_cards.page import Section, Share, Table
from gristmill.data_cards.parts.handover import Packed
from gristmill.data_cards.wording import number, percent, size

TEXT = (
    "Shards are Arrow IPC streams, and each folder opens with datasets.load_from_disk. Put beside shards/ and "
    "heldout/, this README.md lets datasets.load_dataset open them too, one configuration for each domain; "
    "rows/ holds the first rows of each as JSON Lines, for readers of Croissant."
)


def section(card: Card) -> Section:
    """By domain, the schema of a row, and every file."""
    packed = [
        (domain, number(one.rows), number(one.documents), number(one.tokens), _padding(one), number(held))
        for domain, one in card.shards_by_domain.items()
        for held in [card.heldout_by_domain[domain].rows if domain in card.heldout_by_domain else 0]
    ]
    tables = [
        Table(("domain", "rows", "documents", "tokens", "padding", "rows held out"), packed),
        Table(("column", "type", "meaning"), _schema(card), "Structure of a row", 3),
        Table(("shard", "sha256", "rows", "bytes"), _files(card), "Shards", 2, True),
    ]
    return Section("rows", "Rows and shards", [_tokens(card), *_packing(card), TEXT], tables=tables)


def _packing(card: Card) -> list[str]:
    """What another packing than best fit costs, and what nothing counts in."""
    packed = [one for one in card.shards_by_domain.values() if one.padding_best_fit is not None and one.rows]
    room, tokens = sum(one.rows * one.row_tokens for one in packed), sum(one.tokens for one in packed)
    best = sum(one.tokens / (1 - (one.padding_best_fit or 0)) for one in packed)
    text = f"Packing {card.rows.packing}: {percent(1 - tokens / room)} padding" if room else ""
    found = [f"{text}; best fit would have {percent(1 - tokens / best)}."] if text else []
    left_out = sum(one.without_targets for one in card.tokenizer.encoded)
    return found + ([f"{number(left_out)} tokens stand in no row: no target would be beside them."] if left_out else [])


def _schema(card: Card) -> list[tuple[str, str, str]]:
    kind = next((one.token_type for one in card.shards_by_domain.values()), "uint16")
    return [
        ("tokens", f"fixed_size_list<{kind}>[{card.rows.row_tokens}]", "token ids; the rest of a row is padding"),
        ("documents", "list<struct<doc_id, start, length, offset>>", "the piece of each document in the row"),
    ]


def _files(card: Card) -> list[tuple]:
    return [
        (f"{stage}/{domain}/{shard.name}", shard.sha256, number(shard.rows), size(shard.bytes))
        for stage, domains in (("shards", card.shards), ("heldout", card.heldout))
        for domain, shards in domains.items()
        for shard in shards
    ]


def _padding(packed: Packed) -> Share | None:
    room = packed.rows * packed.row_tokens
    return Share(1 - packed.tokens / room) if room else None


def _tokens(card: Card) -> str:
    kept = sum(source.kept_bytes for source in card.sources)
    tokens = sum(one.tokens for domains in (card.shards_by_domain, card.heldout_by_domain) for one in domains.values())
    rate = f", {kept / tokens:.2f} bytes of text a token" if tokens else ""
    used = card.tokenizer
    origin = "trained on the kept text" if used.trained else "taken as it is"
    model = used.model[:1].upper() + used.model[1:]
    return f"{model} with {number(used.vocab_size)} tokens, {origin}{rate}."
