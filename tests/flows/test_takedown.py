"""Takedown: what is named is gone from every file, its copies stand up, and the run stays whole."""

import fcntl
import json
import os
import shutil
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from gristmill.corpus.account import Account
from gristmill.corpus.errors import CardError, LockedError, SourceError, StoreError, UnknownNameError
from gristmill.corpus.files import read_json, write_json
from gristmill.corpus.identity import document_id
from gristmill.corpus.receipt import Outcome
from gristmill.corpus.remote import open_store
from gristmill.corpus.rundir import EXPORTS, RunDir
from gristmill.corpus.schema import DOCUMENTS, REJECTS
from gristmill.corpus.store import LocalStore
from gristmill.corpus.store_use import alone, using
from gristmill.corpus.tables import write_part
from gristmill.flows.inspect.verify import verify_run
from gristmill.flows.pipeline.home_contents import Home
from gristmill.flows.pipeline.open_context import reopen_run
from gristmill.flows.pipeline.rebuild import rebuild_from_card
from gristmill.flows.takedown import forget
from gristmill.flows.takedown import removal as takedown_module
from gristmill.flows.takedown.entries_of_runs import entries_named_by
from gristmill.flows.takedown.home_search import search_home
from gristmill.flows.takedown.journal import JOURNAL
from gristmill.flows.takedown.removal import takedown
from gristmill.flows.takedown.search import Slices, Vocabulary, column_blocks, file_blocks

HOUSE = Path(__file__).resolve().parents[2]
DAY = "2026-01-31"


def copy_of(small_run: Path, small_home: Path, target: Path) -> Path:
    shutil.copytree(small_home, target)
    return target / small_run.relative_to(small_home)


@pytest.fixture
def copied(small_run, small_home, tmp_path, monkeypatch):
    """A copy of the small run and its store."""
    monkeypatch.chdir(HOUSE)
    return copy_of(small_run, small_home, tmp_path / "copy")


def read(run: Path, stage: str, name: str) -> pa.Table:
    with reopen_run(run) as context:
        parts = range(len(context.run.manifest(stage).parts))
        return pa.concat_tables([pq.read_table(context.file(stage, name, part)) for part in parts])


def chosen(run: Path) -> list[str]:
    """A representative that copies hang on, a kept document of another domain, a dropped one."""
    ledger = read(run, "decide", "ledger.parquet")
    of = {verdict: ledger.filter(pc.equal(ledger["verdict"], verdict)) for verdict in ("kept", "dropped", "merged")}
    legal = of["kept"].filter(pc.equal(of["kept"]["domain"], "legal"))
    return [of["merged"]["other"][0].as_py(), legal["doc_id"][0].as_py(), of["dropped"]["doc_id"][0].as_py()]


