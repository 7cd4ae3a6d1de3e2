"""The section that sets the run's tokenizer beside others: one row each under every domain and language."""

from types import SimpleNamespace

from gristmill.data_cards.parts.handover import ComparedTokenizer
from gristmill.data_cards.sections.compared_tokenizers import SHOWN, section
from gristmill.tokenizer.stage import TextCounts


def counts(domain, lang, tokens):
    return TextCounts(domain, lang, 2, bytes=12, characters=12, words=4, tokens=tokens, changed=1)


def compared(name, texts, **more):
    domains = {text.domain: 3 for text in texts}
    return ComparedTokenizer(name, "ab" * 32, 5000, tuple(texts), 1200, domains, {"en": 4000} | more)


def shown(*tokenizers):
    return section(SimpleNamespace(tokenizer=SimpleNamespace(compared=tokenizers)))


def test_a_row_for_each_tokenizer_under_each_domain():
    texts = [counts("code", "en", 3), counts("web", "", 4), counts("web", "en", 2)]
    files, by_domain, by_language, others = shown(compared("", texts), compared("o|200k", texts[1:])).tables
    assert files.rows == [("of this run", "5,000", "3", "ab" * 32), ("o|200k", "5,000", "2", "ab" * 32)]
    assert by_domain.rows == [
        ("code", "of this run", "4.00", "0.75", "3"),
        ("code", "o|200k", None, None, "5,000"),  # it has no such text, so every entry is unused
        ("web", "of this run", "4.00", "0.75", "3"),
        ("web", "o|200k", "4.00", "0.75", "3"),
        ("all", "of this run", "4.00", "0.75", "1,200"),
        ("all", "o|200k", "4.00", "0.75", "1,200"),
    ]
    assert [row[0] for row in by_language.rows] == ["en", "en", "not known", "not known"]  # most tokens first
    assert others.rows == []


def test_languages_beyond_the_first_are_folded():
    texts = [counts("web", f"l{number}", 9 + number) for number in range(SHOWN + 2)]
    *_, most, others = shown(compared("", texts)).tables
    assert [row[0] for row in others.rows] == ["l1", "l0"]
    assert (len(most.rows), most.folded, others.folded) == (SHOWN, False, True)


def test_no_section_where_none_is_compared():
    assert shown() is None
