"""The decoders of the Encoding Standard: what browsers make of bytes, where Python's codecs of that name do not.

Python's codecs are strict about extension characters: euc_kr, shift_jis and big5 refuse what cp949, cp932 and
big5hkscs read, and one such character once turned a page into mojibake. Here the widest codec is taken and its few
differences from the standard's index tables are mended: all 2-byte and single bytes of all encodings are compared
with digests of these tables by a test. Source: encoding.spec.whatwg.org.
"""

import codecs
import re
from collections.abc import Callable
from functools import cache, partial

REPLACEMENT = "\ufffd"
_MULTI = {
    "gbk": "gb18030",
    "gb18030": "gb18030",
    "big5": "big5hkscs",
    "euc-jp": "euc_jp",
    "shift_jis": "cp932",
    "euc-kr": "cp949",
}
_PLAIN = {"utf-8": "utf-8", "utf-16le": "utf-16-le", "utf-16be": "utf-16-be"}
_SINGLE = {
    "ibm866": "cp866",
    "iso-8859-8-i": "iso8859-8",
    "koi8-u": "koi8_u",
    "macintosh": "mac_roman",
    "windows-874": "cp874",
    "x-mac-cyrillic": "mac_cyrillic",
}
_SINGLE_PATCHES = {"koi8-u": {0xAE: "ў", 0xBE: "Ў"}, "windows-1255": {0xCA: "\u05ba"}}
# Characters that a Python codec reads otherwise than browsers do, which no other bytes of that encoding give.
_TRANSLATED = {
    "big5": str.maketrans("•､‾∼♁☉¥¢£", "‧﹑¯～⊕⊙￥￠￡"),
    "euc-jp": str.maketrans("〜‖−¢£¬", "～∥－￠￡￢"),
    "gb18030": str.maketrans(
        "\ue5e5\ue78d\ue78e\ue78f\ue790\ue791\ue792\ue793\ue794\ue795\ue796\ue7c7\u1e3f"
        "\ue81e\ue826\ue82b\ue82c\ue832\ue843\ue854\ue864",
        "\u3000︐︒︑︓︔︕︖︗︘︙\u1e3f\ue7c7龴龵龶龷龸龹龺龻",
    ),
    "shift_jis": str.maketrans(dict.fromkeys("\uf8f0\uf8f1\uf8f2\uf8f3", REPLACEMENT)),
}
_TRANSLATED["gbk"] = _TRANSLATED["gb18030"]
_BIG5_MORE = (  # first code of a run, then its characters: what big5hkscs lacks
    "877a㡵𡵓𣚞𦀡㻬𥣞㫵竼龗𤅡𨤍𣇪𠪊𣉞䌊蒄龖鐯䤰蘓墖靊鈘秐稲晠権袝瑌篅枂稬剏遆 "
    "87be㓦珄𥶹瓆鿇垳䤯呌䄱𣚎堘穲𧭥讏䚮𦺈䆁𥶙箮𢒼鿈𢓁𢓉𢓌鿉蔄𣖻䂴鿊䓡𪷿拁灮鿋 8e69箸 8e6f簆 8e7e糎 8eab緒 "
    "8eb4縝 8ecd者 8ed0耨 8f57菁 8f69蒨 8f6e萏 8fcb覦覩 8ffe起 906d都 907a銹 90dc靜 90f1響 91bf鼖 9244蔃 "
    "92af兙兛兝兞 92c8鍮 92d1瑹 9447浧 94ca禛 95d9邗 9644靝 96ed瀞 96fc嬨 9b76爁 9b78矗 9b7b纇 9bc6駖 "
    "9bde釔 9bec惞 9bf6澶 9c42輶 9c53侻 9c62營 9c68鄄 9c6b鷰 9c77菏 9cbc尐秣 9cd0婧 9d57輋 9d5a筑 9dc4拐 "
    "9ea9恢 9eef痹 9efd汊 9f60鬮 9f66鼗 9fcb僭 9fd8弌 a063蠏 a077拎 a0d5瑨 a0df煢 a0e4牐 "
    "a3c0␀␁␂␃␄␅␆␇␈␉␊␋␌␍␎␏␐␑␒␓␔␕␖␗␘␙␚␛␜␝␞␟␡€ c6cf廴 c6d3无 c6d5癶 c6d7隶 c6de〃仝 fa5f倩 fa66偽 fabd包 "
    "fac5卄 fad5卿 fb48嘅 fbb8婷 fbf3幵 fbf9廐 fc4f彘 fc6c悤 fcb9撐 fce2晴 fcf1杞 fdb7沜渝 fdbb港 fdf1煮 "
    "fe52猪 fe6f瑜 feaa瓩 fedd砉"
)
_BIG5_PAIR = re.compile(rb"[\x81-\xfe][\x40-\x7e\xa1-\xfe]|.", re.DOTALL)
_BIG5_SLASHES = {b"\xa2\x41": "∕", b"\xa2\x42": "﹨"}  # big5hkscs gives ／ and ＼, which A1FE and A240 are as well
_LEADS = {
    "euc-kr": re.compile(rb"[\x81-\xfe]"),
    "big5": re.compile(rb"[\x81-\xfe]"),
    "gbk": re.compile(rb"[\x81-\xfe]"),
    "gb18030": re.compile(rb"[\x81-\xfe]"),
    "shift_jis": re.compile(rb"[\x81-\x9f\xe0-\xfc]"),
    "euc-jp": re.compile(rb"[\x8e\x8f\xa1-\xfe]"),
}


