"""Text out: the same bytes that an independent cut of the stored tables gives, whole or not at all, the same twice."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer

from gristmill.corpus.errors import ConservationError, SchemaError, StoreError, UnknownNameError
from gristmill.corpus.files import file_sha256, read_json
from gristmill.corpus.rundir import EXPORTS, RunDir
from gristmill.flows.direct import refine_directly
from gristmill.flows.export import text_export
from gristmill.flows.export.export_run import export_run
from gristmill.flows.export.row_reader import RowReader
from gristmill.flows.export.target import ExportOptions
from gristmill.flows.pipeline.open_context import reopen_run
from gristmill.handoff.plan import Plan

TARGETS = ("jsonl", "parquet", "arrow")  # of documents; those of rows stand in test_export_rows
NOTE = (
    "SHARE THIS NOTE\nWrite to jané.doe{n}@example.org, jane.doe{n}@example.org; it grinds exceedingly — {n} — small.\n"
)
LINE = "This line of boilerplate stands in every single note of the collection.\n"
SECTIONS = """
[line_edits]
rules = ["refinedweb@dclm"]
domains = ["forum"]
[pii]
email = "mask"
key = "drop"
[dedup.lines]
min_chars = 20
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory, small_text):
    """The small recipe with edits: lines cut, addresses masked, one document cut to nothing."""
    folder = tmp_path_factory.mktemp("export")
    notes = [{"id": f"note-{n}", "text": NOTE.format(n=n) + LINE + "Ω" * n, "lang": "en"} for n in range(30)]
    notes.append({"id": "all-cut", "text": LINE.strip()})
    (folder / "notes.jsonl").write_text("".join(json.dumps(note, ensure_ascii=False) + "\n" for note in notes))
    source = f'[[sources]]\nname = "notes"\npath = "{folder}/notes.jsonl"\ndomain = "forum"\nlicense = "CC0"\n'
    text = small_text.replace("[[sources]]", source + "[[sources]]", 1)
    text = text.replace("[decide]\n", SECTIONS + "[decide]\n").replace('profiles = ["length"]', "profiles = []")
    (folder / "recipe.toml").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRISTMILL_HOME", str(folder / "home"))
        yield Path(refine_directly(folder / "recipe.toml", until="plan")["run"])


def naive_texts(run: Path) -> dict[str, tuple[str, str, bool]]:
    """doc_id: text, source, held out; documents.text cut by kept.spans, byte by byte, ten lines of the test's own."""
    with reopen_run(run) as context:
        documents = [context.file("documents", "documents.parquet", n) for n in range(parts(run))]
        kept = pq.read_table(context.file("edits", "kept.parquet")).to_pylist()
    texts = {row["doc_id"]: row["text"].encode() for path in documents for row in pq.read_table(path).to_pylist()}
    found = {}
    for row in kept:
        data, done, out = texts[row["doc_id"]], 0, b""
        for span in row["spans"]:
            mark = f"<{span['reason'][5:]}>".encode() if span["reason"].startswith("mask:") else b""
            out, done = out + data[done : span["start"]] + mark, span["end"]
        found[row["doc_id"]] = ((out + data[done:]).decode(), row["source"], row["heldout"])
    return found


def parts(run: Path) -> int:
    return len(RunDir(run).manifest("documents").parts)


def read(folder: Path, target: str) -> pl.DataFrame:
    reader = {"jsonl": pl.read_ndjson, "parquet": pl.read_parquet, "arrow": pl.read_ipc}[target]
    files = [folder / file["path"] for file in read_json(folder / "export.json")["files"]]
    frames = [reader(path) for path in files]
    assert [len(frame) for frame in frames] == [file["rows"] for file in read_json(folder / "export.json")["files"]]
    return pl.concat(frames, how="vertical_relaxed")


@pytest.mark.parametrize("target", TARGETS)
def test_the_text_is_the_stored_text_without_its_spans(run, tmp_path, target):
    result = export_run(run, target, tmp_path / "out")
    expected = {doc_id: one for doc_id, one in naive_texts(run).items() if one[0]}
    frame = read(tmp_path / "out", target)
    columns = (frame[name].to_list() for name in ("doc_id", "text", "source", "heldout"))
    assert {doc_id: (text, source, held) for doc_id, text, source, held in zip(*columns, strict=True)} == expected
    assert len(frame) == result["documents"] == len(expected) == sum(result["by_source"].values())
    assert result["heldout"] == sum(held for _, _, held in expected.values()) > 0
    texts = [text for text, source, _ in expected.values() if source == "notes"]
    assert all("<EMAIL>" in text and "SHARE" not in text and "@" not in text for text in texts)
    assert sum(LINE in text for text in texts) <= 1


