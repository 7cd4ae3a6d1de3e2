"""Words of our own for which the field has one: none stands in code or on pages.

Each line of ``WORDS`` is a pattern and what is written in its place.
"""

import re
from pathlib import Path

from gristmill.corpus._rooms import HOUSE, ROOMS

WORDS = {
    # names
    r"\bclass Mill\b|: Mill\b": "run context",
    r"\bupkeep\b|\bkept_up\b": "maintenance",
    r"\bDesk\b|review[./]desk": "review queue",
    r"\bsaid_by\b|\bfates?\b|\bFATES\b|\blife\b": "provenance, outcome",
    r"\bsaid\b": "decided, contained, stated",
    r"\btold\b": "reported, found",
    # sentences
    r"By a person's word": "Reviewers kept 4 documents",
    r"decisions made on another text, none applies": "were made on an earlier version of the text and were not applied",
    r"the removed documents said": "that only the removed documents contain",
    r"\bwhoever\b": "the worker that",
    r"\bnobody\b|\bsomebody\b|\bsomeone\b": "unknown, unset, no reviewer",
    r"\b(?:one|a) \w+ a (?:document|part|row|page|line|domain|stage|source|call)\b": "one ... per document",
    r"\bbits a (?:character|word|byte)\b": "bits per character",
    r"nothing where (?:nobody|none)": "empty without decisions",
    r"can name persons; dataLimitations says": "may contain names of persons; see dataLimitations",
}


def written(house: Path) -> dict[str, str]:
    """Code and templates of every room, by name."""
    paths = [path for room in ROOMS for path in (house / room).rglob("*") if path.suffix in {".py", ".jinja"}]
    return {path.relative_to(house).as_posix(): path.read_text(encoding="utf-8") for path in sorted(paths)}


def places(pattern: str, texts: dict[str, str]) -> list[str]:
    """``file:line`` of every match."""
    found = []
    for name, text in texts.items():
        for match in re.finditer(pattern, text, re.MULTILINE):
            found.append(f"{name}:{text.count(chr(10), 0, match.start()) + 1}")
    return found


def test_no_word_of_our_own_stands_where_the_field_has_one():
    texts = written(HOUSE)
    assert not {f"{word}: write {WORDS[word]!r}": at for word in WORDS if (at := places(word, texts))}


def test_a_place_is_named():
    texts = {"a.py": "x\nclass Mill:\n", "b.py": "class Windmill:\n"}
    assert places(next(iter(WORDS)), texts) == ["a.py:2"]
