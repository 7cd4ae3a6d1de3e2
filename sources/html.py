"""HTML pages: main content, title, language. Files here; pages inside archives come through ``sources.warc``.

resiliparse parses and writes text; what is content is decided in ``page_content``. On the Debian FAQ in four languages
the token F1 to the project's own plain-text edition is 0.98 (bench/html_text.py). A call a page: a parser is a
reader's named exception to columns.
"""

import codecs
import re
from typing import NamedTuple

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

from gristmill.sources.charset import decode
from gristmill.sources.charset_labels import encoding_of
from gristmill.sources.fields import Fields, meta_json
from gristmill.sources.listing import InputFile
from gristmill.sources.page_content import strip_page
from gristmill.sources.page_math import write_formulas
from gristmill.sources.part import Part
from gristmill.sources.plain_text import decode_strictly, read_whole
from gristmill.sources.spec import ReadSpec

MAX_DEPTH = 512  # deeper pages are written as they are: finding content is quadratic in depth, 1.7 s at 2,000
_NESTING = (
    "div section article main aside nav span table ul ol dl blockquote header footer form fieldset figure details"
    " center math mrow mstyle msup msub mfrac msqrt sup sub b i em strong font u small big tt code pre label ins del"
)
_NESTING_TAG = re.compile(rf"<(/?)(?:{'|'.join(_NESTING.split())})\b", re.IGNORECASE)


class Page(NamedTuple):
    """What a page says, and what it says about itself."""

    text: str
    lang: str | None
    meta: dict[str, str | int]


def read(file: InputFile, spec: ReadSpec, part: Part) -> None:
    """Add ``file`` as one document, or as a reject; an empty file is neither."""
    charset = None if spec.is_utf8 else spec.encoding  # utf-8 is the default: the page may say otherwise
    if charset is not None and encoding_of(charset) is None:  # only Python knows it
        name = codecs.lookup(charset).name
        read_whole(file, spec, part, lambda data: _fields(extract(decode_strictly(data, name).encode(), "utf-8")))
    else:
        read_whole(file, spec, part, lambda data: _fields(extract(data, charset)))


def _fields(page: Page) -> Fields:
    return Fields(page.text, lang=page.lang, meta=meta_json(dict(page.meta)))


def extract(body: bytes, charset: str | None = None) -> Page:
    r"""Main text of a page; ``charset`` is what the server (or the recipe) says. RejectError html_undecodable.

    >>> extract(b"<html lang=de><title>T</title><p>Stra\xdfe</p>", "iso-8859-1")
    Page(text='Straße', lang='de', meta={'charset': 'windows-1252', 'title': 'T'})
    """
    decoded = decode(body, charset, is_html=True)
    tree = HTMLTree.parse(decoded.text)
    meta: dict[str, str | int] = {"charset": decoded.charset}
    if tree.title:
        meta["title"] = tree.title
    if decoded.replaced:
        meta["replaced_characters"] = decoded.replaced
    root = tree.document.query_selector("html") if tree.document else None
    lang = (root.getattr("lang") or None) if root else None
    return Page(_text(tree, decoded.text), lang, meta)


def _text(tree: HTMLTree, html: str) -> str:
    if not _is_deep(html):
        write_formulas(tree)
        strip_page(tree)
    return extract_plain_text(tree, preserve_formatting=True, main_content=False)


def _is_deep(html: str) -> bool:
    """True when block elements may nest beyond MAX_DEPTH; never false for a page that does."""
    if html.count("<") <= MAX_DEPTH:
        return False
    depth = 0
    for tag in _NESTING_TAG.finditer(html):
        depth = max(depth + (-1 if tag[1] else 1), 0)
        if depth > MAX_DEPTH:
            return True
    return False
