"""Rows out: every target read back by a reader of this file, in stored order and in a plan's, equal to the shards.

The readers follow the documentation of the formats; what the libraries themselves write of the same rows stands here
as digests (mosaicml-streaming 0.13.0, litdata 0.2.76, megatron-core 0.16.1), and bench/exports.py reads with them.
"""

import csv
import gzip
import hashlib
import json
import shutil
import struct
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from gristmill.corpus.errors import ConservationError, StoreError
from gristmill.corpus.files import file_sha256, read_json
from gristmill.corpus.rundir import EXPORTS, RunDir
from gristmill.corpus.schema import ROW_DOCUMENT
from gristmill.flows.export import document_count, litdata_rows, mds_rows
from gristmill.flows.export.document_count import DocumentCount
from gristmill.flows.export.export_run import export_run
from gristmill.flows.export.megatron_documents import _parts, index_bytes, pieces_of
from gristmill.flows.export.part_files import AsideFiles
from gristmill.flows.export.row_blocks import DomainRows, RowBlock
from gristmill.flows.export.row_part import Layout
from gristmill.flows.export.target import ExportedFile, ExportOptions
from gristmill.handoff.plan import Plan
from gristmill.handoff.reader import ShardReader
from gristmill.handoff.shards import ShardWriter

ROW_TARGETS = ("rows-parquet", "memmap", "mds", "litdata")
Row = tuple[list[int], list[int], list[tuple[str, int, int, int]], str]  # ids, mask, documents, domain:row


def stored(folder: Path) -> dict[str, list[Row]]:
    """The rows of each domain, from the Arrow files alone."""
    found = {}
    for domain in sorted(path.name for path in folder.iterdir()):
        files = sorted((folder / domain).glob("*.arrow"))
        lines = [row for file in files for row in pa.ipc.open_stream(file).read_all().to_pylist()]
        found[domain] = [naive_row(line, f"{domain}:{number}") for number, line in enumerate(lines)]
    return found


def naive_row(line: dict, name: str) -> Row:
    mask = [0] * len(line["tokens"])
    counts = line.get("targets", [{"start": 0, "length": len(mask)}])
    for one in line["documents"]:
        for place in range(one["start"] + 1, one["start"] + one["length"]):
            mask[place] = int(any(some["start"] <= place < some["start"] + some["length"] for some in counts))
    documents = [(one["doc_id"], one["start"], one["length"], one["offset"]) for one in line["documents"]]
    return line["tokens"], mask, documents, name


def in_order(run: Path, order: str) -> list[Row]:
    """The rows to train on."""
    rows = stored(run / "shards")
    if order == "rows":
        return [row for domain in rows.values() for row in domain]
    plan = Plan.load(run / "plan")
    drawn = zip(*(column.tolist() for column in plan.locate(0, plan.samples)), strict=True)
    return [rows[plan.names[domain]][row] for domain, _, row in drawn]


def read_rows_parquet(folder: Path) -> list[Row]:
    lines = pl.concat([pl.read_parquet(path) for path in sorted(folder.glob("*.parquet"))]).to_dicts()
    return [naive_row(line, f"{line['domain']}:{line['row']}") for line in lines]


def read_memmap(folder: Path) -> list[Row]:
    row_tokens = read_json(folder.parent / "export.json")["row_tokens"]
    found: list[Row] = []
    for path in sorted(folder.glob("*.csv.gz")):
        stem, first = path.name.removesuffix(".csv.gz"), len(found)
        ids, mask = np.fromfile(folder / f"{stem}.bin", "<u2"), np.fromfile(folder / f"{stem}.mask.bin", "u1")
        for row in zip(ids.reshape(-1, row_tokens).tolist(), mask.reshape(-1, row_tokens).tolist(), strict=True):
            found.append((*row, [], ""))
        for begin, end, doc_id, domain, row, offset in csv.reader(
            gzip.decompress(path.read_bytes()).decode().splitlines()
        ):
            place, start = divmod(int(begin), row_tokens)
            ids, mask, documents, _ = found[first + place]
            documents.append((doc_id, start, int(end) - int(begin), int(offset)))
            found[first + place] = ids, mask, documents, f"{domain}:{row}"
    return found


def chunk(path: Path) -> list[bytes]:
    data = path.read_bytes()
    (n,) = struct.unpack_from("<I", data)
    offsets = struct.unpack_from(f"<{n + 1}I", data, 4)
    return [data[begin:end] for begin, end in pairwise(offsets)]


