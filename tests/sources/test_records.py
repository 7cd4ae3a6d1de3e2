"""WARC framing against fastwarc's iterator, which agrees on whole archives, and against damage, where it does not."""

import gzip
import io
import itertools
from pathlib import Path

import pytest
from fastwarc.warc import ArchiveIterator
from hypothesis import given
from hypothesis import strategies as st

from gristmill.sources.listing import InputFile
from gristmill.sources.opening import open_stream
from gristmill.sources.records import MAX_HEADER_BYTES, blocks
from gristmill.sources.spec import ReadSpec

ARCHIVES = sorted(Path("samples/web").glob("*.warc*"))
EXAMPLE = Path("samples/web/example.com.warc").read_bytes()


def blocks_of(path, data, most=1 << 30):
    path.write_bytes(data)
    with open_stream(InputFile(str(path), len(data), "", "warc"), ReadSpec("s", "web")) as stream:
        return list(blocks(stream, most))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("records") / "a.warc"


def record(body, end=b"\r\n", extra=b""):
    lines = [b"WARC/1.1", b"WARC-Type: resource", extra, b"Content-Length: %d" % len(body)]
    return end.join([*filter(None, lines), b"", body, b"", b""])


@pytest.mark.parametrize("archive", ARCHIVES, ids=str)
def test_whole_archives_hold_what_fastwarc_finds(path, archive):
    data = archive.read_bytes()
    data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    found = [(block.offset, block.body, block.wrong) for block in blocks_of(path, data)]
    records = ArchiveIterator(io.BytesIO(data), parse_http=False)
    assert found == [(record.stream_pos, record.reader.read(), None) for record in records]


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=8), st.sampled_from([b"\r\n", b"\n"]))
def test_any_bodies_come_back_at_their_places(path, bodies, end):
    data = b"".join(record(body, end) for body in bodies)
    found = blocks_of(path, data)
    assert [block.body for block in found] == bodies
    assert all(data[block.offset :].startswith(block.header + block.body) for block in found)
    assert not any(block.wrong for block in found)


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=6), st.data())
def test_a_cut_costs_the_last_record_alone(path, bodies, data):
    whole = b"".join(map(record, bodies))
    cut = data.draw(st.integers(1, len(whole)))
    found = blocks_of(path, whole[:cut])
    kept = [block.body for block in found if not block.wrong]
    assert kept == bodies[: len(kept)]
    ends = itertools.accumulate(len(record(body)) for body in bodies)
    assert sum(end <= cut for end in ends) <= len(kept)
    assert len(found) - len(kept) <= 1


@given(
    st.lists(st.binary(max_size=60), max_size=5),
    st.lists(st.sampled_from([b"junk\n", b"\n", b"\xff" * 9 + b"\n"]), max_size=4),
)
def test_junk_between_records_is_one_block_and_costs_none(path, bodies, junk):
    data = b"".join(record(body) + b"".join(junk) for body in bodies)
    found = blocks_of(path, data)
    assert [block.body for block in found if not block.wrong] == bodies
    wrong = [block for block in found if block.wrong]
    expected = len(bodies) if any(line.strip() for line in junk) else 0
    assert [block.wrong for block in wrong] == ["no_record"] * expected


def test_bodies_beyond_the_limit_are_passed_over_not_held(path):
    (large, small) = blocks_of(path, record(b"x" * 5_000_000) + record(b"small"), most=1000)
    assert (len(large.body), large.size, large.wrong) == (1000, 5_000_000, None)
    assert small.body == b"small"


def test_a_body_that_looks_like_a_record_is_a_body(path):
    (block,) = blocks_of(path, record(record(b"inner")))
    assert block.body == record(b"inner")


GOOD = [b"Content-Length: 5", b"CONTENT-LENGTH:5", b"content-length:\t5  "]
BAD = [b"Content-Length: 5x", b"Content-Length: -5", b"X-Content-Length: 5", b"Content-Length:"]


@pytest.mark.parametrize("header", GOOD + BAD)
def test_lengths(path, header):
    found = blocks_of(path, b"WARC/1.0\r\n" + header + b"\r\n\r\nhello\r\n\r\n" + record(b"next"))
    assert found[0].wrong == (None if header in GOOD else "no_content_length")
    assert found[-1].body == b"next"


def test_headers_are_bounded(path):
    found = blocks_of(path, b"WARC/1.0\r\n" + b"A: b\r\n" * MAX_HEADER_BYTES + record(b"next"))
    assert len(found[0].header) < 3 * MAX_HEADER_BYTES
    assert found[-1].body == b"next"


@given(st.binary(max_size=300))
def test_no_bytes_bring_it_down_and_offsets_grow(path, data):
    found = blocks_of(path, b"WARC/1.0\r\n" + data)
    offsets = [block.offset for block in found]
    assert offsets == sorted(set(offsets))
    assert sum(block.size for block in found) <= len(data) + 10
