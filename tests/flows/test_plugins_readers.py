"""Readers from outside: a file of stanzas becomes documents and rejects, wherever the part is read."""

import importlib
import shutil
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from gristmill.corpus.errors import RecipeError, SourceError, StageError
from gristmill.corpus.files import read_json
from gristmill.corpus.plugins import package_digest
from gristmill.flows.direct import refine_directly
from gristmill.flows.inspect.catalogue_rows import Known
from gristmill.flows.inspect.explain import explain_document
from gristmill.flows.inspect.verify import verify_run
from gristmill.flows.pipeline.dry_run import plan_run
from gristmill.flows.pipeline.open_context import reopen_run
from gristmill.flows.pipeline.rebuild import rebuild_from_card
from gristmill.flows.takedown.removal import takedown

STANZAS = """
from gristmill.sources.reader import Reader, Record, Reject

STANZAS = Reader("stanzas", (".stanzas",), "1", ":read")


def read(file, source, limits):
    with file.open() as stream:
        for place, stanza in enumerate(stream.read().decode().split("\\n\\n")):
            head, _, body = stanza.partition("\\n")
            yield Record(body, head, {"lang": "en"}) if body else Reject("no_body", f"stanza {place}", len(stanza))
"""
POEMS = (
    "".join(f"poem {n}\nThe wheel of the mill turned {n * n} times, and poem {n} ends.\n\n" for n in range(30)) + "end"
)
SOURCE = '[[sources]]\nname = "poems"\npath = "{folder}/all.stanzas"\ndomain = "notes"\n{more}'


def write(write_notes, folder: Path, code: str | None = STANZAS, more: str = "", plugins=None) -> Path:
    """The recipe of the notes, and of poems that a reader of a plug-in reads."""
    (folder / "all.stanzas").write_text(POEMS)
    files = {} if code is None else {"stanzas.py": code}
    return write_notes(folder, files, SOURCE.format(folder=folder, more=more), plugins)


@pytest.fixture(scope="module")
def milled(tmp_path_factory, write_notes):
    folder = tmp_path_factory.mktemp("readers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRISTMILL_HOME", str(folder / "home"))
        yield Path(refine_directly(write(write_notes, folder))["run"])


@pytest.fixture
def copied(milled, tmp_path, monkeypatch):
    shutil.copytree(milled.parents[3], tmp_path / "copy")
    monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path / "copy" / "home"))
    return tmp_path / "copy" / milled.relative_to(milled.parents[3])


def test_files_are_known_by_name_and_read_by_the_plug_in(milled):
    with reopen_run(milled) as context:
        parts = context.run.manifest("documents").parts
        tables = [pq.read_table(context.store.folder(part) / "documents.parquet") for part in parts]
        accounts = context.run.manifest("documents").accounts
    poems = [row for table in tables for row in table.to_pylist() if row["source"] == "poems"]
    assert len(poems) == 30
    assert {row["lang"] for row in poems} == {"en"}
    assert accounts["poems"].documents_dropped == 1
    lock = read_json(milled / "lock.json")
    assert set(lock["plugins"]) == {"stanzas"}
    assert lock["inputs"]["poems"][0]["format"] == "stanzas"
    assert (milled / "plugins" / "stanzas.py").read_text() == STANZAS


def test_questions_verify_takedown_and_rebuild(copied, tmp_path, monkeypatch):
    assert [check for check in verify_run(copied)["checks"] if not check["ok"]] == []
    assert explain_document(copied, "poem 3")["source"] == "poems"
    doc_id = explain_document(copied, "poem 4")["doc_id"]
    card = tmp_path / "card"
    shutil.copytree(copied / "card", card)
    assert takedown(copied, [doc_id], date="2026-01-31")["removed"] == [doc_id]
    monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path / "fresh"))
    assert rebuild_from_card(card, check=True)["identical"]


