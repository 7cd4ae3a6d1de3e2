"""The run's tokenizer beside others on the same text, by domain and by language."""

from collections import Counter
from collections.abc import Iterator, Sequence

from gristmill.data_cards.card import Card
from gristmill.data_cards.page import Cell, Section, Table
from gristmill.data_cards.parts.handover import ComparedTokenizer
from gristmill.data_cards.wording import number, one_line
from gristmill.tokenizer.stage import TextCounts

OWN = "of this run"
COLUMNS = ("tokenizer", "bytes per token", "tokens per word", "tokens never used")
SHOWN = 8  # languages with most tokens
NOTE = (
    "All encode the same kept text, held-out documents among it, and conversations without their chat template. "
    "Tokens per word is also called fertility; a word is a stretch without white space. An end token is not counted."
)


def section(card: Card) -> Section | None:
    """None for a run that compares none."""
    compared = card.tokenizer.compared
    if not compared:
        return None
    tokens = Counter[str]()
    for one in compared[0].texts:
        tokens[one.lang] += one.tokens
    domains = sorted({one.domain for one in compared[0].texts})
    languages = sorted(tokens, key=lambda name: (-tokens[name], name))
    most, others = (list(_rows(compared, "lang", names)) for names in (languages[:SHOWN], languages[SHOWN:]))
    everywhere = [("all", *_figures(one, one.texts, one.unused)) for one in compared]
    files = [(_called(one), number(one.vocab_size), number(_changed(one)), one.sha256) for one in compared]
    tables = [
        Table(("tokenizer", "vocabulary", "documents that do not come back", "sha256 of its file"), files),
        Table(("domain", *COLUMNS), [*_rows(compared, "domain", domains), *everywhere], "Tokenizers by domain", 2),
        Table(("language", *COLUMNS), most, "Tokenizers by language", 2),
        Table(("language", *COLUMNS), others, "Tokenizers by language, the others", 2, True),
    ]
    return Section("compared-tokenizers", "Tokenizers compared", [NOTE], tables=tables)


def _rows(compared: Sequence[ComparedTokenizer], unit: str, names: Sequence[str]) -> Iterator[tuple[Cell, ...]]:
    """Under each domain or language a row for each tokenizer."""
    for name in names:
        for one in compared:
            texts = [text for text in one.texts if getattr(text, unit) == name]
            unused = one.unused_by_domain if unit == "domain" else one.unused_by_language
            yield one_line(name) if name else "not known", *_figures(one, texts, unused.get(name, one.vocab_size))


def _figures(one: ComparedTokenizer, texts: Sequence[TextCounts], unused: int) -> tuple[Cell, ...]:
    n_bytes, tokens, words = (sum(getattr(text, unit) for text in texts) for unit in ("bytes", "tokens", "words"))
    rates = (f"{part / whole:.2f}" if whole else None for part, whole in ((n_bytes, tokens), (tokens, words)))
    return _called(one), *rates, number(unused)


def _called(one: ComparedTokenizer) -> str:
    return one_line(one.name) if one.name else OWN


def _changed(one: ComparedTokenizer) -> int:
    return sum(text.changed for text in one.texts)
