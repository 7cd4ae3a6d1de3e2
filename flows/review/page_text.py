"""Text on the review page: bounded pieces, what to mark in them, and characters that hide made visible.

Segments are plain text: the template escapes each.
"""

import re
from collections.abc import Iterator
from typing import Any

from gristmill.filters.decide.highlights import highlights

PIECE_CHARS = 50_000  # a browser lays this out at once; 99 of 100 documents are shorter
_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_PICTURES = 0x2400  # Unicode's pictures of the control characters

Segment = tuple[str, str]  # kind ("", "mark", "hidden"), text


def piece_of(text: str, signal: str, number: int) -> dict[str, Any]:
    """A piece of a text for the page.

    Parameters
    ----------
    signal : what it counts is marked, see ``gristmill.filters.decide.highlights``
    number : from 0; one beyond the end is the last

    Returns
    -------
    segments, caption of what is marked, marks, number, pieces, chars of the whole text
    """
    pieces = max(1, -(-len(text) // PIECE_CHARS))
    number = min(max(number, 0), pieces - 1)
    piece = text[number * PIECE_CHARS : (number + 1) * PIECE_CHARS]
    caption, ranges = highlights(piece, signal)
    return {
        "segments": list(segments(piece, ranges)),
        "caption": caption,
        "marks": len(ranges),
        "number": number,
        "pieces": pieces,
        "chars": len(text),
    }


def segments(text: str, ranges: list[tuple[int, int]]) -> Iterator[Segment]:
    r"""Cut a text where marks begin and end, and at hidden characters.

    >>> list(segments("a\x00b c", [(4, 5)]))
    [('', 'a'), ('hidden', '␀'), ('', 'b '), ('mark', 'c')]
    """
    last = 0
    for start, end in ranges:
        yield from _shown(text[last:start], "")
        yield from _shown(text[start:end], "mark")
        last = end
    yield from _shown(text[last:], "")


def _shown(text: str, kind: str) -> Iterator[Segment]:
    last = 0
    for match in _HIDDEN.finditer(text):
        if match.start() > last:
            yield kind, text[last : match.start()]
        yield "hidden", picture(match[0])
        last = match.end()
    if last < len(text):
        yield kind, text[last:]


def picture(character: str) -> str:
    r"""A visible sign for a character that has none.

    >>> picture("\x1b"), picture("\u202e")
    ('␛', 'U+202E')
    """
    code = ord(character)
    if code < 0x20:
        return chr(_PICTURES + code)
    return "␡" if code == 0x7F else f"U+{code:04X}"


def number_text(value: float | None) -> str:
    """A number as people write it.

    >>> number_text(12345.0), number_text(0.123456), number_text(None)
    ('12,345', '0.1235', 'none')
    """
    if value is None:
        return "none"
    return f"{int(value):,}" if value.is_integer() and abs(value) < 1e15 else f"{value:.4g}"