def sample(ids: tuple, borders: tuple, origins: str, name: str) -> Row:
    pairs = zip(zip(*borders, strict=True), json.loads(origins), strict=True)
    return list(ids[0]), list(ids[1]), [(doc_id, *one, offset) for one, (doc_id, offset) in pairs], name


def read_mds(folder: Path) -> list[Row]:
    found = []
    for shard in read_json(folder / "index.json")["shards"]:
        for data in chunk(folder / shard["raw_data"]["basename"]):
            values, place = {}, 4 * shard["column_sizes"].count(None)
            sizes = iter(struct.unpack_from(f"<{place // 4}I", data))
            for name, size in zip(shard["column_names"], shard["column_sizes"], strict=True):
                size = next(sizes) if size is None else size
                values[name], place = data[place : place + size], place + size
            arrays = [array[2 if array[0] == 4 else 3 :] for array in (values["starts"], values["lengths"])]
            starts, lengths = (np.frombuffer(array, "<i4").tolist() for array in arrays)
            tokens, row = np.frombuffer(values["tokens"], "<u2").tolist(), struct.unpack("<q", values["row"])[0]
            name = f"{values['domain'].decode()}:{row}"
            found.append(sample((tokens, values["mask"]), (starts, lengths), values["documents"], name))
    return found


def read_litdata(folder: Path) -> list[Row]:
    index, found = read_json(folder / "index.json"), []
    kinds = {"no_header_numpy:5": "<u2", "no_header_numpy:4": "u1", "no_header_numpy:2": "<i4", "int": "<i8"}
    for part in index["chunks"]:
        for data in chunk(folder / part["filename"]):
            formats = index["config"]["data_format"]
            sizes, place, values = struct.unpack_from(f"<{len(formats)}I", data), 4 * len(formats), []
            for size, kind in zip(sizes, formats, strict=True):
                piece, place = data[place : place + size], place + size
                values.append(piece.decode() if kind == "str" else np.frombuffer(piece, kinds[kind]).tolist())
            tokens, mask, starts, lengths, documents, domain, (row,) = values
            found.append(sample((tokens, mask), (starts, lengths), documents, f"{domain}:{row}"))
    return found


