"""Text files, HTML pages, WARC and WET archives."""

import bz2
import contextlib
import gzip
import json
import random
import re
import zlib
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.errors import SourceError
from gristmill.sources.charset import decode
from gristmill.sources.html import MAX_DEPTH, _is_deep, extract
from gristmill.sources.reader import RejectError

WEB = Path("samples/web")
EXAMPLE = (WEB / "example.com.warc").read_bytes()


def record(body=b"<p>hello</p>", kind="response", media="text/html", status="200 OK", http=b"", url="http://x.org/"):
    if kind == "response":
        body = f"HTTP/1.1 {status}\r\nContent-Type: {media}\r\n".encode() + http + b"\r\n" + body
        media = "application/http; msgtype=response"
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:uuid:1>\r\nWARC-Target-URI: {url}\r\n"
        f"WARC-Date: 2024-01-02T03:04:05Z\r\nContent-Type: {media}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body + b"\r\n\r\n"


@pytest.fixture
def warc(tmp_path, read):
    def run(*records, name="a.warc", **fields):
        (tmp_path / name).write_bytes(b"".join(records))
        return read(tmp_path / name, **fields)

    return run


def test_a_code_tree(read):
    result = read("samples/code/tree", "text")
    assert result.outcome.rows == 88
    assert result.locators == sorted(result.locators)
    assert "samples/code/tree/redux/LICENSE" in result.locators


@pytest.mark.parametrize(
    ("data", "text", "reason"),
    [
        (b"\xef\xbb\xbfa\r\nb\x0cc", "a\nb\x0cc", None),
        ("e\u0301".encode(), "é", None),
        (b"caf\xe9", None, "invalid_utf8"),
        (b"\x7fELF\0\0", None, "nul_character"),
        (b"x" * 101, None, "document_too_large"),
        (b"x" * 1001, None, "record_too_large"),
        ("aß".encode("utf-16"), "aß", None),  # Notepad's "Unicode"
        (b"\xfe\xff" + "aß".encode("utf-16-be"), "aß", None),
        ("aß".encode("utf-32"), "aß", None),
        (b"\0\0\xfe\xff" + "aß".encode("utf-32-be"), "aß", None),
        ("aß".encode("utf-16")[:-1], None, "invalid_encoding"),
        ("a".encode("utf-16-le"), None, "nul_character"),  # nothing says so
        (b"\xef\xbb\xbf", None, "empty_text"),
    ],
)
def test_text_files(tmp_path, read, data, text, reason):
    (tmp_path / "a.txt").write_bytes(data)
    result = read(tmp_path / "a.txt", document_bytes=100, record_bytes=1000)
    assert result.texts == ([] if text is None else [text])
    assert list(result.reasons.values()) == ([reason] if reason else [])


def test_text_in_another_encoding(tmp_path, read):
    (tmp_path / "a.txt").write_bytes("Straße".encode("utf-16"))
    assert read(tmp_path / "a.txt", encoding="utf-16").texts == ["Straße"]
    assert list(read(tmp_path / "a.txt", encoding="ascii").reasons.values()) == ["invalid_encoding"]


def test_a_cut_text_archive_is_a_reject(tmp_path, read):
    packed = gzip.compress(random.Random(0).randbytes(4000).hex().encode())
    (tmp_path / "a.txt.gz").write_bytes(packed[:2000])
    (tmp_path / "a.html.gz").write_bytes(packed[:2000])
    assert list(read([tmp_path / "a.txt.gz", tmp_path / "a.html.gz"]).reasons.values()) == ["truncated_archive"] * 2


def test_the_sample_pages(read):
    result = read(WEB / "html")
    assert result.outcome.rows == 24
    kernel = dict(zip(result.locators, result.texts, strict=True))
    assert (
        "Debian GNU/Linux bekommen und installieren" in kernel["samples/web/html/debian-faq.de/getting-debian.de.html"]
    )
    assert "内核" in kernel["samples/web/html/debian-faq.zh-cn/kernel.zh-cn.html"]
    assert not re.search(r"</?(p|div|a)\b", " ".join(result.texts))


PAGE = "<html lang=ru><head><title>Заголовок</title>{}</head><body><p>{}</p></body></html>"
WORDS = "Это довольно длинное предложение на русском языке, чтобы было что распознавать. " * 4


@pytest.mark.parametrize(
    ("body", "charset", "found"),
    [
        (PAGE.format("", WORDS).encode("cp1251"), "windows-1251", "windows-1251"),
        (PAGE.format("<meta charset=koi8-r>", WORDS).encode("koi8-r"), None, "koi8-r"),
        (PAGE.format("", WORDS).encode("cp1251"), None, "windows-1251"),
        (PAGE.format("<meta charset=koi8-r>", WORDS).encode("utf-8-sig"), "koi8-r", "utf-8"),
        (PAGE.format("", WORDS).encode("utf-16"), None, "utf-16le"),
        (PAGE.format("<meta charset=utf-8>", WORDS).encode(), "klingon", "utf-8"),
    ],
)
def test_character_sets(body, charset, found):
    page = extract(body, charset)
    assert page.text == WORDS.strip()
    assert (page.lang, page.meta["title"], page.meta["charset"]) == ("ru", "Заголовок", found)


