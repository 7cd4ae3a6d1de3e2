"""Streams: what comes out is what the standard library unpacks, up to the damage and never beyond the limit."""

import bz2
import gzip
import io
import lzma
import random

import fsspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.errors import SourceError
from gristmill.sources import checked_file, opening
from gristmill.sources.listing import InputFile
from gristmill.sources.opening import open_stream
from gristmill.sources.spec import ReadSpec
from gristmill.sources.unpacking import codec_of

SPEC = ReadSpec("s", "web")
PACK = {".gz": gzip.compress, ".zst": zstandard.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
SUFFIXES = st.sampled_from(sorted(PACK))


def file_of(path, data):
    path.write_bytes(data)
    return InputFile(str(path), len(data), "", "text")


def unpack(path, data, spec=SPEC):
    """All bytes and the damage."""
    with open_stream(file_of(path, data), spec) as stream:
        out = stream.read()
        assert stream.total_bytes == len(out)
        return out, stream.damage


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("streams")


@given(SUFFIXES, st.lists(st.binary(max_size=2000), min_size=1, max_size=4))
def test_members_come_out_one_after_the_other(folder, suffix, members):
    packed = b"".join(map(PACK[suffix], members))
    assert unpack(folder / f"a{suffix}", packed) == (b"".join(members), None)


@given(st.binary(max_size=3000).filter(lambda data: codec_of(data) is None))
def test_plain_bytes_come_out_as_they_are(folder, data):
    assert unpack(folder / "a.txt", data) == (data, None)


@given(SUFFIXES, st.integers(0, 2**32), st.floats(0, 1))
def test_a_cut_gives_a_beginning_and_says_so(folder, suffix, seed, share):
    data = random.Random(seed).randbytes(3000).hex().encode()
    packed = PACK[suffix](data)
    cut = int((len(packed) - 1) * share)
    if codec_of(packed[:cut]) is None:
        return
    out, damage = unpack(folder / f"a{suffix}", packed[:cut])
    assert data.startswith(out)
    assert damage is not None or out == data
    assert damage is None or damage.reason == "truncated_archive"


@given(SUFFIXES, st.integers(0, 2**32))
def test_a_flipped_byte_is_damage_or_harmless(folder, suffix, seed):
    rnd = random.Random(seed)
    data = rnd.randbytes(3000).hex().encode()
    packed = bytearray(PACK[suffix](data))
    packed[rnd.randrange(6, len(packed))] ^= 1 << rnd.randrange(8)
    out, damage = unpack(folder / f"a{suffix}", bytes(packed))
    assert damage is None or damage.reason in ("truncated_archive", "corrupt_archive")
    assert len(out) <= 2 * len(data)


@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize("extra", [-1, 0, 1, 1000])
def test_the_limit_cuts_at_the_byte(folder, suffix, extra, monkeypatch):
    monkeypatch.setattr(opening, "EXPANDED_FLOOR_BYTES", 50_000)
    data = bytes(range(256)) * 200 + b"x" * 10
    data = data[: 50_000 + extra]
    out, damage = unpack(folder / f"a{suffix}", PACK[suffix](data), ReadSpec("s", "web", expanded_ratio=1))
    assert out == data[:50_000]
    assert (damage.reason if damage else None) == ("expansion_too_large" if extra > 0 else None)


def test_the_limit_grows_with_the_file(folder, monkeypatch):
    monkeypatch.setattr(opening, "EXPANDED_FLOOR_BYTES", 10)
    data = b"word " * 10_000
    packed = gzip.compress(data)
    ratio = len(data) // len(packed) + 1
    assert unpack(folder / "a.gz", packed, ReadSpec("s", "web", expanded_ratio=ratio)) == (data, None)
    assert unpack(folder / "a.gz", packed, ReadSpec("s", "web", expanded_ratio=ratio - 10))[1] is not None


@pytest.mark.parametrize("suffix", PACK)
def test_a_suffix_that_lies_is_an_error_that_shows_the_bytes(folder, suffix):
    with pytest.raises(SourceError, match=rf"a\{suffix} is not a \{suffix} file: it begins with 68 65 6c 6c 6f"):
        unpack(folder / f"a{suffix}", b"hello")


def test_other_archives_than_the_suffix_says_are_an_error(folder):
    with pytest.raises(SourceError, match=r"is not a \.gz file"):
        unpack(folder / "a.gz", zstandard.compress(b"x"))


@pytest.mark.parametrize("inner", sorted(PACK.keys() - {".bz2"}))
def test_an_archive_of_an_archive_is_an_error_that_says_so(folder, inner):
    with pytest.raises(SourceError, match=rf"is packed twice, a \{inner} file inside; .*sources\.s\.exclude"):
        unpack(folder / "a.gz", gzip.compress(PACK[inner](b"hello" * 9)))
    assert unpack(folder / "a.gz", gzip.compress(b"BZh, said the miller")) == (b"BZh, said the miller", None)


def test_lines_end_where_the_standard_library_ends_them(folder):
    data = b"one\r\ntwo\x0b\x0c\x1c\n\n" + "drei\u2028\x85\n".encode() * 50_000 + b"last"
    with open_stream(file_of(folder / "a.gz", gzip.compress(data)), SPEC) as stream:
        assert list(stream) == list(io.BytesIO(data))


def test_remote_streams_are_the_same():
    fs = fsspec.filesystem("memory")
    data = b"remote line\n" * 1000
    fs.pipe("/a.txt.gz", gzip.compress(data))
    try:
        with open_stream(InputFile("memory:///a.txt.gz", 100, "", "text"), SPEC) as stream:
            assert stream.read() == data
    finally:
        fs.store.clear()


def test_closing_closes_the_file_below(folder, monkeypatch):
    opened = []
    real = checked_file.open_binary
    monkeypatch.setattr(checked_file, "open_binary", lambda path: opened.append(real(path)) or opened[-1])
    unpack(folder / "a.gz", gzip.compress(b"x"))
    with pytest.raises(SourceError):
        unpack(folder / "a.gz", b"no")
    assert [file.closed for file in opened] == [True, True]
