"""Character sets: every byte and pair as the Encoding Standard has it, and who is believed when they are told apart."""

import json
from pathlib import Path

import pytest
import xxhash

from gristmill.sources.charset import decode
from gristmill.sources.charset_decoders import decode_as
from gristmill.sources.charset_labels import ENCODING_OF_LABEL, encoding_of
from gristmill.sources.reader import RejectError

# Digests of the standard's index tables, made once with the npm package @exodus/bytes 1.16.0 (MIT): a line for each
# byte and each pair that stands for text, "8140　", in order, hashed with xxh3-128.
DIGESTS = json.loads((Path(__file__).parent / "cases" / "whatwg_digests.json").read_text())
LEADS = range(0x80, 0x100)


def one(data, encoding):
    text, wrong = decode_as(data, encoding)
    return None if wrong else text


@pytest.mark.parametrize("encoding", DIGESTS)
def test_every_byte_and_pair_is_the_standards(encoding):
    singles = [one(bytes([byte]), encoding) for byte in range(256)]
    rows = [f"{byte:02x}{text}" for byte, text in enumerate(singles) if text is not None]
    pairs = []
    if DIGESTS[encoding]["pairs"]:
        codes = [bytes([lead, trail]) for lead in LEADS if singles[lead] is None for trail in range(256)]
        pairs = [(code, text) for code in codes if (text := one(code, encoding)) is not None]
    rows += [f"{code.hex()}{text}" for code, text in pairs]
    assert len(pairs) == DIGESTS[encoding]["pairs"]
    assert xxhash.xxh3_128_hexdigest("\n".join(rows).encode()) == DIGESTS[encoding]["digest"]
    whole = decode_as(b"".join(code for code, _ in pairs), encoding)
    assert whole == ("".join(text for _, text in pairs), 0)


def test_every_label_has_a_decoder():
    assert len(ENCODING_OF_LABEL) == 228
    for name in set(ENCODING_OF_LABEL.values()) - {"replacement"}:
        if name.startswith("utf-16"):
            continue
        assert decode_as(b"plain", name) == ("plain", 0)


@pytest.mark.parametrize(
    ("data", "encoding", "text"),
    [
        (b"\x1b$B4A;z\x1b(B ab \x1b(J\\~\x1b(I1\x1b(B", "iso-2022-jp", "漢字 ab ¥‾ｱ"),
        ("한글 똠방각하".encode("cp949"), "euc-kr", "한글 똠방각하"),
        ("①髙﨑".encode("cp932"), "shift_jis", "①髙﨑"),
        (b"\xad\xa1\xfc\xee", "euc-jp", "①黑"),
        (b"\x87\x7a\xa2\x41\xa1\xfe", "big5", "㡵∕／"),
        (b"\x80\xa3\xa0", "gbk", "€\u3000"),
        (b"a\x81", "shift_jis", "a\ufffd"),
        (b"\x81<b>", "euc-kr", "\ufffd<b>"),
        (b"", "replacement", ""),
    ],
)
def test_what_browsers_read(data, encoding, text):
    assert decode_as(data, encoding)[0] == text


def page(text, meta=""):
    return f"<html><head>{meta}<title>t</title></head><body><p>{text}</p>"


KOREAN = "똠방각하가 펲시콜라를 마셨다. 한국어 문장이 이어진다. " * 3
CHINESE = "這是一個關於碁盤與着色的網頁。" * 4
RUSSIAN = "Съешь ещё этих мягких французских булок, да выпей чаю. " * 2


@pytest.mark.parametrize(
    ("body", "server", "found"),
    [
        (page(KOREAN).encode("cp949"), "euc-kr", "euc-kr"),
        (page(KOREAN, "<meta charset=euc-kr>").encode("cp949"), "iso-8859-1", "euc-kr"),
        (page(KOREAN).encode("cp949"), None, "euc-kr"),  # detection takes it for nothing
        (page(CHINESE).encode("big5hkscs"), "big5", "big5"),
        (page(RUSSIAN, "<meta charset=x-mac-cyrillic>").encode("mac_cyrillic"), None, "x-mac-cyrillic"),
        (page(RUSSIAN, "<meta charset=utf-16>").encode(), None, "utf-8"),
        (page(RUSSIAN, "<meta charset=koi8-r>").encode(), "windows-1251", "utf-8"),  # the bytes say more
        (page(RUSSIAN, "<meta charset=utf-8>").encode("koi8-r"), None, "koi8-r"),
        (page(RUSSIAN, "<!--<meta charset=gbk>--><meta charset=cp1251>").encode("cp1251"), None, "windows-1251"),
        (page(RUSSIAN, "<meta content='text/html; charset=koi8-r' http-equiv=a>").encode("koi8-r"), None, "koi8-r"),
        (('<?xml version="1.0" encoding="koi8-r"?>' + page(RUSSIAN)).encode("koi8-r"), None, "koi8-r"),
        (page(RUSSIAN).encode("utf-16-le"), None, "utf-16le"),
        (page(RUSSIAN).encode("utf-16-be"), "utf-16be", "utf-16be"),
        (page(RUSSIAN).encode(), "utf-16", "utf-8"),
        (page(KOREAN).encode("cp949") + b"\xff", "euc-kr", "euc-kr"),  # one bad byte is not another character set
        (page(RUSSIAN).encode()[:-5] + b"\xd0", "utf-8", "utf-8"),  # cut inside a character
        (page("plain"), "iso-2022-jp", "iso-2022-jp"),
    ],
)  # fmt: skip
def test_who_is_believed(body, server, found):
    body = body if isinstance(body, bytes) else body.encode()
    decoded = decode(body, server, is_html=True)
    assert decoded.charset == found
    assert decoded.replaced <= 1
    assert any(start in decoded.text for start in (KOREAN[:9], CHINESE[:9], RUSSIAN[:9], "plain"))


def test_two_pairs_that_look_like_utf8_are_what_the_page_says():
    assert decode("<p>联通".encode("gbk"), "gbk", is_html=True)[:2] == ("<p>联通", "gbk")


@pytest.mark.parametrize("charset", [None, "utf-8", "iso-8859-1", "hz-gb-2312"])
def test_bytes_that_are_no_text_are_rejected(charset):
    with pytest.raises(RejectError, match="html_undecodable"):
        decode(bytes(range(128, 160)) * 30, charset, is_html=True)


def test_labels_are_the_standards():
    assert encoding_of("ANSI_X3.4-1968") == encoding_of("latin1") == "windows-1252"
    assert encoding_of("iso-8859-9") == "windows-1254"
    assert encoding_of("gb2312") == "gbk"
    assert encoding_of("utf-32") is None
