"""Which keys a source needs, from its first records: where its text or its messages stand, its ids, its encoding.

A guess for a first recipe; ``gristmill plan`` then looks at the source with it.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from gristmill.sources.sampled_records import sampled_records

TEXTS = ("text", "content", "body", "raw_content", "document", "article", "passage", "code")
IDS = ("id", "doc_id", "docid", "document_id", "uuid", "guid", "_id", "key", "nr")
PAIRS = (
    ("question", "answer"),
    ("prompt", "completion"),
    ("prompt", "response"),
    ("prompt", "chosen"),  # of two answers, the better one
    ("input", "output"),
    ("title", "abstract"),
)
_ROLES = ({"role", "content"}, {"from", "value"})


def guessed_keys(path: str, format_: str) -> dict[str, str]:
    """Keys of [[sources]] beside name, path and domain; what a recipe takes anyway is left out.

    Raises
    ------
    SourceError : the file cannot be opened
    """
    records, encoding = sampled_records(path, format_)
    keys = keys_of(records)
    return keys | ({"encoding": encoding} if encoding != "utf-8" and format_ in ("jsonl", "csv", "text") else {})


def keys_of(records: Sequence[dict[str, Any]]) -> dict[str, str]:
    r"""The same from records alone.

    >>> keys_of([{"doc_id": 1, "body": "A mill.", "source": "x"}])
    {'text_field': 'body', 'id_field': 'doc_id'}
    >>> keys_of([{"question": "How?", "answer": "So."}])
    {'template': '{question}\n\n{answer}'}
    """
    if not records:
        return {}
    there = Counter(name for record in records for name, value in record.items() if value not in (None, ""))
    usual = {name for name, n in there.items() if 2 * n >= len(records)}
    identity = next((name for name in IDS if name in there), "id")
    return _text_keys(records, usual) | ({"id_field": identity} if identity != "id" else {})


def _text_keys(records: Sequence[dict[str, Any]], usual: set[str]) -> dict[str, str]:
    for name in sorted(usual):
        if any(_is_conversation(record.get(name)) for record in records):
            return {"messages": name}
    if {"instruction", "output"} <= usual:
        return {"messages": "instruction"}
    for name in TEXTS:
        if name in usual and _characters(records, name):
            return {} if name == "text" else {"text_field": name}
    for first, second in PAIRS:
        if {first, second} <= usual:
            return {"template": f"{{{first}}}\n\n{{{second}}}"}
    longest = max(sorted(usual), key=lambda name: _characters(records, name), default="text")
    return {"text_field": longest} if longest != "text" and _characters(records, longest) else {}


def _is_conversation(value: Any) -> bool:
    return isinstance(value, list) and any(
        isinstance(one, dict) and any(role <= one.keys() for role in _ROLES) for one in value
    )


def _characters(records: Sequence[dict[str, Any]], name: str) -> int:
    return sum(len(record[name]) for record in records if isinstance(record.get(name), str))