def test_a_few_bad_bytes_are_replaced_and_counted():
    decoded = decode(("ж" * 500).encode() + b"\xff" + ("ж" * 500).encode(), "utf-8", is_html=True)
    assert decoded.replaced in (0, 1)
    page = extract("<p>привет мир </p>".encode() * 100 + b"\x98\xff\xfe", "utf-8")
    assert "привет мир" in page.text or page.meta["charset"] != "utf-8"
    with pytest.raises(RejectError, match="html_undecodable"):
        decode(bytes(range(128, 256)) * 9, "utf-8", is_html=True)


@given(st.binary(max_size=300), st.sampled_from([None, "utf-8", "euc-jp", "utf-16", "x-unknown", "\0"]))
def test_no_bytes_bring_the_extractor_down(body, charset):
    with contextlib.suppress(RejectError):
        extract(b"<html><p>" + body, charset).text.encode()


def test_deep_pages_are_seen():
    assert not _is_deep("<div>a</div>" * 9999)
    assert _is_deep("<div>" * (MAX_DEPTH + 1))
    assert extract(b"<div>" * 100_000 + b"bottom").text == "bottom"


def test_the_sample_archive(read):
    result = read(WEB / "debian-docs.warc.gz")
    facts = result.outcome.facts
    assert result.outcome.rows == 32
    assert facts["skipped"] == {"content_type": 1, "http_status": 1}
    assert facts["rejects"] == {}
    assert facts["passed_over"] == {"warcinfo": 1}
    rows = {row["url"].rsplit("/", 1)[-1]: row for row in result.documents.to_pylist()}
    for name, charset, words in [
        ("beyond-pkging.ja.html", "euc-jp", "パッケージ化、そして"),
        ("beyond-pkging.ru.html", "windows-1251", "Помимо создания пакетов"),
        ("advanced.zh-cn.html", "gb18030", "高级打包"),
        ("tools.en.html", "utf-8", "Overview of Debian Maintainer Tools"),
        ("l10n.en.html", "utf-8", "Internationalization and Translations"),
    ]:
        assert words in rows[name]["text"][:200]
        assert json.loads(rows[name]["meta"])["charset"] == charset
    assert all("\ufffd" not in text for text in result.texts)
    assert rows["tools.en.html"]["lang"] == "en"
    assert rows["tools.en.html"]["created"] == "2023-06-10T12:00:00Z"


def test_pages_and_their_wet_texts_say_the_same(read):
    pages = {row["url"]: row["text"] for row in read(WEB / "debian-docs.warc.gz").documents.to_pylist()}
    texts = {row["url"]: row["text"] for row in read(WEB / "debian-docs.warc.wet.gz").documents.to_pylist()}
    assert pages.keys() == texts.keys()
    for url, text in texts.items():
        wanted = set(re.findall(r"\w{5,}", pages[url]))
        assert len(wanted & set(re.findall(r"\w{5,}", text))) >= 0.95 * len(wanted)


def test_the_captured_archive(read):
    result = read(WEB / "example.com.warc")
    assert result.outcome.facts["skipped"] == {"content_type": 2, "http_status": 1}
    assert result.texts[0].startswith("Example Domain")


def test_the_truncated_sample(read):
    result = read("samples/dirty/truncated.warc.gz")
    assert result.outcome.rows == 1
    assert list(result.reasons.values()) == ["truncated_archive"]


def test_payloads(warc):
    gzipped, deflated = gzip.compress(b"<p>zipped</p>"), zlib.compress(b"<p>deflated</p>")
    result = warc(
        record(),
        record(b"plain & <simple>", media="text/plain; charset=utf-8"),
        record(b"6\r\n<p>chu\r\n9\r\nnked</p>\n\r\n0\r\n\r\n", http=b"Transfer-Encoding: chunked\r\n"),
        record(gzipped, http=b"Content-Encoding: gzip\r\n"),
        record(deflated, http=b"Content-Encoding: deflate\r\n"),
        record(b"<p>said to be zipped</p>", http=b"Content-Encoding: gzip\r\n"),
        record(b"<p>stored</p>", "resource", "text/html; charset=utf-8", url="<http://y.org/>"),
        record("wet é".encode(), "conversion", "text/plain"),
    )
    assert result.texts == [
        "hello",
        "plain & <simple>",
        "chunked",
        "zipped",
        "deflated",
        "said to be zipped",
        "stored",
        "wet é",
    ]
    assert result.column("url")[6] == "http://y.org/"
    assert result.column("url")[0] == "http://x.org/"


