"""What the tokenizer comes to on the kept text: by domain, by language, and which texts do not come back."""

from collections.abc import Callable, Iterable

from gristmill.data_cards.card import Card
from gristmill.data_cards.page import Cell, Section, Share, Table
from gristmill.data_cards.wording import number, one_line
from gristmill.tokenizer.stage import TextCounts

COLUMNS = ("documents", "tokens", "bytes per token", "characters per token", "tokens per word")
SHOWN = 12
NOTE = (
    "A word is a stretch without white space, so that tokens per word compare languages that write spaces. "
    "End tokens are not counted."
)


def section(card: Card) -> Section | None:
    """None for a run whose tokens were not counted."""
    texts = card.tokenizer.texts
    if not texts:
        return None
    domains, languages = _grouped(texts, lambda one: one.domain), _grouped(texts, lambda one: one.lang)
    unused = card.tokenizer.unused
    by_domain = [(name, *_rates(one), number(unused.get(name, 0))) for name, one in domains]
    languages.sort(key=lambda found: -found[1].tokens)
    by_language = [(one_line(name) if name else "not known", *_rates(one)) for name, one in languages]
    tables = [
        Table(("domain", *COLUMNS, "tokens never used"), by_domain, "Tokens by domain"),
        Table(("language", *COLUMNS), by_language[:SHOWN], "Tokens by language"),
        Table(("language", *COLUMNS), by_language[SHOWN:], "Tokens by language, the others", 1, True),
        _changed(texts),
    ]
    notes = [_closing(card), _comes_back(texts), *_dropped(card), *_rearranged(card), NOTE]
    return Section("tokens", "Tokens", notes, tables=tables)


def _dropped(card: Card) -> list[str]:
    reasons = card.tokenizer.dropped
    listed = ", ".join(f"{number(n)} {one_line(reason)}" for reason, n in reasons.items())
    return [f"Kept conversations that leave no answer to learn are not encoded: {listed}."] if reasons else []


def _rearranged(card: Card) -> list[str]:
    listed = ", ".join(f"{number(n)} of {one_line(domain)}" for domain, n in card.tokenizer.rearranged.items())
    return [f"Documents with their middle at the end, to learn to fill gaps: {listed}."] if listed else []


def _grouped(texts: Iterable[TextCounts], key: Callable[[TextCounts], str]) -> list[tuple[str, TextCounts]]:
    """Sums under each name, in order of name."""
    total: dict[str, TextCounts] = {}
    for one in texts:
        before = total.get(key(one))
        total[key(one)] = one if before is None else before + one
    return sorted(total.items())


def _rates(one: TextCounts) -> tuple[Cell, ...]:
    pairs = ((one.bytes, one.tokens), (one.characters, one.tokens), (one.tokens, one.words))
    rates = (f"{part / whole:.2f}" if whole else None for part, whole in pairs)
    return (number(one.documents), number(one.tokens), *rates)


def _closing(card: Card) -> str:
    used = card.tokenizer
    idle = f"{number(used.unused.get('', 0))} of {number(used.vocab_size)} tokens are never used."
    return f"{f'{one_line(used.end)} ends each document.' if used.end else 'No token ends a document.'} {idle}"


def _comes_back(texts: Iterable[TextCounts]) -> str:
    changed, documents = sum(one.changed for one in texts), sum(one.documents for one in texts)
    if not changed:
        return f"Each of the {number(documents)} documents comes back, byte for byte, when its tokens are decoded."
    return (
        f"{number(changed)} of {number(documents)} documents do not come back when their tokens are decoded: the "
        "tokenizer changes their text. Column comes_back of tokens.parquet names them."
    )


def _changed(texts: Iterable[TextCounts]) -> Table:
    rows = [
        (
            one.domain,
            one_line(one.lang) if one.lang else "not known",
            number(one.changed),
            Share(one.changed / one.documents),
        )
        for one in sorted(texts, key=lambda one: (-one.changed, one.domain, one.lang))
        if one.changed
    ]
    columns = ("domain", "language", "documents", "share")
    return Table(columns, rows, "Texts that do not come back", 2, True)