@pytest.mark.parametrize("target", TARGETS)
def test_metadata_is_that_of_the_document(run, tmp_path, target):
    export_run(run, target, tmp_path / "out")
    with reopen_run(run) as context:
        tables = [pq.read_table(context.file("documents", "documents.parquet", n)) for n in range(parts(run))]
    documents = {row["doc_id"]: row for row in pa.concat_tables(tables).to_pylist()}
    missing = "" if target == "jsonl" else None
    frame = read(tmp_path / "out", target)
    assert frame.columns[:2] == ["doc_id", "text"]
    assert frame.columns[-1] == "heldout"
    for row in frame.to_dicts():
        for name in ("source", "domain", "lang", "license", "url", "created", "locator", "meta"):
            value = documents[row["doc_id"]][name]
            assert row[name] == (missing if value is None else value), name


def test_every_document_comes_back_from_exported_rows(run, tmp_path):
    result = export_run(run, "rows-parquet", tmp_path / "out")
    tokenizer, pieces = Tokenizer.from_file(str(run / "tokenizer" / "tokenizer.json")), {}
    for file in result["files"]:
        for row in pq.read_table(tmp_path / "out" / file["path"]).to_pylist():
            held = file["path"].startswith("heldout/")
            for one in row["documents"]:
                ids = row["tokens"][one["start"] : one["start"] + one["length"]]
                pieces.setdefault((one["doc_id"], held), {})[one["offset"]] = ids
    texts = {}
    for (doc_id, held), parts in pieces.items():
        ids = [token for _, part in sorted(parts.items()) for token in part]
        assert ids.pop() == tokenizer.token_to_id("<|endoftext|>")
        texts[doc_id] = tokenizer.decode(ids, skip_special_tokens=False), held
    assert texts == {doc_id: (text, held) for doc_id, (text, _, held) in naive_texts(run).items() if text}
    assert sum(len(parts) > 1 for parts in pieces.values()) > 10


def test_emptied_documents_are_counted_and_left_out(run, tmp_path):
    result = export_run(run, "jsonl", tmp_path / "out")
    gone = [doc_id for doc_id, (text, _, _) in naive_texts(run).items() if not text]
    assert gone
    assert sum(result["emptied"].values()) == len(gone)
    assert read_json(tmp_path / "out" / "export.json")["emptied"] == result["emptied"] != {}
    with reopen_run(run) as context:
        kept = context.run.manifest("decide").accounts
    for source, account in kept.items():
        assert result["by_source"].get(source, 0) + result["emptied"].get(source, 0) == account.documents_kept


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("by", ["source", "domain"])
def test_a_folder_for_each_value(run, tmp_path, target, by):
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    export_run(run, target, whole)
    result = export_run(run, target, parted, ExportOptions(by=by))
    frame = read(whole, target)
    assert {file["path"].split("/")[0] for file in result["files"]} == set(frame[by])
    for file in result["files"]:
        path = parted / file["path"]
        assert (path.stat().st_size, file_sha256(path)) == (file["bytes"], file["sha256"])
    both = [one.sort("doc_id") for one in (frame, read(parted, target))]
    assert both[0].equals(both[1])


@pytest.mark.parametrize("target", TARGETS)
def test_signals_stand_beside_the_text_that_they_were_measured_of(run, tmp_path, target):
    export_run(run, target, tmp_path / "out", ExportOptions(columns=("signals",)))
    frame = read(tmp_path / "out", target).unnest("signals")
    with reopen_run(run) as context:
        signals = [pq.read_table(context.file("signals", "signals.parquet", n)) for n in range(parts(run))]
        language = [pq.read_table(context.file("language", "language.parquet", n)) for n in range(parts(run))]
    words = dict(zip(*(pa.concat_tables(signals)[name].to_pylist() for name in ("doc_id", "words")), strict=True))
    langs = dict(zip(*(pa.concat_tables(language)[name].to_pylist() for name in ("doc_id", "lang_id")), strict=True))
    assert all(words[row["doc_id"]] == row["words"] for row in frame.to_dicts())
    assert all(langs[row["doc_id"]] == row["lang_id"] for row in frame.to_dicts())


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("target", TARGETS)
def test_twice_is_byte_for_byte_the_same(run, tmp_path, target):
    for name in ("a", "b"):
        export_run(run, target, tmp_path / name, ExportOptions(by="source", columns=("signals",)))
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert str(tmp_path) not in (tmp_path / "a" / "export.json").read_text()


def test_datasets_loads_all_lines_although_the_first_file_lacks_a_language(run, tmp_path):
    import datasets

    result = export_run(run, "jsonl", tmp_path / "out")
    files = [str(tmp_path / "out" / file["path"]) for file in result["files"]]
    for order in (files, files[::-1]):
        loaded = datasets.load_dataset("json", data_files=order, split="train", cache_dir=str(tmp_path / "cache"))
        assert loaded.num_rows == result["documents"]
        assert set(loaded["lang"]) == {"", "en"}
        loaded.cleanup_cache_files()


