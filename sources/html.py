"""HTML pages: character set, main content, title. Files here; pages inside archives come through ``sources.warc``.

resiliparse's main-content extraction: on the Debian FAQ in four languages 97% of the words of the project's own
plain-text edition are found. A call a page: a parser is a reader's named exception to columns.
"""

import codecs
import re
from typing import NamedTuple

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5
from resiliparse.parse.html import HTMLTree

from gristmill.sources.catalogue import RejectError
from gristmill.sources.fields import Fields, meta_json
from gristmill.sources.listing import InputFile
from gristmill.sources.part import Part
from gristmill.sources.plain_text import read_whole
from gristmill.sources.spec import ReadSpec

MAX_DEPTH = 2048  # main-content extraction is quadratic in the depth: 0.03 s here, 4.5 s at 20,000
MAX_REPLACED = 0.01  # a page with more undecodable characters than this is no text
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_BLOCK_TAG = re.compile(r"<(/?)(?:div|section|article|main|aside|nav|span|table|ul|ol|dl|blockquote)\b", re.IGNORECASE)


class Decoded(NamedTuple):
    """Text and how it was decoded."""

    text: str
    charset: str
    replaced: int  # characters that were not valid and became U+FFFD


class Page(NamedTuple):
    """What a page says, and what it says about itself."""

    text: str
    lang: str | None
    meta: dict[str, str | int]


def read(file: InputFile, spec: ReadSpec, part: Part) -> None:
    """Add ``file`` as one document, or as a reject; an empty file is neither."""
    charset = None if spec.is_utf8 else spec.encoding  # utf-8 is the default: the page may say otherwise
    read_whole(file, spec, part, lambda data: _fields(extract(data, charset)))


def _fields(page: Page) -> Fields:
    return Fields(page.text, lang=page.lang, meta=meta_json(dict(page.meta)))


def extract(body: bytes, charset: str | None = None) -> Page:
    r"""Main text of a page; ``charset`` is what the server (or the recipe) says. RejectError html_undecodable.

    >>> extract(b"<html lang=de><title>T</title><p>Stra\xdfe</p>", "iso-8859-1")
    Page(text='Straße', lang='de', meta={'charset': 'cp1252', 'title': 'T'})
    """
    decoded = decode(body, charset, is_html=True)
    tree = HTMLTree.parse(decoded.text)
    text = extract_plain_text(tree, preserve_formatting=True, main_content=not _is_deep(decoded.text))
    meta: dict[str, str | int] = {"charset": decoded.charset}
    if tree.title:
        meta["title"] = tree.title
    if decoded.replaced:
        meta["replaced_characters"] = decoded.replaced
    root = tree.document.query_selector("html") if tree.document else None
    return Page(text, (root.getattr("lang") or None) if root else None, meta)


def decode(body: bytes, charset: str | None, *, is_html: bool) -> Decoded:
    """Decode with the first of byte order mark, server, meta tag and detection that fits without an error.

    When none fits, the first is used and the characters it cannot read become U+FFFD, up to one in a hundred.
    """
    candidates = _candidates(body, charset, is_html)
    for name in candidates:
        try:
            return Decoded(body.decode(name).removeprefix("\ufeff"), name, 0)
        except (UnicodeDecodeError, LookupError):
            continue
    text = body.decode(candidates[0], errors="replace")
    replaced = text.count("\ufffd")
    if replaced > MAX_REPLACED * len(text):
        raise RejectError("html_undecodable", f"{replaced} of {len(text)} characters are not {candidates[0]}")
    return Decoded(text.removeprefix("\ufeff"), candidates[0], replaced)


def _candidates(body: bytes, charset: str | None, is_html: bool) -> list[str]:
    mark = next((name for start, name in _MARKS if body.startswith(start)), None)
    server = map_encoding_to_html5(charset, fallback_utf8=False) if charset else None
    found = [mark, server, detect_encoding(body, from_html_meta=is_html), "utf-8", detect_encoding(body)]
    return list(dict.fromkeys(name for name in found if name))


def _is_deep(html: str) -> bool:
    """True when block elements may nest beyond MAX_DEPTH; never false for a page that does."""
    if html.count("<") <= MAX_DEPTH:
        return False
    depth = 0
    for tag in _BLOCK_TAG.finditer(html):
        depth = max(depth + (-1 if tag[1] else 1), 0)
        if depth > MAX_DEPTH:
            return True
    return False