@pytest.mark.parametrize("charset", ["euc-kr", '"KS_C_5601-1987"', "'euc-kr'", " euc-kr ; x=y", "windows-949"])
def test_charsets_of_servers(warc, charset):
    words = "똠방각하가 한국어 문장을 썼다. " * 5
    result = warc(record(f"<p>{words}".encode("cp949"), media=f"text/html; Charset ={charset}"))
    assert result.texts == [words.strip()]
    assert json.loads(result.column("meta")[0])["charset"] == "euc-kr"


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (record(status="404 Not Found"), "http_status"),
        (record(b"x", media="image/png"), "content_type"),
        (record(b"", "revisit", "application/http"), "revisit"),
        (record(b"<p> </p>"), "empty_text"),
        (record(b"\x1f\x8bjunk", http=b"Content-Encoding: gzip\r\n"), "http_undecodable"),
        (record(b"zz\r\n", http=b"Transfer-Encoding: chunked\r\n"), "http_undecodable"),
        (record(b"x" * 70_000), "record_too_large"),
        (record(bytes(range(128, 256)) * 40), "html_undecodable"),
        (record(gzip.compress(b" " * 9_000_000, mtime=0), http=b"Content-Encoding: gzip\r\n"), "expansion_too_large"),
        (
            record(b"ar", "resource", "text/plain").replace(b"Content-Length: 2", b"Content-Length: two"),
            "no_content_length",
        ),
        (b"no record\nat all\n", "no_record"),
    ],
)
def test_one_bad_record_is_one_reject_and_reading_goes_on(warc, bad, reason):
    result = warc(record(b"<p>first</p>"), bad, record(b"<p>last</p>"), record_bytes=1 << 16)
    assert result.texts == ["first", "last"]
    assert reason in result.reasons.values()
    assert len(result.reasons) <= 2


def test_records_that_hold_no_documents_are_passed_over(warc):
    result = warc(
        record(), *(record(b"x", kind, "text/plain") for kind in ("warcinfo", "request", "metadata", "unheard-of"))
    )
    assert result.outcome.accounts["s"].documents_in == 1
    assert sum(result.outcome.facts["passed_over"].values()) == 4


def test_a_body_without_a_type_is_told_by_its_first_bytes(warc):
    bodies = (b" <p>page</p>", b"words", b"\x89PNG\0")
    result = warc(
        *(
            record(body).replace(b"HTTP/1.1 200 OK\r\nContent-Type", b"HTTP/1.1 200 OK\r\nX-Nothing-12")
            for body in bodies
        )
    )
    assert result.texts == ["page", "words"]
    assert list(result.reasons.values()) == ["content_type"]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, zstandard.compress])
def test_an_archive_packed_as_one_member_has_the_same_places(tmp_path, read, warc, pack):
    plain = warc(EXAMPLE)
    (tmp_path / "a.warc").write_bytes(pack(EXAMPLE))
    assert read(tmp_path / "a.warc").documents.equals(plain.documents)


def test_every_cut_keeps_the_whole_records_before_it(tmp_path, read):
    whole = read(WEB / "example.com.warc")
    starts = [int(locator.rsplit("@")[-1]) for locator in whole.locators]
    for cut in range(1, len(EXAMPLE), 1913):
        (tmp_path / "a.warc").write_bytes(EXAMPLE[:cut])
        try:
            result = read(tmp_path / "a.warc")
        except SourceError:
            assert cut < 5
            continue
        assert result.texts == whole.texts[: len(result.texts)]
        assert len(result.texts) >= sum(start <= cut for start in starts) - 1
        assert sum(reason == "truncated_archive" for reason in result.reasons.values()) <= 1


@pytest.mark.parametrize("share", [0.97, 0.5, 0.1])
def test_every_cut_of_a_packed_archive_is_told(tmp_path, read, share):
    data = (WEB / "debian-docs.warc.gz").read_bytes()
    (tmp_path / "a.warc.gz").write_bytes(data[: int(len(data) * share)])
    result = read(tmp_path / "a.warc.gz")
    assert list(result.reasons.values()).count("truncated_archive") == 1
    assert result.outcome.rows >= int(32 * share) - 6


@pytest.mark.parametrize("length", [b"99999999999", b"20", b"-5", b"9" * 40])
def test_wrong_lengths_end_in_rejects(warc, length):
    result = warc(re.sub(rb"Content-Length: \d+", b"Content-Length: " + length, EXAMPLE))
    assert {"truncated_archive", "no_record", "no_content_length"} & set(result.reasons.values())


@given(st.lists(st.tuples(st.integers(0, len(EXAMPLE) - 1), st.binary(max_size=4)), min_size=1, max_size=12))
def test_no_damage_brings_the_archive_reader_down(tmp_path_factory, edits):
    from gristmill.sources.listing import InputFile
    from gristmill.sources.read import ReadSpec, read_part

    folder = tmp_path_factory.mktemp("warc")
    data = bytearray(EXAMPLE)
    for place, new in edits:
        data[place : place + 3] = new
    (folder / "a.warc").write_bytes(data)
    file = InputFile(str(folder / "a.warc"), len(data), "", "warc")
    try:
        outcome = read_part([file], ReadSpec("s", "web"), folder)
    except SourceError:
        return
    assert outcome.accounts["s"].balanced


def test_an_endless_header_is_cut(warc):
    result = warc(record(), b"WARC/1.0\r\n" + b"X: y\r\n" * 50_000 + b"\r\n", record(b"<p>last</p>"))
    assert result.texts == ["hello", "last"]
    assert set(result.reasons.values()) == {"no_content_length", "no_record"}