@pytest.fixture(scope="module")
def taken(small_run, small_home, tmp_path_factory):
    """One takedown that several tests look at: (run before, run after, names, result)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(HOUSE)
        run = copy_of(small_run, small_home, tmp_path_factory.mktemp("taken") / "home")
        names = chosen(run)
        (run.parent / "out").mkdir()
        folders = [{"folder": str(run.parent / name)} for name in ("out", "deleted since")]
        write_json(run / EXPORTS, {"exports": folders})
        return small_run, run, names, takedown(run, names, date=DAY)


# ------------------------------------------------------------------------------------------------ the run afterwards


def test_the_named_are_gone_and_the_run_is_whole(taken):
    _, run, names, result = taken
    assert result["removed"] == sorted(names)
    assert result["left"] == []
    assert result["train"]
    assert result["plan"] is None
    assert result["exports"] == [str(run.parent / "out")]  # whose copies no takedown reaches
    assert not (run / "train").exists()
    assert [check for check in verify_run(run)["checks"] if not check["ok"]] == []


def test_the_card_tells_what_was_taken_down_and_names_nobody(taken):
    before, run, names, result = taken
    assert read_json(before / "card" / "card.json")["takedowns"] == []
    (told,) = read_json(run / "card" / "card.json")["takedowns"]
    assert (told["date"], told["removed"], told["left"]) == (DAY, len(names), 0)
    assert told["rows_rewritten"] == result["rows_rewritten"]
    for page in ("README.md", "card.html"):
        assert "Documents taken down" not in (before / "card" / page).read_text()
        assert "Documents taken down" in (run / "card" / page).read_text()
    croissant = (run / "card" / "croissant.json").read_text()
    assert f"{len(names)} documents were taken down on {DAY}" in croissant
    said = b"".join(path.read_bytes() for path in (run / "card").rglob("*") if path.is_file())
    assert not any(name.encode() in said for name in names)
    assert len(list((run.parents[2] / "store" / "card").iterdir())) == 1  # the card that was searched is gone


def test_no_rebuild_brings_them_back(taken, tmp_path, monkeypatch):
    monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path / "fresh"))
    with pytest.raises(CardError, match="takedowns removed 3 of its documents, and the inputs that it names hold them"):
        rebuild_from_card(taken[1] / "card", check=False)
    assert not (tmp_path / "fresh").exists()


def test_the_other_documents_stay_as_they_were(taken):
    before, run, names, _ = taken
    old, new = read(before, "documents", "documents.parquet"), read(run, "documents", "documents.parquet")
    assert new == old.filter(pc.invert(pc.is_in(old["doc_id"], pa.array(names)))).combine_chunks()
    for stage in ("signals", "language", "signatures", "mentions"):
        rows = read(run, stage, f"{stage}.parquet")
        was = read(before, stage, f"{stage}.parquet")
        assert rows["doc_id"].to_pylist() == new["doc_id"].to_pylist()
        assert rows == was.filter(pc.is_in(was["doc_id"], new["doc_id"])).combine_chunks()


def test_a_copy_stands_up_for_its_representative(taken):
    before, run, names, result = taken
    ledger = read(before, "decide", "ledger.parquet")
    hung_on = ledger.filter(pc.equal(ledger["other"], names[0]))["doc_id"].to_pylist()
    assert len(result["reelected"]) == 1
    assert result["reelected"][0] in hung_on
    assert set(result["copies"]) & set(hung_on)
    kept, was = (set(read(one, "decide", "kept.parquet")["doc_id"].to_pylist()) for one in (run, before))
    assert kept == was - set(names) | set(result["reelected"])
    others = read(run, "decide", "ledger.parquet")["other"].to_pylist()
    assert names[0] not in others


def test_the_documents_count_as_dropped_while_reading(taken):
    before, run, names, _ = taken
    with reopen_run(before) as old, reopen_run(run) as new:
        was, now = (context.run.manifest("documents") for context in (old, new))
    assert sum(part.facts["skipped"].get("takedown", 0) for part in now.parts) == len(names)
    assert sum(a.documents_in for a in was.accounts.values()) == sum(a.documents_in for a in now.accounts.values())
    assert was.rows - now.rows == len(names)


def naive_traces(home: Path, tokenizer: Tokenizer, needles: list[bytes]) -> list[str]:
    """Every file under ``home`` as bytes, as decoded columns and as decoded tokens, searched by Python."""
    found = []
    for path in sorted(path for path in home.rglob("*") if path.is_file() and path.name != "takedown.json"):
        said = [path.read_bytes()]
        if path.suffix in (".parquet", ".arrow"):
            table = pq.read_table(path) if path.suffix == ".parquet" else pa.ipc.open_stream(path).read_all()
            tokens = table["tokens"].to_pylist() if "tokens" in table.column_names else []
            said += [tokenizer.decode(row, skip_special_tokens=False).encode() for row in tokens]
            said += [json.dumps(row, ensure_ascii=False, default=str).encode() for row in table.to_pylist()]
        found += [f"{path.name}: {needle!r}" for needle in needles if any(needle in data for data in said)]
    return found


def needles_of(before: Path, run: Path, names: list[str]) -> list[bytes]:
    """32-byte pieces of the removed texts that no other document has, and the doc_ids."""
    old, new = read(before, "documents", "documents.parquet"), read(run, "documents", "documents.parquet")
    texts = old.filter(pc.is_in(old["doc_id"], pa.array(names)))["text"].to_pylist()
    rest = "\n\n".join(new["text"].to_pylist()).encode()
    pieces = {text.encode()[at : at + 32] for text in texts for at in range(0, len(text) - 64, max(1, len(text) // 7))}
    return [piece for piece in pieces if len(piece) == 32 and piece not in rest] + [name.encode() for name in names]


def test_a_naive_search_of_the_whole_home_finds_nothing(taken, small_home):
    before, run, names, _ = taken
    needles = needles_of(before, run, names)
    tokenizer = Tokenizer.from_file(str(run / "tokenizer" / "tokenizer.json"))
    assert len(needles) > 2 * len(names)
    assert naive_traces(run.parents[2], tokenizer, needles) == []
    assert naive_traces(small_home / "store" / "documents", tokenizer, needles)  # the search does find what is there


def test_the_entries_are_deleted_and_the_journal_is_gone(taken):
    before, run, _, result = taken
    old, new = entries_named_by(RunDir(before)), set(run.parents[2].glob("store/*/*"))
    stay = {f"{path.parent.name}/{path.name}" for path in new}
    assert sum(f"{stage}/{key}" not in stay for stage, key in old) == result["entries_deleted"] > 0
    assert not (run / ".takedown").exists()
    assert not list(run.parents[2].glob("store/*/.*"))


def test_the_record_holds_the_day_and_no_text(taken):
    _, run, _, result = taken
    assert read_json(run / "takedown.json") == {"takedowns": [result]}
    assert result["date"] == DAY


def test_rows_rewritten_are_those_of_changed_domains(taken):
    before, run, _, result = taken
    rows = 0
    for stage in ("shards", "heldout"):
        for index in (run / stage).glob("*/index.json"):
            now, was = read_json(index), read_json(before / stage / index.parent.name / "index.json")
            rows += now["rows"] if now != was else 0
    assert result["rows_rewritten"] == rows > 0


# ------------------------------------------------------------------------------------------------ repeated, interrupted


def shards(run: Path) -> dict[str, bytes]:
    folders = ("shards", "heldout", "plan", "card", "manifests")
    files = [path for folder in folders for path in (run / folder).rglob("*") if path.is_file()]
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


@pytest.mark.parametrize("moment", ["search_left", "_later_stages", "append_record"])
def test_a_killed_takedown_is_carried_on(moment, taken, copied, monkeypatch):
    _, whole, names, result = taken

    def die(*_):
        raise KeyboardInterrupt

    write_json(copied / EXPORTS, read_json(whole / EXPORTS))
    monkeypatch.setattr(takedown_module, moment, die)
    with pytest.raises(KeyboardInterrupt):
        takedown(copied, names, date=DAY)
    monkeypatch.undo()
    monkeypatch.chdir(HOUSE)
    assert takedown(copied, names, date=DAY) == result
    assert read_json(copied / "takedown.json") == {"takedowns": [result]}
    assert shards(copied) == shards(whole)


def test_while_a_run_is_at_work_nothing_is_taken_down(copied):
    name = chosen(copied)[1]
    before = {path: path.read_bytes() for path in (copied / "manifests").iterdir()}
    with using(copied.parents[2] / "store"), pytest.raises(LockedError, match="in use by a run"):
        takedown(copied, [name], date=DAY, other_runs=True)
    assert {path: path.read_bytes() for path in (copied / "manifests").iterdir()} == before
    assert not (copied / JOURNAL).exists()


def test_who_has_a_store_alone_may_use_it(tmp_path):
    with alone(tmp_path), using(tmp_path), pytest.raises(LockedError), alone(tmp_path):
        pass


def test_a_file_that_a_living_writer_renames_is_met_under_one_of_its_names(tmp_path):
    class Renaming(Slices):
        def count_in(self, data):
            if aside.exists():
                aside.rename(aside.with_name("key"))
            return super().count_in(data)

    asides = first, aside = [tmp_path / f"store/documents/.{name}.1.tmp" for name in ("a", "key")]
    text = "a text of more than thirty two bytes, which is looked for"
    with ExitStack() as living:
        for folder in asides:
            folder.mkdir(parents=True)
            (folder / "part").write_text(text)
            handle = os.open(folder, os.O_RDONLY)
            living.callback(os.close, handle)
            fcntl.flock(handle, fcntl.LOCK_EX)
        found = search_home(Home(tmp_path), RunDir(tmp_path / "runs/r/1"), Renaming.of([pa.array([text])]))
    assert [place["file"] for place in found.left] == [str(first / "part"), str(aside.with_name("key") / "part")]


def test_a_second_takedown_adds_to_the_record(taken, tmp_path, monkeypatch):
    _, run, names, result = taken
    monkeypatch.chdir(HOUSE)
    run = copy_of(run, run.parents[2], tmp_path / "copy")
    with pytest.raises(UnknownNameError):
        takedown(run, names)
    more = takedown(run, result["reelected"], date=DAY)
    assert more["removed"] == result["reelected"]
    assert more["left"] == []
    assert read_json(run / "takedown.json") == {"takedowns": [result, more]}


def test_entries_that_another_run_names_stay(copied):
    other = copied.with_name("0123456789abcdef")
    shutil.copytree(copied, other)
    names = chosen(copied)[1:2]
    result = takedown(copied, names, date=DAY)
    assert result["entries_deleted"] == 0
    assert result["entries_of_others"][str(other)] > 10
    assert result["left"]  # what other runs of the home hold is looked at, and reported
    assert not [place for place in result["left"] if str(copied) in place["file"]]
    problems = [check["detail"] for check in verify_run(other)["checks"] if not check["ok"]]
    assert problems == [f"{what} is of run {copied.name}, not of {other.name}" for what in ("lock.json", "the card")]


def test_a_domain_that_loses_everything_has_no_plan(copied):
    documents = read(copied, "documents", "documents.parquet")
    names = documents.filter(pc.equal(documents["domain"], "legal"))["doc_id"].to_pylist()
    result = takedown(copied, names, date=DAY)
    assert "legal" in result["plan"]
    assert result["left"] == []
    assert not (copied / "plan").exists()
    assert [check for check in verify_run(copied)["checks"] if not check["ok"] and "card" not in check["name"]] == []


def test_a_vocabulary_that_spells_the_text_is_learnt_again(copied, monkeypatch):
    monkeypatch.setattr(takedown_module, "spells", lambda *_: True)
    before = read_json(copied / "manifests" / "tokenizer.json")
    result = takedown(copied, chosen(copied)[1:2], date=DAY)
    assert result["retrained"] == "tokenizer"
    assert read_json(copied / "manifests" / "tokenizer.json") != before
    assert [check for check in verify_run(copied)["checks"] if not check["ok"]] == []


# ------------------------------------------------------------------------------------------------ names


def test_names_are_doc_ids_locators_or_input_ids(copied):
    documents = read(copied, "documents", "documents.parquet").to_pylist()
    with_id = next(row for row in documents if "id" in json.loads(row["meta"] or "{}"))
    reject = read(copied, "documents", "rejects.parquet").to_pylist()[0]
    with reopen_run(copied) as context:
        folders = [context.store.folder(part) for part in context.run.manifest("documents").parts]
    own_id = str(json.loads(with_id["meta"])["id"])
    names = [documents[0]["doc_id"], documents[1]["locator"], own_id, reject["locator"]]
    named = forget.find_named(folders, names)
    assert {documents[0]["doc_id"], documents[1]["doc_id"], with_id["doc_id"]} <= set(named.all_doc_ids)
    assert sum(map(len, named.rejects)) >= 1
    hidden = forget.document_id(reject["source"], reject["locator"])
    assert sum(map(len, forget.find_named(folders, [hidden]).rejects)) == 1


def test_unknown_names_are_all_named_and_nothing_is_changed(copied):
    before = shards(copied)
    with pytest.raises(UnknownNameError, match=r"2 of 3.*no-such, nor-this"):
        takedown(copied, [chosen(copied)[0], "no-such", "nor-this"])
    assert shards(copied) == before
    assert not (copied / ".takedown").exists()


def test_ids_are_read_line_by_line(tmp_path):
    (tmp_path / "ids").write_text("\ufeffone\n\n  file name.jsonl:3 \na\u2028b:1\r\n")
    assert forget.read_ids(tmp_path / "ids") == ["one", "file name.jsonl:3", "a\u2028b:1"]
    (tmp_path / "ids").write_text("one\n\n  file name.jsonl:3 \n")
    assert forget.read_ids(tmp_path / "ids") == ["one", "file name.jsonl:3"]
    (tmp_path / "ids").write_bytes(b"\xef\xbb\xbfone\r\ntwo\xe2\x80\xa8lines\n")  # as an editor of Windows saves it
    assert forget.read_ids(tmp_path / "ids") == ["one", "two\u2028lines"]
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name in ("empty", "binary", "missing"):
        with pytest.raises(SourceError, match=f"--ids .*{name}"):
            forget.read_ids(tmp_path / name)


def test_a_graph_that_changed_is_refused(copied):
    lock = read_json(copied / "lock.json")
    lock["artefacts"]["mentions"]["graph"] = "0" * 32
    (copied / "lock.json").write_text(json.dumps(lock))
    with pytest.raises(StoreError, match="the graph of the stage mentions is not the one"):
        takedown(copied, chosen(copied))


# ------------------------------------------------------------------------------------------------ rejects


LETTER = "Dear Sir, this letter is private and was never meant to be published. Yours, A."


@pytest.fixture
def part(tmp_path):
    """A documents part with a private letter, a reject that quotes it, and one that does not."""
    folder = tmp_path / "part"
    folder.mkdir()
    rows = [("a" * 32, LETTER), ("b" * 32, "Something else that stays where it is.")]
    values = {"source": "mail", "domain": "mail", "locator": "x:1", "text_hash": "0" * 32}
    records = [{**dict.fromkeys(DOCUMENTS.names), **values, "doc_id": i, "text": text} for i, text in rows]
    write_part(folder / "documents.parquet", DOCUMENTS, [pa.RecordBatch.from_pylist(records, DOCUMENTS)])
    reject = {"source": "mail", "reason": "not_json", "detail": "cut short", "bytes": 90}
    heads = [b'{"text": "' + LETTER.encode()[:60], b'{"text": "a harmless line of text that was cut']
    rejects = [{**reject, "locator": f"x:{n + 2}", "head": head} for n, head in enumerate(heads)]
    write_part(folder / "rejects.parquet", REJECTS, [pa.RecordBatch.from_pylist(rejects, REJECTS)])
    return folder


def test_a_reject_that_quotes_the_text_loses_its_head(part, tmp_path):
    named = forget.find_named([part], ["a" * 32])
    said = forget.slices_of([part], named)
    assert forget.rejects_that_say(part, said) == [0]
    out = tmp_path / "out"
    out.mkdir()
    facts = {"skipped": {"empty": 1}, "text_bytes": 200, "rejects": {"not_json": 2}}
    account = {"mail": Account(5, 2, 3, 0, 400, 300, 100, 0)}
    outcome = forget.forget_rows(part, ["a" * 32], [0], account, facts, out)
    n = len(LETTER)
    assert outcome == Outcome(
        1,
        {"mail": Account(5, 1, 4, 0, 400, 300 - n, 100 + n, 0)},
        {"skipped": {"empty": 1, "takedown": 1}, "text_bytes": 200 - n, "rejects": {"not_json": 2}},
    )
    first, second = pq.read_table(out / "rejects.parquet").to_pylist()
    assert (first["head"], first["detail"], first["locator"]) == (None, None, "x:2")
    assert second["head"] is not None
    assert pq.read_schema(out / "rejects.parquet") == REJECTS
    assert not any(said.count_in(block) for path in out.iterdir() for block in file_blocks(path, None))


def test_copies_are_told(part):
    assert forget.copies_of([part], forget.find_named([part], ["a" * 32])) == ["b" * 32]  # one text_hash by design


# ------------------------------------------------------------------------------------------------ search


pieces = st.text("ab", min_size=30, max_size=40)


@given(st.lists(pieces, max_size=4), st.lists(pieces, max_size=4))
def test_slices_are_found_where_they_are(texts, others):
    slices = Slices.of([pa.array(texts, pa.string())])
    expected = {text[i : i + 32] for text in texts for i in range(len(text) - 31)}
    assert len(slices) == len(expected)
    for other in others:
        data = np.frombuffer(other.encode(), np.uint8)
        assert slices.count_in(data) == sum(other[i : i + 32] in expected for i in range(len(other) - 31))
    left = slices.without(np.frombuffer(other.encode(), np.uint8) for other in others)
    assert len(left) == len({piece for piece in expected if not any(piece in other for other in others)})


def test_columns_of_any_nesting_are_read():
    rows = [{"a": "one", "b": [{"c": "two", "d": b"three"}], "e": 5}, {"a": None, "b": None, "e": 6}]
    batch = pa.RecordBatch.from_pylist(rows)
    found = [bytes(block) for column in batch.columns for block in column_blocks(column)]
    assert found == [b"one", b"two", b"three"]
    assert [bytes(block) for block in column_blocks(pa.array(["no", "yes", "no"])[1:2])] == [b"yes"]


def test_small_integers_that_are_no_tokens_spell_nothing(small_run, tmp_path):
    """A fitted reference has uint16 columns: read as tokens, its numbers lie beyond every vocabulary."""
    vocabulary = Vocabulary(small_run / "tokenizer" / "tokenizer.json")
    table = pa.table({"bits": pa.array([65_535, 1], pa.uint16()), "tokens": pa.array([97, 98], pa.uint16())})
    pq.write_table(table, tmp_path / "reference.parquet")
    raw, *columns = file_blocks(tmp_path / "reference.parquet", vocabulary)
    assert len(columns) == 1
    assert len(raw)


def test_tokens_are_spelled_as_the_tokenizer_decodes_them(small_run):
    path = small_run / "tokenizer" / "tokenizer.json"
    text = "Caf\u00e9 na\u00efve \u2014 \u6f22\u5b57 12345\n\tend"
    ids = np.array(Tokenizer.from_file(str(path)).encode(text).ids, np.uint16)
    assert bytes(Vocabulary(path).spell(ids)).decode() == text


def test_what_is_left_is_named(copied):
    names = chosen(copied)[1:2]
    documents = read(copied, "documents", "documents.parquet")
    text = documents.filter(pc.equal(documents["doc_id"], names[0]))["text"][0].as_py()
    (copied / "notes").mkdir()
    (copied / "notes" / "mine.txt").write_text("See: " + text[200:400])
    (left,) = takedown(copied, names, date=DAY)["left"]
    assert left["file"].endswith("notes/mine.txt")
    assert left["slices"] > 100


@pytest.mark.parametrize("url", ["local", "memory://takedown"])
def test_an_entry_can_be_deleted(url, tmp_path):
    store = LocalStore(tmp_path / "store") if url == "local" else open_store(url, tmp_path / "cache")

    def make(folder: Path) -> Outcome:
        (folder / "a.txt").write_text("a")
        return Outcome(1)

    receipt, _ = store.produce("documents", "0" * 32, make)
    store.delete(receipt)
    assert store.find("documents", "0" * 32) is None
    store.delete(receipt)
    assert store.produce("documents", "0" * 32, make) == (receipt, False)


@pytest.fixture
def named_parts(tmp_path):
    """Two parts whose doc_ids begin alike in five characters, in one, or not; and a reject."""
    parts = []
    for number, ids in enumerate((["abcd1" + "0" * 27, "abcd2" + "0" * 27], ["abce0" + "0" * 27, "12345" + "0" * 27])):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        rows = [
            row(doc_id, id={"12345" + "0" * 27: "abce", "abce0" + "0" * 27: "x"}.get(doc_id, doc_id)) for doc_id in ids
        ]
        write_part(folder / "documents.parquet", DOCUMENTS, [pa.RecordBatch.from_pylist(rows, DOCUMENTS)])
        reject = {"source": "web", "locator": f"a:{number}", "reason": "not_json", "bytes": 3}
        write_part(folder / "rejects.parquet", REJECTS, [pa.RecordBatch.from_pylist([reject], REJECTS)])
        parts.append(folder)
    return parts


def row(doc_id: str, **meta: str) -> dict:
    known = {"text": "x", "source": "web", "domain": "web", "locator": doc_id[:6], "text_hash": "0" * 32}
    return dict.fromkeys(DOCUMENTS.names) | known | {"doc_id": doc_id, "meta": json.dumps(meta)}


def test_the_beginning_of_a_doc_id_names_a_document(named_parts):
    assert forget.find_named(named_parts, ["abcd1"]).all_doc_ids == ["abcd1" + "0" * 27]
    assert forget.find_named(named_parts, ["abcd1", "abcd1" + "0" * 27, "1234"]).all_doc_ids == [
        "12345" + "0" * 27,
        "abcd1" + "0" * 27,
    ]
    rejected = document_id("web", "a:1")
    assert forget.find_named(named_parts, [rejected[:9]]).rejects == [[], [0]]


def test_what_is_a_name_is_not_read_as_a_beginning(named_parts):
    """``abce`` begins a doc_id, and is the id that the input gave another document."""
    assert forget.find_named(named_parts, ["abce"]).all_doc_ids == ["12345" + "0" * 27]


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["abcd"], "document 'abcd' is the beginning of 2 names: abcd1"),
        (["1234", "abcd"], "is the beginning of 2 names"),
        (["abc"], r"unknown document \(1 of 1\) 'abc'"),  # three characters are no beginning
        (["ABCD1"], r"unknown document \(1 of 1\)"),
        (["1234", "ffff"], r"unknown document \(1 of 2\) 'ffff'"),
        (["abcd1" + "0" * 28], r"unknown document \(1 of 1\)"),
    ],
)
def test_a_beginning_of_several_or_of_none_is_a_mistake_before_anything_is_removed(named_parts, names, told):
    before = [path.read_bytes() for part in named_parts for path in sorted(part.iterdir())]
    with pytest.raises(UnknownNameError, match=told):
        forget.find_named(named_parts, names)
    assert before == [path.read_bytes() for part in named_parts for path in sorted(part.iterdir())]