def test_another_byte_or_version_reads_again_and_leaves_other_sources_alone(home, tmp_path, write_notes):
    recipe = write(write_notes, tmp_path)
    first = refine_directly(recipe, until="documents")
    assert first["stages"]["documents"]["computed"] == 3
    for other in (STANZAS.replace('"1"', '"2"'), STANZAS + "\n"):
        planned = plan_run(write(write_notes, tmp_path, other))
        assert planned["run"] != first["run"]
        assert (planned["stages"]["documents"]["compute"], planned["stages"]["documents"]["reuse"]) == (1, 2)
    plain = refine_directly(write_notes(tmp_path, {}), until="documents")
    assert plain["stages"]["documents"]["computed"] == 0


BROKEN = {
    "raises": (
        "yield Record(body",
        "1 / 0\n            yield Record(body",
        r"reader 'stanzas' \(.*stanzas.*:read\) raised Zero",
    ),
    "raises at the last": (
        "yield Record(body",
        'assert head != "end"\n            yield Record(body',
        r"'stanzas' .* raised AssertionError",
    ),
    "leaves": (
        "yield Record(body",
        "raise SystemExit\n            yield Record(body",
        r"'stanzas' .* raised SystemExit",
    ),
    "yields something else": ("yield Record(body, head", "yield (body, head", "yields tuple, not Record or Reject"),
    "a text that is none": ("Record(body, head", "Record(body.encode(), head", "gives a text of type bytes, not str"),
    "metadata that are others in every process": (
        '{"lang": "en"}',
        '{"lang": "en", "x": object()}',
        "gives metadata with a value of type object",
    ),
    "is no generator": ("yield Record(body", "return 3\n            yield Record(body", None),
}


@pytest.mark.parametrize(("old", "new", "told"), BROKEN.values(), ids=BROKEN)
def test_a_reader_that_breaks_its_word(home, tmp_path, write_notes, old, new, told):
    recipe = write(write_notes, tmp_path, STANZAS.replace(old, new))
    if told is None:  # a generator that ends early gives nothing, which the account shows
        result = refine_directly(recipe, until="documents")
        assert result["stages"]["documents"]["documents_out"] == 60
        return
    with pytest.raises(SourceError, match=told) as error:
        refine_directly(recipe, until="documents")
    assert str(error.value).endswith("all.stanzas")
    assert not list(home.rglob("manifests/documents.json"))
    assert len(list((home / "store" / "documents").glob("[!.]*"))) <= 2  # of the notes


READER = 'Reader("stanzas", (".stanzas",), "1", ":read")'
DECLARED = {
    "our name": (READER.replace('"stanzas"', '"csv"'), "both claim 'csv'"),
    "our suffix": (READER.replace(".stanzas", ".jsonl"), "both claim '.jsonl'"),
    "the graph": (READER.replace('"stanzas"', '"graph"'), "reader 'graph': the mill puts"),
    "two of a name": (f"{READER}\nMORE = {READER}", "both claim 'stanzas'"),
    "no function": (READER.replace(":read", ":reads"), "looking for ':reads' of reader 'stanzas': AttributeError"),
    "a file of its own": (READER.replace(":read", "other.py:read"), "'other.py:read' is a file of its own"),
    "columns": (READER[:-1] + ", fills_part=True)", "leave fills_part and split out"),
    "pieces": (READER[:-1] + ', split="a:b")', "leave fills_part and split out"),
    "no pattern": (READER[:-1] + ', names="(")', "names = '(' is no regular expression"),
    "no name": (READER.replace('"stanzas"', '"St anzas"'), "a name holds a to z"),
}


@pytest.mark.parametrize(("reader", "told"), DECLARED.values(), ids=DECLARED)
def test_a_reader_that_cannot_be_taken(home, tmp_path, write_notes, reader, told):
    recipe = write(write_notes, tmp_path, STANZAS.replace(READER, reader), 'format = "stanzas"')
    with pytest.raises(RecipeError) as error:
        refine_directly(recipe)
    assert ": 1 mistake\n  plugins.0: " in str(error.value)
    assert told in str(error.value)
    assert "'stanzas'" in str(error.value)
    assert not home.exists()


