"""Pieces of big files: together they are the whole, document for document, whatever the size of a part."""

import gzip
import random
from pathlib import Path
from tempfile import mkdtemp

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gristmill.sources.listing import list_files
from gristmill.sources.read import ReadSpec, read_part
from gristmill.sources.splitting import Splitting, files_in_one_part, group_parts

SIZES = [700, 5000, 20_000]


def rows_of(folder, name):
    return pq.read_table(folder / f"{name}.parquet").to_pylist()


def read_parts(tmp_path, files, part_bytes, spec):
    """Documents, rejects and accounts of all parts, in order."""
    documents, rejects, outcomes = [], [], []
    for part in group_parts(files, part_bytes, record_bytes=spec.record_bytes):
        folder = Path(mkdtemp(dir=tmp_path))
        outcomes.append(read_part(part, spec, folder))
        documents += rows_of(folder, "documents")
        rejects += rows_of(folder, "rejects")
    account = sum((one.accounts["s"] for one in outcomes[1:]), outcomes[0].accounts["s"])
    files_read = sum(one.facts["files"] for one in outcomes)
    rejects.sort(key=lambda row: row["locator"])  # of a batch those without text come last
    return documents, rejects, account, files_read, len(outcomes)


def check(tmp_path, path, spec=None, *, splits=True):
    spec = spec or ReadSpec("s", "web")
    files = list_files([str(path)], None, source="s")
    whole = read_parts(tmp_path, files, 1 << 30, spec)
    assert whole[4] == 1
    for part_bytes in SIZES:
        pieces = read_parts(tmp_path, files, part_bytes, spec)
        assert pieces[:4] == whole[:4]
        if splits and part_bytes * 4 < files[0].bytes:
            assert pieces[4] >= 2
        parts = group_parts(files, part_bytes)
        keys = [(file.digest, file.piece) for part in parts for file in part]
        assert len({digest for digest, _ in keys}) == len(keys)
    assert bool(files_in_one_part(files, Splitting(1000))) is not splits


def lines(count, seed=0):
    rng = random.Random(seed)
    wrong = [b"", b"{", b'{"id": 1}', b"\xff\xfe", b'{"text": " "}']
    for number in range(count):
        row = {"id": number, "text": f"line {number} é\r\n\u2028 " + "x" * rng.choice([0, 5, 50, 900])}
        yield orjson.dumps(row) if number % 7 else rng.choice(wrong)


@pytest.mark.parametrize("end", [b"\n", b""])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_json_lines(tmp_path, end, mark):
    (tmp_path / "a.jsonl").write_bytes(mark + b"\n".join(lines(200)) + end)
    check(tmp_path, tmp_path / "a.jsonl")


def test_lines_longer_than_a_part_and_beyond_the_limit(tmp_path):
    rows = [b'{"text": "%b"}' % (b"y" * size) for size in (10, 30_000, 20, 30, 9000, 40, 70_000, 5)]
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(rows))
    check(tmp_path, tmp_path / "a.jsonl", ReadSpec("s", "web", record_bytes=20_000))


def test_packed_lines_stay_whole(tmp_path):
    data = b"\n".join(lines(2000))
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(data, 0))
    check(tmp_path, tmp_path / "a.jsonl.gz", splits=False)
    (tmp_path / "b.jsonl").write_bytes(gzip.compress(data, 0))  # whatever its name says
    check(tmp_path, tmp_path / "b.jsonl", splits=False)


@pytest.mark.parametrize("group", [1, 7, 100, 1000])
def test_parquet(tmp_path, group):
    rng = random.Random(group)
    texts = [rng.randbytes(60).hex() if i % 9 else None for i in range(1000)]
    pq.write_table(pa.table({"text": texts, "id": range(1000)}), tmp_path / "a.parquet", row_group_size=group)
    check(tmp_path, tmp_path / "a.parquet", splits=group < 1000)


def record(text, by=0, kind="response"):
    body = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>{text}</p>".encode()
    head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nContent-Type: application/http\r\n"
    return (head + f"Content-Length: {len(body) + by}\r\n\r\n").encode() + body + b"\r\n\r\n"


def test_warc(tmp_path):
    """With records that hold no document, stretches that are no record, and lengths that are wrong."""
    rng = random.Random(3)
    records = [
        record("word " * rng.choice([1, 10, 300]) + str(i), rng.choice([0] * 9 + [60, -9, 3])) for i in range(120)
    ]
    for place in (20, 50, 90):
        records.insert(place, b"no record\r\nat all\r\n")
        records.insert(place + 5, record("x", kind="request"))
    (tmp_path / "a.warc").write_bytes(b"".join(records) + record("cut")[:-30])
    check(tmp_path, tmp_path / "a.warc")


def test_a_file_that_is_not_its_format_is_told_by_its_reader(tmp_path):
    for name in ("a.parquet", "a.warc"):
        (tmp_path / name).write_bytes(b"neither " * 5000)
        files = list_files([str(tmp_path / name)], None, source="s")
        assert len(group_parts(files, 1000)) == 1
