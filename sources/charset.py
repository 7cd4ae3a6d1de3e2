"""Which character set a page is in: what server, page and bytes say, and who is believed where they differ.

Bytes come first: text that is valid UTF-8 beyond ASCII is UTF-8, whatever a header says, for other text is that by
no accident. Then the server, then the page, each as browsers read it; then detection.
"""

import codecs
import re
from typing import NamedTuple

from resiliparse.parse.encoding import detect_encoding

from gristmill.sources.charset_decoders import decode_as
from gristmill.sources.charset_labels import encoding_of
from gristmill.sources.reader import RejectError

MAX_REPLACED = 0.01  # a page with more undecodable characters than this is no text
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16le"), (codecs.BOM_UTF16_BE, "utf-16be"))
_PRESCAN_BYTES = 8192  # the standard asks for 1024; browsers go on
_COMMENT = re.compile(rb"<!--.*?-->", re.DOTALL)
_META = re.compile(rb"<meta\b[^>]*?charset\s*=\s*[\"']?\s*([^\s\"'/>;]+)", re.IGNORECASE)
_XML = re.compile(rb"^\s*<\?xml\b[^>]*?encoding\s*=\s*[\"']([^\"']+)")
_ASCII_COMPATIBLE = {"utf-16le": "utf-8", "utf-16be": "utf-8", "x-user-defined": "windows-1252"}  # read in ASCII bytes
_PAIRS = frozenset({"gbk", "gb18030", "big5", "euc-jp", "shift_jis", "euc-kr"})
_CONTROLS = re.compile("[\x80-\x84\x86-\x9f\ufffd]")
_FEW_SEQUENCES = 4  # of UTF-8: as many pairs of another encoding may look like it by accident
_FIRST_BYTES = 1024


class Decoded(NamedTuple):
    """Text and how it was decoded."""

    text: str
    charset: str  # a name of the Encoding Standard: utf-8, windows-1252, shift_jis ...
    replaced: int  # characters that were not valid and became U+FFFD


def decode(body: bytes, charset: str | None, *, is_html: bool) -> Decoded:
    """Decode ``body``; ``charset`` is what the server, or the recipe, says.

    Characters that cannot be read become U+FFFD, up to one in a hundred; beyond that RejectError html_undecodable.

    >>> decode("naïve".encode() + b"<meta charset=utf-16>", "latin1", is_html=True).charset
    'utf-8'
    """
    mark = next(((start, name) for start, name in _MARKS if body.startswith(start)), None)
    if mark is not None:
        return _checked(body[len(mark[0]) :], mark[1])
    named = _said(body, charset, is_html)
    if _is_utf8(body, named):
        return Decoded(body.decode(), "utf-8" if not named or not body.isascii() else named[0], 0)
    for name in named:
        text, replaced = decode_as(body, name)
        if _fits(text):
            return Decoded(text, name, replaced)
    found = encoding_of((detect_encoding(body) or "").replace("_", "-")) or encoding_of(detect_encoding(body))
    best = min(dict.fromkeys([*named, "utf-8", found or "utf-8"]), key=lambda name: _n_wrong(body, name))
    return _checked(body, "euc-kr" if _n_wrong(body, best) and _is_korean(body) else best)


def _is_korean(body: bytes) -> bool:
    """True for what the detector takes for nothing: the bytes are EUC-KR, and most of what is no ASCII is Hangul."""
    text, replaced = decode_as(body, "euc-kr")
    beyond = [one for one in text if not one.isascii()]
    return replaced <= MAX_REPLACED * len(text) and 2 * sum("\uac00" <= one <= "\ud7a3" for one in beyond) > len(beyond)


def _said(body: bytes, charset: str | None, is_html: bool) -> list[str]:
    """Encodings in the order in which they are believed."""
    server, page = encoding_of(charset), _page_says(body) if is_html else None
    first = body[:_FIRST_BYTES]
    if server in ("utf-16le", "utf-16be") and b"\0" not in first:
        server = None
    if server is None and first[:2] in (b"<\0", b"\0<"):
        server = "utf-16le" if first[:1] == b"<" else "utf-16be"
    if server == "windows-1252" and page in _PAIRS and not _n_wrong(body, page):
        server, page = page, server  # the default of old servers, which no byte contradicts
    return list(dict.fromkeys(name for name in (server, page) if name))


def _page_says(body: bytes) -> str | None:
    start = _COMMENT.sub(b"", body[:_PRESCAN_BYTES])
    found = _META.search(start) or _XML.search(start)
    name = encoding_of(found[1].decode("ascii", "replace")) if found else None
    return _ASCII_COMPATIBLE.get(name, name) if name else None


def _is_utf8(body: bytes, named: list[str]) -> bool:
    """True when the bytes are UTF-8 and no accident; ASCII is, but for the encodings that write in ASCII bytes."""
    if body.isascii():
        return not named or named[0] not in ("iso-2022-jp", "replacement", "utf-16le", "utf-16be")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return False
    beyond = len(body) - len(text)
    return beyond >= 2 * _FEW_SEQUENCES or not named or named[0] not in _PAIRS or bool(_n_wrong(body, named[0]))


def _fits(text: str) -> bool:
    """True when few of the characters beyond ASCII are wrong; a cut page and one broken character fit."""
    wrong = len(_CONTROLS.findall(text))
    return not wrong or (wrong <= MAX_REPLACED * len(text) and 10 * wrong <= sum(not c.isascii() for c in text) - wrong)


def _n_wrong(body: bytes, name: str) -> int:
    return len(_CONTROLS.findall(decode_as(body, name)[0]))


def _checked(body: bytes, name: str) -> Decoded:
    text, replaced = decode_as(body, name)
    wrong = len(_CONTROLS.findall(text))
    if wrong > MAX_REPLACED * len(text):
        raise RejectError("html_undecodable", f"{wrong} of {len(text)} characters are not {name}")
    return Decoded(text, name, replaced)
