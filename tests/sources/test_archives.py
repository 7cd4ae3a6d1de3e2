"""Archives that lie or are damaged: what is whole in them is read, and what is not is counted."""

import gzip
import zlib
from pathlib import Path

import brotli
import orjson
import pytest
import zstandard

from gristmill.corpus.errors import SourceError
from gristmill.sources.http_body import plain_body

CASES = Path(__file__).parent / "cases"


def record(text, length=0, http="", body=None, kind="response"):
    body = f"<p>{text}</p>".encode() if body is None else body
    body = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n{http}\r\n".encode() + body
    head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nContent-Type: application/http\r\n"
    head += f"Content-Length: {len(body) + length}\r\n\r\n"
    return head.encode() + body + b"\r\n\r\n"


@pytest.fixture
def warc(tmp_path, read):
    def run(*records, **fields):
        (tmp_path / "a.warc").write_bytes(b"".join(records))
        return read(tmp_path / "a.warc", **fields)

    return run


def test_the_cases(read):
    assert len(read(CASES / "01-long-window.jsonl.zst").texts) == 50
    lied = read(CASES / "03-length-too-long.warc.gz")
    assert [text.split("\n")[0] for text in lied.texts] == ["Title 1", "Title 2", "Title 3", "Title 4"]
    assert not any("WARC" in text for text in lied.texts)
    assert lied.outcome.facts["mended_lengths"] == 1
    damaged = read(CASES / "06-member-damaged.warc.gz")
    assert [text.split("\n")[0] for text in damaged.texts] == ["Title 1", "Title 3", "Title 4"]
    (reject,) = damaged.rejects.to_pylist()
    assert reject["reason"] == "corrupt_archive"
    assert "in the member at byte 400, 396 packed bytes were not read" in reject["detail"]
    assert reject["bytes"] == 396
    assert len(read(CASES / "21-x-gzip.warc.gz").texts) == 2


@pytest.mark.parametrize("by", [-9, -4, -3, -2, 1, 2, 3, 4, 5, 60, 100, 170, 400, 10**6, 10**15])
def test_a_wrong_length_costs_no_other_record(warc, by):
    result = warc(record("one"), record("two", by), record("three"), record("four"))
    assert [text for text in result.texts if text != "two"][:1] == ["one"]
    assert result.texts[-2:] == ["three", "four"]
    assert not any("WARC" in text for text in result.texts)
    assert "two" in result.texts or len(result.reasons) == 1


@pytest.mark.parametrize("by", [1, 60, 10**9])
def test_a_wrong_length_at_the_end(warc, by):
    result = warc(record("one"), record("two", by))
    assert result.texts[0] == "one"
    assert "two" in result.texts or list(result.reasons.values()) == ["truncated_archive"]


def test_a_long_wrong_length_with_small_limits(warc):
    result = warc(record("one"), record("x" * 3000, 10**9), record("last"), record_bytes=1000)
    assert result.texts[0] == "one"
    assert len(result.reasons) >= 1


def test_a_right_length_is_believed(warc):
    page = "<p>An archive holds lines such as</p><pre>\r\n\r\nWARC/1.0\r\nWARC-Type: response\r\n</pre>"
    result = warc(record("", body=page.encode()), record("last"))
    assert "WARC-Type" in result.texts[0]
    assert result.texts[1] == "last"
    assert result.outcome.facts["mended_lengths"] == 0


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_reading_goes_on_behind_a_damaged_member(tmp_path, read, pack):
    rows = [[{"text": f"m{m} line {i} {i * 7919}"} for i in range(400)] for m in range(4)]
    members = [pack(b"".join(orjson.dumps(row) + b"\n" for row in some)) for some in rows]
    bad = bytearray(members[1])
    bad[len(bad) // 2 : len(bad) // 2 + 40] = b"\xff" * 40
    name = "a.jsonl.gz" if pack is gzip.compress else "a.jsonl.zst"
    (tmp_path / name).write_bytes(members[0] + bytes(bad) + members[2] + members[3])
    result = read(tmp_path / name)
    for whole in (0, 2, 3):
        assert sum(text.startswith(f"m{whole} ") for text in result.texts) == 400
    damage = [row for row in result.rejects.to_pylist() if row["reason"] == "corrupt_archive"]
    assert len(damage) == 1
    assert 0 < damage[0]["bytes"] <= len(bad)


def test_rows_go_on_behind_a_damaged_member(tmp_path, read):
    members = [gzip.compress(b"".join(b"%d,m%d row %d\n" % (i, m, i * 7919) for i in range(900))) for m in range(3)]
    bad = bytearray(members[1])
    bad[len(bad) // 2 : len(bad) // 2 + 40] = b"\xff" * 40
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"id,text\n") + members[0] + bytes(bad) + members[2])
    result = read(tmp_path / "a.csv.gz")
    for whole in (0, 2):
        assert sum(text.startswith(f"m{whole} ") for text in result.texts) == 900
    assert "corrupt_archive" in result.reasons.values()
    assert sum(result.rejects.column("bytes").to_pylist()) > 0