def decode_as(data: bytes, encoding: str) -> tuple[str, int]:
    r"""Text of ``data``, and how many U+FFFD stand for bytes that ``encoding`` (a name of the standard) has not.

    >>> decode_as(b"\x98", "windows-1251"), decode_as(b"caf\xe9", "utf-8")
    (('\x98', 0), ('caf�', 1))
    """
    if encoding in _PLAIN:
        return _counted(data.decode(_PLAIN[encoding], "replace"))
    if encoding == "x-user-defined":
        return "".join(chr(byte if byte < 0x80 else 0xF700 + byte) for byte in data), 0
    if encoding == "replacement":  # encodings that hide markup; browsers show one U+FFFD
        return (REPLACEMENT, 1) if data else ("", 0)
    if encoding == "iso-2022-jp":
        return _counted(_iso_2022_jp(data))
    if encoding in _MULTI:
        return _counted(_multi(data, encoding))
    return _counted(codecs.charmap_decode(data, "replace", _table(encoding))[0])  # pyright: ignore[reportArgumentType]


def _counted(text: str) -> tuple[str, int]:
    return text, text.count(REPLACEMENT)


@cache
def _table(encoding: str) -> str:
    """The 256 characters of a single-byte encoding; C1 controls where Python's table has a hole."""
    codec, patches = _SINGLE.get(encoding, encoding), _SINGLE_PATCHES.get(encoding, {})
    holes_are_controls = encoding.startswith("windows-")
    found = []
    for byte in range(256):
        text = bytes([byte]).decode(codec, "replace")
        is_hole = text == REPLACEMENT and holes_are_controls and byte < 0xA0
        found.append(patches.get(byte, chr(byte) if is_hole else text))
    return "".join("\ufffe" if text == REPLACEMENT else text for text in found)  # FFFE: not defined


def _multi(data: bytes, encoding: str) -> str:
    if encoding == "big5" and any(pair in data for pair in _BIG5_SLASHES):
        return _big5_with_slashes(data)
    if encoding == "euc-jp":
        data = data.replace(b"\x8f\xa2\xb7", b"\xa1\xc1")  # a full-width tilde, for Python an ASCII one
    text = data.decode(_MULTI[encoding], _handler(encoding))
    table = _TRANSLATED.get(encoding)
    return text if table is None or text.isascii() else text.translate(table)