def test_two_plug_ins_that_claim_one_format(home, tmp_path, write_notes):
    (tmp_path / "more.py").write_text(STANZAS.replace('"stanzas"', '"more"'))
    recipe = write(write_notes, tmp_path, plugins=["./stanzas.py", "./more.py"])
    (tmp_path / "stanzas.py").write_text(STANZAS)
    with pytest.raises(
        RecipeError, match=r"1 mistake\n  plugins\.1: plug-in 'more': readers .* both claim '\.stanzas'"
    ):
        refine_directly(recipe)


def test_the_catalogue_lists_readers_of_a_recipe(home, tmp_path, write_notes):
    rows = {row.name: row for row in Known.of(write(write_notes, tmp_path)).readers()}
    assert (rows["stanzas"].origin, rows["stanzas"].suffixes) == ("stanzas", (".stanzas",))
    assert rows["jsonl"].origin == "gristmill"


def test_an_unknown_format_names_those_of_plug_ins(home, tmp_path, write_notes):
    with pytest.raises(RecipeError, match=r"no reader for 'stanza'; did you mean 'stanzas'"):
        refine_directly(write(write_notes, tmp_path, more='format = "stanza"'))
    with pytest.raises(RecipeError, match="no reader for 'stanzas'"):
        refine_directly(write(write_notes, tmp_path, None, 'format = "stanzas"'))
    with pytest.raises(SourceError, match=r"cannot tell the format of .*all\.stanzas"):
        refine_directly(write(write_notes, tmp_path, None))


def test_an_announced_reader_takes_part_where_its_format_is_named(home, tmp_path, write_notes, monkeypatch):
    site, name = tmp_path / "site", "gristmill_test_stanzas"
    info = site / f"{name}-2.0.dist-info"
    info.mkdir(parents=True)
    (site / f"{name}.py").write_text(STANZAS)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.0\n")
    (info / "RECORD").write_text(f"{name}.py,,\n")
    (info / "entry_points.txt").write_text(f"[gristmill.readers]\nstanzas = {name}:STANZAS\n")
    monkeypatch.syspath_prepend(str(site))
    importlib.invalidate_caches()
    try:
        with pytest.raises(SourceError, match=r"cannot tell the format of .*all\.stanzas"):
            refine_directly(write(write_notes, tmp_path, None))
        result = refine_directly(write(write_notes, tmp_path, None, 'format = "stanzas"'), until="documents")
        plugins = read_json(Path(result["run"]) / "lock.json")["plugins"]
        assert plugins == {name: {"sha256": package_digest(name), "version": "2.0"}}
        (site / f"{name}.py").write_text("1 / 0\n")
        package_digest.cache_clear()
        sys.modules.pop(name)
        with pytest.raises(RecipeError, match=r"sources\.2\.format: the installed plug-in that announces it cannot"):
            refine_directly(write(write_notes, tmp_path, None, 'format = "stanzas"'))
    finally:
        package_digest.cache_clear()
        sys.modules.pop(name, None)


def test_a_reader_and_a_stage_in_one_file(home, tmp_path, write_notes):
    stage = """
import pyarrow as pa

from gristmill.corpus.stage import Measured, PartStage, Signal

LINES = PartStage(
    name="stanza_lines", version="1", measure=":measure", table="stanza_lines.parquet",
    signals=(Signal("stanza_lines", "lines", 0, None, "lines"),),
)


def measure(batch, options, state):
    return Measured({"stanza_lines": pa.array([1.0 + text.count("\\n") for text in batch["text"].to_pylist()])})
"""
    result = refine_directly(write(write_notes, tmp_path, STANZAS + stage), until="decide")
    assert result["stages"]["stanza_lines"]["documents_out"] == 90
    assert set(read_json(Path(result["run"]) / "lock.json")["plugins"]) == {"stanzas"}
    kept = Path(result["run"]) / "plugins" / "stanzas.py"
    kept.write_text(kept.read_text() + "#")
    with pytest.raises((StageError, OSError), match="is not the plug-in that the run was made with"):
        takedown(Path(result["run"]), ["poem 1"])
