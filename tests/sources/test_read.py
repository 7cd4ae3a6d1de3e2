"""A part as a whole: determinism, accounts, remote files, errors."""

import json
import threading

import fsspec
import pyarrow.parquet as pq
import pytest

from gristmill.corpus.errors import SourceError
from gristmill.sources.catalogue import reader_names
from gristmill.sources.listing import InputFile, list_files
from gristmill.sources.part import BATCH_BYTES
from gristmill.sources.read import ReadSpec, library_versions, read_part
from gristmill.sources.stage import DocumentsFacts

MIXED = [
    "samples/web/debian-docs.warc.gz", "samples/web/html", "samples/dirty/broken.jsonl", "samples/dirty/truncated.*",
    "samples/books/austen.jsonl.zst", "samples/forum", "samples/legal/debian-policy.parquet", "samples/math",
]  # fmt: skip


def files_of(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_same_input_gives_the_same_bytes_in_any_thread(tmp_path):
    files = list_files(MIXED, None, source="mixed")
    folders = [tmp_path / str(i) for i in range(3)]
    for folder in folders:
        folder.mkdir()
    threads = [threading.Thread(target=read_part, args=(files, ReadSpec("mixed", "web"), f)) for f in folders[:2]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    read_part(files, ReadSpec("mixed", "web"), folders[2])
    assert files_of(folders[0]) == files_of(folders[1]) == files_of(folders[2])
    assert sorted(files_of(folders[0])) == ["documents.parquet", "rejects.parquet"]


def test_parts_add_up_to_the_whole(tmp_path, read):
    whole = read(MIXED)
    pieces = [read(file.path) for file in list_files(MIXED, None, source="s")]
    assert [row for piece in pieces for row in piece.documents.to_pylist()] == whole.documents.to_pylist()
    total = sum((piece.outcome.accounts["s"] for piece in pieces[1:]), pieces[0].outcome.accounts["s"])
    assert total == whole.outcome.accounts["s"]


def test_facts_count_what_was_read(read):
    facts = read(MIXED).outcome.facts
    assert facts["files"] == len(list_files(MIXED, None, source="s"))
    assert facts["rejects"]["truncated_archive"] == 2
    assert facts["skipped"] == {"content_type": 1, "http_status": 1}
    assert json.loads(json.dumps(facts)) == facts


def test_the_id_depends_on_source_and_place_alone(tmp_path, read):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one"}\n')
    before = read(path)
    path.write_text('{"text": "two"}\n')
    after = read(path)
    assert before.column("doc_id") == after.column("doc_id")
    assert before.column("text_hash") != after.column("text_hash")


def test_large_parts_are_written_in_several_batches(tmp_path, read):
    text = "word " * 20_000
    count = 3 * BATCH_BYTES // len(text)
    (tmp_path / "a.jsonl").write_bytes(b"".join(b'{"text": "%d %b"}\n' % (i, text.encode()) for i in range(count)))
    result = read(tmp_path / "a.jsonl")
    assert [found.split(" ", 1)[0] for found in result.texts] == [str(i) for i in range(count)]


def test_many_rejects_are_kept(tmp_path, read):
    (tmp_path / "a.jsonl").write_bytes(b"x\n" * 10_000)
    result = read(tmp_path / "a.jsonl")
    assert result.outcome.facts["rejects"] == {"not_json": 10_000}


def test_facts_are_those_of_the_stage(read):
    facts = read(MIXED).outcome.facts
    assert set(facts) == {*DocumentsFacts.__dataclass_fields__} - {"triples"}
    assert DocumentsFacts(**facts).files == facts["files"]
    assert all(library_versions().values())


def test_an_unknown_format_and_a_lost_file_are_one_message(tmp_path):
    with pytest.raises(SourceError, match=r"sources\.web\.format: no reader for 'jsnl'; did you mean 'jsonl'"):
        read_part([InputFile("a", 1, "", "jsnl")], ReadSpec("web", "web"), tmp_path)
    for format_ in reader_names():
        with pytest.raises(SourceError, match=r"sources\.web\.path: cannot open"):
            read_part([InputFile("gone", 1, "", format_)], ReadSpec("web", "web"), tmp_path)


REMOTE = [
    "dirty/broken.jsonl",
    "math/math.jsonl.gz",
    "web/debian-docs.warc.gz",
    "legal/debian-policy.parquet",
    "code/tree/redux/LICENSE",
]


def same_but_for_the_place(remote, local):
    drop = ["doc_id", "locator"]
    return remote.documents.drop(drop).equals(local.documents.drop(drop)) and len(remote.rejects) == len(local.rejects)


def test_memory_files_read_as_local_ones(read):
    fs = fsspec.filesystem("memory")
    for name in REMOTE:
        fs.put(f"samples/{name}", f"/bucket/{name}")
    try:
        assert same_but_for_the_place(read("memory://bucket"), read([f"samples/{name}" for name in REMOTE]))
    finally:
        fs.store.clear()
        fs.pseudo_dirs[:] = [""]


def test_s3_files_read_as_local_ones(read, monkeypatch):
    import s3fs
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    try:
        s3fs.S3FileSystem.clear_instance_cache()
        fs = fsspec.filesystem("s3")
        fs.mkdir("corpus")
        for name in REMOTE:
            fs.put(f"samples/{name}", f"corpus/{name}")
        listed = list_files(["s3://corpus"], None, source="s")
        assert [file.path for file in listed] == [f"s3://corpus/{name}" for name in sorted(REMOTE)]
        fs.pipe("corpus/dirty/broken.jsonl", b"")
        assert listed[1].digest != list_files(["s3://corpus/dirty/broken.jsonl"], None, source="s")[0].digest
        fs.put("samples/dirty/broken.jsonl", "corpus/dirty/broken.jsonl")
        assert same_but_for_the_place(read("s3://corpus"), read([f"samples/{name}" for name in REMOTE]))
        with pytest.raises(SourceError, match=r"sources\.s\.path"):
            list_files(["s3://corpus/gone.jsonl"], None, source="s")
    finally:
        server.stop()
        s3fs.S3FileSystem.clear_instance_cache()


def test_reject_rows_say_where_and_what(read):
    rejects = {row["locator"]: row for row in read("samples/dirty/broken.jsonl").rejects.to_pylist()}
    row = rejects["samples/dirty/broken.jsonl:5"]
    assert row["reason"] == "field_missing"
    assert row["detail"] == "no field 'text' among body, id"
    assert row["head"] == b'{"id": "broken/no-text", "body": "no text field"}\n'
    assert row["bytes"] == len(row["head"])


def test_a_part_has_row_groups_of_bounded_size(tmp_path):
    files = list_files(["samples/legal/spdx-licenses.parquet"], None, source="s")
    read_part(files, ReadSpec("s", "legal"), tmp_path)
    assert pq.ParquetFile(tmp_path / "documents.parquet").num_row_groups == 1
