"""Inputs are read as they were listed or not at all, whenever they change and however they are read."""

import gzip
import io
import json
import os
import random
import socket

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gristmill.corpus.errors import ChangedInputError, SourceError
from gristmill.sources import checked_file
from gristmill.sources.checked_file import open_checked
from gristmill.sources.content import BLOCK_BYTES, content_of
from gristmill.sources.listing import InputFile, list_files
from gristmill.sources.read import read_part
from gristmill.sources.spec import ReadSpec
from gristmill.sources.splitting import group_parts

SPEC = ReadSpec("web", "web")
BYTES = random.Random(5).randbytes(3 * BLOCK_BYTES + 77)


def listed(path, format_=None) -> InputFile:
    return list_files([str(path)], format_, source="web")[0]


def write(path, rows: int, word: str = "grain") -> None:
    """A file of the kind that its name says."""
    records = [{"text": f"{word} {n} " * 50, "n": n} for n in range(rows)]
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(records), path, row_group_size=max(rows // 4, 1))
    elif path.suffix == ".arrow":
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, pa.Table.from_pylist(records).schema) as out:
            out.write_table(pa.Table.from_pylist(records), max_chunksize=max(rows // 4, 1))
    elif path.suffix == ".csv":
        path.write_text("text,n\n" + "".join(f"{record['text']},{record['n']}\n" for record in records))
    else:
        data = "".join(json.dumps(record) + "\n" for record in records).encode()
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


@pytest.mark.parametrize("size", [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, len(BYTES)])
def test_every_way_of_reading_gives_the_bytes(tmp_path, size):
    (tmp_path / "a.txt").write_bytes(BYTES[:size])
    file = listed(tmp_path / "a.txt")
    assert file.content is not None
    assert (file.bytes, file.digest) == (file.content.size, content_of(io.BytesIO(BYTES[:size])).digest)
    rng = random.Random(size)
    with open_checked(file) as raw, io.BytesIO(BYTES[:size]) as twin:
        assert raw.read() == twin.read()
        for _ in range(60):
            place, length = rng.randrange(size + 9), rng.choice([0, 1, 99, BLOCK_BYTES - 5, BLOCK_BYTES * 2])
            assert (raw.seek(place), raw.read(length)) == (twin.seek(place), twin.read(length))
        assert (raw.seek(0, 2), raw.tell()) == (size, size)


@pytest.mark.parametrize("at", [0, BLOCK_BYTES - 1, BLOCK_BYTES, len(BYTES) - 1])
def test_no_reader_sees_a_byte_of_a_changed_block(tmp_path, at):
    (tmp_path / "a.txt").write_bytes(BYTES)
    file = listed(tmp_path / "a.txt")
    (tmp_path / "a.txt").write_bytes(BYTES[:at] + bytes([BYTES[at] ^ 1]) + BYTES[at + 1 :])
    with open_checked(file) as raw:
        raw.seek(at)
        with pytest.raises(ChangedInputError, match=r"a\.txt changed after it was listed"):
            raw.read(1)


KINDS = ("a.jsonl", "a.jsonl.gz", "a.parquet", "a.arrow", "a.txt", "a.csv")


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("change", ["other text", "cut", "appended", "deleted", "rubbish"])
def test_a_change_between_listing_and_reading_stores_nothing(tmp_path, name, change):
    path = tmp_path / name
    write(path, 40)
    file, data = listed(path), path.read_bytes()
    if change == "other text":
        write(path, 40, "chaff")
    elif change == "deleted":
        path.unlink()
    else:
        path.write_bytes({"cut": data[:-9], "appended": data + b"\n{}\n", "rubbish": b"\0" * len(data)}[change])
    (tmp_path / "out").mkdir()
    with pytest.raises(ChangedInputError, match=f"{name} (changed after|was deleted after|had )"):
        read_part([file], SPEC, tmp_path / "out")


@pytest.mark.parametrize("name", KINDS[:4])
def test_interleavings_of_reading_and_writing(tmp_path, name, monkeypatch):
    """Another file before each block, put back before another one: what is read is what was listed, or an error."""
    path, other = tmp_path / name, tmp_path / f"other-{name}"
    write(path, 3000)
    write(other, 3000, "chaff")
    file, data, chaff = listed(path), path.read_bytes(), other.read_bytes()
    real, outcomes = checked_file._CheckedFile._read, set()
    (tmp_path / "whole").mkdir()
    read_part([file], SPEC, tmp_path / "whole")
    want = pq.read_table(tmp_path / "whole" / "documents.parquet")
    rng = random.Random(name)
    for trial in range(24):
        turns = [rng.random() < 0.3 for _ in range(40)]

        def read(self, number, into, turns=turns):
            path.write_bytes(chaff if turns.pop() else data)
            real(self, number, into)

        monkeypatch.setattr(checked_file._CheckedFile, "_read", read)
        path.write_bytes(data)
        folder = tmp_path / f"{trial}"
        folder.mkdir()
        try:
            read_part([file], SPEC, folder)
            assert pq.read_table(folder / "documents.parquet") == want
            outcomes.add("as listed")
        except ChangedInputError:
            outcomes.add("changed")
    assert outcomes == {"as listed", "changed"}


def test_pieces_of_a_file_that_changes_are_its_own_or_an_error(tmp_path):
    path = tmp_path / "a.jsonl"
    write(path, 9000)
    file = listed(path)
    parts = group_parts([file], 1 << 20)
    assert len(parts) > 2
    data = path.read_bytes()
    path.write_bytes(data[:-5] + b"!" + data[-4:])
    for number, part in enumerate(parts[:-1]):
        (tmp_path / f"{number}").mkdir()
        assert read_part(part, SPEC, tmp_path / f"{number}").rows > 1
    (tmp_path / "last").mkdir()
    with pytest.raises(ChangedInputError):
        read_part(parts[-1], SPEC, tmp_path / "last")
    assert group_parts([InputFile(file.path, file.bytes + 1, "0", "jsonl", content=file.content)], 1 << 20)


def test_a_disk_that_fails_is_no_damage_of_the_file(tmp_path, monkeypatch):
    """Readers take a table that ends early for a damaged one, and count what they have."""
    path = tmp_path / "a.parquet"
    write(path, 4000)
    file, reads = listed(path), []

    def fail(self, number, into):
        reads.append(number)
        raise checked_file._failed(OSError(5, "Input/output error"))

    real = checked_file._CheckedFile._read
    monkeypatch.setattr(
        checked_file._CheckedFile, "_read", lambda self, n, into: (real if len(reads) else fail)(self, n, into)
    )
    (tmp_path / "out").mkdir()
    with pytest.raises(SourceError, match=r"cannot read .*Input/output error"):
        read_part([file], SPEC, tmp_path / "out")


@pytest.fixture(scope="module")
def bucket():
    from moto.server import ThreadedMotoServer

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        address = f"http://127.0.0.1:{port}"
        for name, value in {"ACCESS_KEY_ID": "k", "SECRET_ACCESS_KEY": "s", "ENDPOINT_URL": address}.items():
            patch.setenv(f"AWS_{name}", value)
        import s3fs

        fs = s3fs.S3FileSystem()
        fs.mkdir("inputs")
        yield fs
    server.stop()


@pytest.mark.filterwarnings("ignore")
def test_an_object_that_is_not_the_one_that_was_listed(bucket, tmp_path):
    local = tmp_path / "a.jsonl"
    write(local, 50)
    bucket.pipe_file("inputs/a.jsonl", local.read_bytes())
    file = listed("s3://inputs/a.jsonl")
    assert file.content is not None
    assert file.content.by_server
    (tmp_path / "out").mkdir()
    assert read_part([file], SPEC, tmp_path / "out").rows == 50
    write(local, 50, "chaff")
    bucket.pipe_file("inputs/a.jsonl", local.read_bytes())
    with pytest.raises(ChangedInputError, match=r"s3://inputs/a\.jsonl is not the object that was listed"):
        read_part([file], SPEC, tmp_path / "out")


def test_what_only_looks_changed_is_read(tmp_path):
    path = tmp_path / "a.jsonl"
    write(path, 40)
    file = listed(path)
    os.utime(path, (1, 1))
    (tmp_path / "out").mkdir()
    assert read_part([file], SPEC, tmp_path / "out").rows == 40