def read_megatron(folder: Path) -> list[list[int]]:
    found = []
    for path in sorted(folder.glob("*.idx")):
        data = path.read_bytes()
        magic, version, code, n, n_documents = struct.unpack_from("<9sQBQQ", data)
        assert (magic, version, code, n_documents) == (b"MMIDIDX\x00\x00", 1, 8, n + 1)
        lengths, pointers = np.frombuffer(data, "<i4", n, 34), np.frombuffer(data, "<i8", n, 34 + 4 * n)
        assert np.frombuffer(data, "<i8", n + 1, 34 + 12 * n).tolist() == list(range(n + 1))
        ids = np.fromfile(path.with_suffix(".bin"), "<u2")
        found += [ids[at // 2 : at // 2 + n].tolist() for at, n in zip(pointers, lengths, strict=True)]
    return found


@pytest.fixture(scope="module", autouse=True)
def _no_record_stays(small_run):
    yield
    (small_run / EXPORTS).unlink()  # the run is shared


READERS = {"rows-parquet": read_rows_parquet, "memmap": read_memmap, "mds": read_mds, "litdata": read_litdata}


@pytest.fixture(scope="module")
def expected(small_run) -> dict[str, list[Row]]:
    held = [row for domain in stored(small_run / "heldout").values() for row in domain]
    return {"rows": in_order(small_run, "rows"), "plan": in_order(small_run, "plan"), "heldout": held}


@pytest.mark.parametrize("target", ROW_TARGETS)
@pytest.mark.parametrize("order", ["rows", "plan"])
def test_rows_come_back_with_masks_and_borders_in_their_order(small_run, tmp_path, expected, target, order):
    result = export_run(small_run, target, tmp_path / "out", ExportOptions(order=order))
    assert READERS[target](tmp_path / "out" / "train") == expected[order]
    assert READERS[target](tmp_path / "out" / "heldout") == expected["heldout"]
    parts = {file["path"].split(".")[0] for file in result["files"] if "train/part" in file["path"]}
    assert (len(parts) > 1) == (len(expected[order]) > 500)
    for file in result["files"]:
        path = tmp_path / "out" / file["path"]
        assert (path.stat().st_size, file_sha256(path)) == (file["bytes"], file["sha256"])


@pytest.mark.parametrize("by", [None, "domain"])
def test_megatron_has_whole_documents_without_padding(small_run, tmp_path, expected, by):
    export_run(small_run, "megatron", tmp_path / "out", ExportOptions(by=by))
    for name, rows in (("train", expected["rows"]), ("heldout", expected["heldout"])):
        pieces = {}
        for ids, _, documents, at in rows:
            for doc_id, start, length, offset in documents:
                pieces[doc_id, offset] = at.split(":")[0], ids[start : start + length]
        whole = {}
        for (doc_id, _), (domain, ids) in sorted(pieces.items()):
            whole.setdefault((domain, doc_id), []).extend(ids)
        for domain in {domain for domain, _ in whole} if by else {""}:
            ours = read_megatron(tmp_path / "out" / name / domain)
            assert sorted(ours) == sorted(ids for (one, _), ids in whole.items() if domain in ("", one))


@pytest.mark.parametrize("order", [None, "plan"])
def test_documents_are_counted_by_source(small_run, tmp_path, expected, order):
    result = export_run(small_run, "memmap", tmp_path / "out", ExportOptions(order=order))
    held = {doc_id for row in expected["heldout"] for doc_id, *_ in row[2]}
    names = {doc_id for row in expected[order or "rows"] for doc_id, *_ in row[2]} | held
    assert (result["documents"], result["heldout"]) == (len(names), len(held))
    kept = {source: one.documents_kept for source, one in RunDir(small_run).manifest("decide").accounts.items()}
    groups = [result["by_source"], result["emptied"], result.get("undrawn", {})]
    assert {source: sum(group.get(source, 0) for group in groups) for source in kept} == kept
    assert bool(result.get("undrawn")) == (order == "plan")
    assert result["plan"] == Plan.load(small_run / "plan").digest
    assert str((tmp_path / "out").resolve()) in RunDir(small_run).exports  # which a takedown names


def test_rows_that_lose_a_document_are_missed(small_run, tmp_path, monkeypatch):
    whole = document_count.DocumentCount.add
    monkeypatch.setattr(
        document_count.DocumentCount, "add", lambda self, documents: whole(self, documents[: len(documents) // 2])
    )
    with pytest.raises(ConservationError, match="rows lack kept documents, by source: "):
        export_run(small_run, "memmap", tmp_path / "out")
    assert not (tmp_path / "out" / "export.json").exists()


@pytest.fixture
def masked_run(small_run, small_home, tmp_path, monkeypatch) -> Path:
    """A copy whose forum rows count their tokens 3 to 9 and 20 alone."""
    monkeypatch.setenv("GRISTMILL_HOME", str(small_home))
    run = tmp_path / "runs" / "small" / small_run.name
    shutil.copytree(small_run, run, ignore=shutil.ignore_patterns("forum", EXPORTS))
    for kind in ("shards", "heldout"):
        reader = ShardReader(small_run / kind / "forum")
        rows, index = np.arange(reader.rows), reader.index
        sizes = {name: index[name] for name in ("row_tokens", "vocab_size", "shard_rows", "batch_rows")}
        counts = [[{"start": 3, "length": 7}, {"start": 20, "length": 1}]] * reader.rows
        with ShardWriter(run / kind / "forum", targets=True, **sizes) as writer:
            writer.write(reader.tokens(rows), reader.documents(rows), counts)
    return run


def test_loss_masks_are_written_or_refused(masked_run, tmp_path):
    rows = [row for domain in stored(masked_run / "shards").values() for row in domain]
    assert 0 < sum(rows[5][1]) <= 8
    for target, reader in READERS.items():
        export_run(masked_run, target, tmp_path / target)
        assert [row[:3] for row in reader(tmp_path / target / "train")] == [row[:3] for row in rows], target
    lines = pl.read_parquet(tmp_path / "rows-parquet" / "train" / "part-00000.parquet").to_dicts()
    assert lines[0]["targets"] != lines[0]["documents"]
    with pytest.raises(StoreError, match="hold no loss mask"):
        export_run(masked_run, "megatron", tmp_path / "megatron")
    assert not (tmp_path / "megatron").exists()


@pytest.mark.parametrize(
    ("target", "options", "why"),
    [
        ("megatron", {"order": "plan"}, "draws its own order of documents; write --to mds --order plan"),
        ("mds", {"columns": ("signals",)}, "signals are of documents"),
        ("mds", {"by": "source"}, "a row holds documents of several sources; write --by domain"),
        ("memmap", {"by": "domain", "order": "plan"}, "is one over all domains"),
        ("jsonl", {"order": "plan"}, "an order is of rows, and jsonl is of documents"),
    ],
)
def test_what_a_format_cannot_hold_is_refused_and_leaves_nothing(small_run, tmp_path, target, options, why):
    with pytest.raises(StoreError, match=why):
        export_run(small_run, target, tmp_path / "out", ExportOptions(**options))
    assert not (tmp_path / "out").exists()


def test_an_unfinished_export_of_rows_is_begun_again(small_run, tmp_path):
    whole, out = tmp_path / "whole", tmp_path / "out"
    export_run(small_run, "mds", whole)
    shutil.copytree(whole, out)
    marker = {
        name: read_json(whole / "export.json")[name] for name in ("format", "target", "run", "plan", "by", "with")
    }
    (out / "export.json").unlink()
    (out / "unfinished.json").write_text(json.dumps(marker))
    (out / "train" / "part-00000.mds").write_bytes(b"half")
    export_run(small_run, "mds", out)
    names = sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file())
    assert all((whole / name).read_bytes() == (out / name).read_bytes() for name in names)


DOCUMENTS = [[("é1", 0, 3, 0), ("b", 3, 3, 4)], [("c", 0, 8, 0)]]
MASKS = [[0, 1, 1, 0, 1, 0, 0, 0], [0] + [1] * 7]
LAYOUT = Layout(8, "uint16", 100, ("legal", "web"), True, 500)


@pytest.fixture
def block() -> RowBlock:
    """Two rows that the libraries wrote as well."""
    names = ("doc_id", "start", "length", "offset")
    lists = [[dict(zip(names, one, strict=True)) for one in row] for row in DOCUMENTS]
    documents, numbers = pa.array(lists, pa.list_(ROW_DOCUMENT)), (np.array(row) for row in ([1, 0], [0, 0], [5, 0]))
    return RowBlock(np.arange(16, dtype=np.uint16).reshape(2, 8), np.array(MASKS, bool), documents, *numbers)


@pytest.mark.parametrize(
    ("kind", "suffix", "digest"),
    [
        (mds_rows.MdsPart, "mds", "eafc479206f4c1b12008476486c76b62f0ffa8856eb9c3e584d0b0568a2c9437"),
        (litdata_rows.LitdataPart, "bin", "aeb69b39066205f8dd450ccbf71c379d59bcd460b8d3bcbd20804043ea90aaf8"),
    ],
)
def test_the_bytes_are_those_of_the_formats_own_writer(tmp_path, block, kind, suffix, digest):
    files = AsideFiles(tmp_path, "", "part-00000")
    part = kind(files, LAYOUT)
    part.write(block.slice(0, 1))
    part.write(block.slice(1, 2))
    part.close()
    assert files.commit(2)[0].sha256 == digest


def test_the_indices_are_those_of_the_formats_own_writer():
    part = [ExportedFile("chunk-0-0.bin", 2, 204, "")]
    ours = litdata_rows.litdata_index(part, LAYOUT)
    tree = json.loads(ours["config"].pop("data_spec"))
    assert json.loads(tree[1]["context"]) == ["tokens", "mask", "starts", "lengths", "documents", "domain", "row"]
    assert ours["config"]["data_format"] == [f"no_header_numpy:{n}" for n in (5, 4, 2, 2)] + ["str", "str", "int"]
    mds = mds_rows.mds_index([ExportedFile("shard.00000.mds", 2, 534, "")], LAYOUT)
    written = json.dumps(mds, sort_keys=True).encode()
    assert hashlib.sha256(written).hexdigest() == "faaf54a01e37861bd1fede010b0bfcdb8ffd74d3ed34358c9985a9fdcb0aad96"


@pytest.mark.parametrize("rows", [0, 5])
def test_a_domain_of_padding_alone_has_no_part_for_megatron(tmp_path, rows):
    with ShardWriter(tmp_path / "d", row_tokens=8, vocab_size=50, shard_rows=4, batch_rows=2) as writer:
        writer.write(np.zeros((rows, 8), np.uint16), pa.array([[]] * rows, pa.list_(ROW_DOCUMENT)))
    pieces = pieces_of(DomainRows(tmp_path / "d"), DocumentCount())
    assert list(_parts(pieces, LAYOUT)) == []


@pytest.mark.parametrize(
    ("kind", "digest"),
    [
        ("uint16", "6da2ac42fac4feb136b84479d5f4548e4ebfcbb4a826944e7828dac908fad655"),
        ("int32", "5d90e303d0782eb2eb38339185bbe7451e4682d55b9079a7228c7981c6cc9466"),
    ],
)
def test_the_index_of_megatron_is_that_of_its_own_builder(kind, digest):
    assert hashlib.sha256(index_bytes(np.array([3, 5, 1]), kind)).hexdigest() == digest