def _big5_with_slashes(data: bytes) -> str:
    pieces, start = [], 0
    for found in _BIG5_PAIR.finditer(data):
        if found[0] in _BIG5_SLASHES:
            before = data[start : found.start()].decode("big5hkscs", _handler("big5")).translate(_TRANSLATED["big5"])
            pieces += [before, _BIG5_SLASHES[found[0]]]
            start = found.end()
    return "".join(pieces) + data[start:].decode("big5hkscs", _handler("big5")).translate(_TRANSLATED["big5"])


@cache
def _handler(encoding: str) -> str:
    """The name of an error handler that reads what the codec lacks, and replaces the rest as browsers do."""
    name = f"gristmill.{encoding}"
    more: Callable[[bytes], str | None] = {"big5": _big5_extra, "euc-jp": _euc_jp_extra}.get(encoding, lambda _: None)
    codecs.register_error(name, partial(_mend, more, _LEADS[encoding], encoding in ("gbk", "gb18030")))
    return name


def _mend(
    more: Callable[[bytes], str | None], leads: re.Pattern[bytes], has_euro: bool, error: UnicodeError
) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    pair = error.object[error.start : error.start + 2]
    found = more(pair)
    if found is not None:
        return found, error.start + 2
    if has_euro and pair[:1] == b"\x80":
        return "€", error.start + 1
    is_one = len(pair) < 2 or pair[1] < 0x80 or not leads.match(pair)
    return REPLACEMENT, error.start + (1 if is_one else 2)


@cache
def _big5_more() -> dict[bytes, str]:
    found: dict[bytes, str] = {}
    for run in _BIG5_MORE.split():
        pointer = _big5_pointer(int(run[:4], 16))
        for place, character in enumerate(run[4:], pointer):
            lead, trail = divmod(place, 157)
            found[bytes([0x81 + lead, trail + (0x40 if trail < 0x3F else 0x62)])] = character
    return found


def _big5_pointer(code: int) -> int:
    lead, trail = code >> 8, code & 0xFF
    return (lead - 0x81) * 157 + trail - (0x40 if trail < 0x7F else 0x62)


def _big5_extra(pair: bytes) -> str | None:
    return _big5_more().get(pair)


def _euc_jp_extra(pair: bytes) -> str | None:
    """Rows 13 and 89 to 92, the characters of NEC and IBM, which cp932 has at the same place."""
    if len(pair) < 2 or pair[0] not in (0xAD, *range(0xF9, 0xFD)) or not 0xA1 <= pair[1] <= 0xFE:
        return None
    row, cell = pair[0] - 0xA1, pair[1] - 0xA1
    lead = row // 2 + (0x81 if row < 62 else 0xC1)
    trail = cell + (0x9F if row % 2 else 0x40 + (cell >= 63))
    text = bytes([lead, trail]).decode("cp932", "replace")
    return None if REPLACEMENT in text else text


_ESCAPE = re.compile(rb"\x1b(\([BJI]|\$[@B])")


def _iso_2022_jp(data: bytes) -> str:
    """Runs between escapes: ASCII, JIS Roman, half-width katakana, or pairs of JIS X 0208, which EUC-JP has at +80."""
    pieces = _ESCAPE.split(data)
    text = [_seven_bits(pieces[0])]
    for mode, run in zip(pieces[1::2], pieces[2::2], strict=True):
        if mode[:1] == b"$":
            text.append(_pairs(run))
        elif mode == b"(I":
            text.append(bytes(byte | 0x80 if 0x21 <= byte <= 0x5F else 0xFF for byte in run).decode("cp932", "replace"))
        else:
            roman = _seven_bits(run)
            text.append(roman.replace("\\", "¥").replace("~", "‾") if mode == b"(J" else roman)
    return "".join(text).translate(_TRANSLATED["shift_jis"])


def _seven_bits(run: bytes) -> str:
    return run.decode("ascii", "replace").replace("\x0e", REPLACEMENT).replace("\x0f", REPLACEMENT)


def _pairs(run: bytes) -> str:
    lines = re.split(rb"(\n)", run)  # a line feed stands alone, in any mode
    return "".join("\n" if line == b"\n" else _multi(bytes(byte | 0x80 for byte in line), "euc-jp") for line in lines)