KILLED = """
import os, signal, sys
from contextlib import contextmanager
from pathlib import Path
from gristmill.flows.export.export_run import export_run
class Reporter:
    @contextmanager
    def stage(self, name, total, n_bytes=0):
        yield self
    def advance(self, note=""):
        os.kill(os.getpid(), signal.SIGKILL)
export_run(Path(sys.argv[1]), "parquet", Path(sys.argv[2]), reporter=Reporter())
"""


def test_a_killed_export_looks_like_none_and_is_begun_again(run, tmp_path):
    whole, out = tmp_path / "whole", tmp_path / "out"
    export_run(run, "parquet", whole)
    done = subprocess.run([sys.executable, "-c", KILLED, str(run), str(out)], env=os.environ, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (out / "export.json").exists()
    assert (out / "unfinished.json").exists()
    (out / ".part-00001.parquet.tmp").write_bytes(b"half")
    assert not any(one["folder"] == str(out.resolve()) for one in read_json(run / EXPORTS)["exports"])
    with pytest.raises(StoreError, match=r"unfinished export of small/\w+ with other options"):
        export_run(run, "jsonl", out)
    export_run(run, "parquet", out)
    assert contents(out) == contents(whole)


def test_a_folder_that_holds_something_stays_as_it_is(run, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(StoreError, match=r"holds 'mine\.txt'; name a new or an empty folder"):
        export_run(run, "jsonl", tmp_path)
    assert contents(tmp_path) == {"mine.txt": b"mine"}
    with pytest.raises(StoreError, match="is a file; name a folder"):
        export_run(run, "jsonl", tmp_path / "mine.txt")
    export_run(run, "jsonl", tmp_path / "out")
    with pytest.raises(StoreError, match="name a new or an empty folder"):
        export_run(run, "jsonl", tmp_path / "out")


def test_the_run_keeps_a_record(run, tmp_path):
    result = export_run(run, "arrow", tmp_path / "out", ExportOptions(by="domain"))
    (entry,) = [
        one for one in read_json(run / EXPORTS)["exports"] if one["folder"] == str((tmp_path / "out").resolve())
    ]
    assert entry["sha256"] == file_sha256(tmp_path / "out" / "export.json")
    assert (entry["target"], entry["by"], entry["documents"]) == ("arrow", "domain", result["documents"])
    assert result["run"] == f"small/{run.name}"
    assert result["plan"] == Plan.load(run / "plan").digest
    assert result["format"] == "gristmill-export-1"


def test_unknown_targets_and_columns_name_the_nearest(run, tmp_path):
    with pytest.raises(UnknownNameError, match="unknown target of --to 'parkett'; did you mean 'parquet'"):
        export_run(run, "parkett", tmp_path / "out")
    with pytest.raises(UnknownNameError, match="column of --by 'sauce'; did you mean 'source'"):
        export_run(run, "jsonl", tmp_path / "out", ExportOptions(by="sauce"))
    with pytest.raises(UnknownNameError, match="column of --with 'signal'; did you mean 'signals'"):
        export_run(run, "jsonl", tmp_path / "out", ExportOptions(columns=("signal",)))
    assert not (tmp_path / "out").exists()


def test_a_run_that_has_not_decided(tmp_path, small_text, home):
    (tmp_path / "recipe.toml").write_text(small_text)
    early = Path(refine_directly(tmp_path / "recipe.toml", until="signals")["run"])
    with pytest.raises(StoreError, match="has no decide yet"):
        export_run(early, "jsonl", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_documents_that_get_lost_on_the_way_are_missed(run, tmp_path, monkeypatch):
    whole = text_export.kept_by_part
    monkeypatch.setattr(text_export, "kept_by_part", lambda context: [one.slice(1) for one in whole(context)])
    with pytest.raises(ConservationError, match="documents were kept, the table of kept documents has"):
        export_run(run, "jsonl", tmp_path / "out")
    assert not (tmp_path / "out" / "export.json").exists()


def test_kept_rows_of_another_part_are_refused(run, tmp_path, monkeypatch):
    whole = text_export.kept_by_part
    monkeypatch.setattr(text_export, "kept_by_part", lambda context: whole(context)[::-1])
    with pytest.raises(SchemaError, match="kept"):
        export_run(run, "jsonl", tmp_path / "out")


def test_rows_are_read_across_row_groups(tmp_path):
    table = pa.table({"n": range(100)})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=7)
    reader = RowReader(tmp_path / "t.parquet", ["n"])
    taken = [reader.take(pl.Series(rows).to_numpy())["n"].to_pylist() for rows in ([0, 6, 7], [20], [55, 99])]
    assert taken == [[0, 6, 7], [20], [55, 99]]
    with pytest.raises(StoreError, match="has 100 rows and none at 100"):
        reader.take(pl.Series([100]).to_numpy())