def test_damage_in_the_last_member_ends_the_file(tmp_path, read):
    good, bad = gzip.compress(b'{"text": "a"}\n'), bytearray(gzip.compress(b'{"text": "b"}\n' * 50))
    bad[-6] ^= 0xFF
    (tmp_path / "a.jsonl.gz").write_bytes(good + bytes(bad))
    result = read(tmp_path / "a.jsonl.gz")
    assert result.texts[0] == "a"
    assert list(result.reasons.values()) == ["corrupt_archive"]


def test_frames_that_hold_no_data_are_passed_over(tmp_path, read):
    empty = b"\x5a\x2a\x4d\x18" + (300_000).to_bytes(4, "little") + b"x" * 300_000
    frames = [zstandard.compress(orjson.dumps({"text": f"t{i}"}) + b"\n") for i in range(3)]
    (tmp_path / "a.jsonl.zst").write_bytes(empty + frames[0] + empty + frames[1] + frames[2] + empty)
    result = read(tmp_path / "a.jsonl.zst")
    assert (result.texts, result.reasons) == (["t0", "t1", "t2"], {})


def test_a_window_beyond_the_limit_is_named(tmp_path, read):
    header = b"\x28\xb5\x2f\xfd" + bytes([0x00, (31 - 10) << 3]) + bytes(20)
    (tmp_path / "a.jsonl.zst").write_bytes(header)
    with pytest.raises(SourceError, match=r"asks for a window of 2147483648 bytes.*sources\.s\.path"):
        read(tmp_path / "a.jsonl.zst")


PAGE = b"<p>" + b"the page itself " * 50 + b"</p>"
PACKED = gzip.compress(PAGE, mtime=0)  # a time would give the tests other names in each worker
MEMBERS = gzip.compress(PAGE[:99], mtime=0) + gzip.compress(PAGE[99:], mtime=0)
RAW_DEFLATE = zlib.compressobj(wbits=-15)


@pytest.mark.parametrize(
    ("codings", "body"),
    [
        ("gzip", PACKED), ("x-gzip", PACKED), ("X-GZIP", PACKED),
        ("deflate", zlib.compress(PAGE)), ("deflate", RAW_DEFLATE.compress(PAGE) + RAW_DEFLATE.flush()),
        ("br", brotli.compress(PAGE)), ("zstd", zstandard.compress(PAGE)), ("identity", PAGE), ("", PAGE),
        ("gzip, br", brotli.compress(PACKED)), ("gzip,identity", PACKED),
        ("gzip", MEMBERS), ("gzip", PACKED + b"\0\0"),
        ("gzip", PAGE),  # a crawler unpacked it and kept the header
    ],
)  # fmt: skip
def test_content_codings(warc, codings, body):
    result = warc(record("", body=body, http=f"Content-Encoding: {codings}\r\n" if codings else ""))
    assert [len(text) for text in result.texts] == [50 * 16 - 1]


@pytest.mark.parametrize(
    ("body", "plain"),
    [
        (b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"abcde"),
        (b'3;name="a;b"\r\nabc\r\n 2 ;x\r\nde\r\n0\r\nTrailer: x\r\n\r\n', b"abcde"),
        (b"3\nabc\n0\n\n", b"abc"),
        (b"3\r\nabc\r\n5\r\nde", b"abcde"),  # cut
        (b"00000003\r\nabc\r\n0\r\n\r\n", b"abc"),
    ],
)
def test_chunks(body, plain):
    assert plain_body(body, "chunked", "", 100) == plain
    assert plain_body(gzip.compress(b"x" * 50), "gzip", "", 100) == b"x" * 50


@pytest.mark.parametrize(
    ("transfer", "codings", "body"),
    [("chunked", "", b"zz\r\n"), ("", "compress", b"x"), ("", "br", b"x"), ("", "zstd", b"x"), ("", "gzip", b"x")],
)
def test_what_cannot_be_unpacked_says_so(transfer, codings, body):
    with pytest.raises(ValueError):
        plain_body(body, transfer, codings, 100)


@pytest.mark.parametrize(
    ("codings", "pack"),
    [("gzip", gzip.compress), ("br", brotli.compress), ("zstd", zstandard.compress), ("deflate", zlib.compress)],
)
def test_bombs_stop_at_the_limit(codings, pack):
    assert len(plain_body(pack(b"0" * 10_000_000), "", codings, 5000)) == 5001
