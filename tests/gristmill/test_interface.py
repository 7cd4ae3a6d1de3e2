"""The Python interface: a recipe is run, a run is opened, and its tables are what lies in the store."""

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gristmill
from gristmill.corpus import errors
from gristmill.corpus._rooms import HOUSE
from gristmill.corpus.files import read_json, write_json
from gristmill.corpus.writer_lock import WriterLock
from gristmill.flows.pipeline.open_context import reopen_run
from gristmill.recipe_text import to_toml

HEAVY = {"torch", "prefect", "dask", "numba", "polars", "pyarrow", "pydantic", "datasets", "matplotlib"}
TEXTS = {
    "zh": ["今天天气很好，我们去公园散步，然后回家吃饭。", "电话和邮箱 zhang.wei@example.com 请与我联系。", "短"],
    "empty": [],
    "one": ["Just one document, a short one."],
}


def write_sources(folder: Path) -> dict:
    """Three files of one's own, and a recipe for them."""
    for name, texts in TEXTS.items():
        lines = (json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts)
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    sources = [{"name": name, "path": folder / f"{name}.jsonl", "domain": name} for name in TEXTS]
    decide = {"rules": {"chars": {"at_least": 5}}}
    return {"name": "mine", "seed": 1, "sources": sources, "pii": {"email": "mask"}, "decide": decide}


@pytest.fixture
def recipe(tmp_path, home) -> dict:
    """The recipe of a user with files of their own."""
    return write_sources(tmp_path)


@pytest.fixture(scope="module")
def opened(small_run) -> gristmill.Run:
    return gristmill.open(small_run)


def run_python(code: str, **options) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_package_alone_brings_no_library():
    code = f"import sys, gristmill; dir(gristmill); gristmill.errors; print({HEAVY} & set(sys.modules))"
    assert run_python(code, cwd=HOUSE) == "set()\n"


def test_names_of_the_interface():
    assert {"run", "open", "Run", "PartTable", "errors"} <= set(dir(gristmill))
    assert gristmill.errors is errors
    with pytest.raises(AttributeError, match="no attribute 'runs'"):
        gristmill.runs  # noqa: B018


def test_a_path_a_text_and_a_dict_are_the_same_recipe(recipe, tmp_path):
    (tmp_path / "mine.toml").write_text(to_toml(recipe), encoding="utf-8")
    given = [recipe, to_toml(recipe), tmp_path / "mine.toml", str(tmp_path / "mine.toml")]
    assert len({gristmill.run(one, until="documents", progress=False).path for one in given}) == 1


def test_a_cell_with_a_running_event_loop_runs_a_recipe_without_prefect(tmp_path):
    write_sources(tmp_path)
    code = (
        "import asyncio, sys, gristmill\n"
        "sources = [{'name': 'one', 'path': 'one.jsonl', 'domain': 'one'}]\n"
        "async def cell():\n"
        "    run = gristmill.run({'name': 'a', 'seed': 1, 'sources': sources}, until='documents')\n"
        "    await asyncio.sleep(0)\n"
        "    return len(gristmill.open(run.path).documents())\n"
        "print(asyncio.run(cell()), {'prefect', 'torch'} & set(sys.modules))\n"
    )
    assert run_python(code, cwd=tmp_path, env={"PATH": "", "PYTHONPATH": str(HOUSE), "HOME": str(Path.home())}) == (
        "1 set()\n"
    )


def test_own_files_from_an_empty_one_to_masked_chinese(recipe):
    async def cell() -> gristmill.Run:  # a kernel calls a cell from its running loop
        return gristmill.run(recipe, until="edits", workers=1, progress=False)

    run = asyncio.run(cell())
    assert run.text(kept=True).to_polars()["text"].to_list() == [
        TEXTS["zh"][0],
        "电话和邮箱 <EMAIL> 请与我联系。",
        *TEXTS["one"],
    ]
    assert run.documents("text").to_polars()["text"].to_list() == [*TEXTS["zh"], *TEXTS["one"]]
    assert run.text(kept=False).to_polars()["text"].to_list() == ["短"]
    assert repr(run).startswith(f"Run mine/{run.id}: 4 documents, 3 kept; stages: documents, signals")
    assert run.summary()["sources"]["zh"]["dropped"] == 1


def test_a_run_of_nothing_has_empty_tables(recipe):
    run = gristmill.run({**recipe, "sources": recipe["sources"][1:2]}, until="decide", progress=False)
    for table in (run.documents(), run.signals("words"), run.text(), run.text(ids=[]), run.ledger(), run.rejects()):
        assert len(table) == table.to_arrow().num_rows == table.scan().collect().height == 0
        assert table.to_arrow().schema.names == list(table.columns)


def test_summary_is_what_the_run_said(recipe):
    from gristmill.flows.direct import refine_checked
    from gristmill.recipe_text import checked_recipe

    said = refine_checked(checked_recipe(recipe), "decide")
    assert gristmill.open(said["run"]).summary() == said


def test_mistakes_are_told_before_anything_is_written(recipe, home):
    with pytest.raises(errors.RecipeError) as caught:
        gristmill.run({**recipe, "sead": 1, "decide": {"profils": []}})
    assert str(caught.value).splitlines()[1:] == [
        "  sead: unknown key; did you mean 'seed'?",
        "  decide.profils: unknown key; did you mean 'profiles'?",
    ]
    with pytest.raises(errors.UnknownNameError, match="did you mean 'train'"):
        gristmill.run(recipe, until="trainn")
    with pytest.raises(errors.RecipeError, match=r"seed: a recipe holds no NoneType .*leave the key out"):
        gristmill.run({**recipe, "seed": None})
    with pytest.raises(errors.RecipeError, match="a path, TOML text or a dict, not int"):
        gristmill.run(3)  # type: ignore[arg-type]
    with pytest.raises(errors.RecipeError, match="workers: -1 is no whole number from 0"):
        gristmill.run(recipe, workers=-1)
    assert not home.exists()


def test_a_run_has_names(opened, small_home, monkeypatch):
    monkeypatch.setenv("GRISTMILL_HOME", str(small_home))
    for name in (str(opened.path), f"small/{opened.id}", f"small/{opened.id[:4]}", opened.id[:5]):
        assert gristmill.open(name).path == opened.path
    with pytest.raises(errors.UnknownNameError, match=f"did you mean 'small/{opened.id}'"):
        gristmill.open(f"smal/{opened.id}")
    assert gristmill.open(Path(opened.path)).path == opened.path
    monkeypatch.setenv("HOME", str(opened.path.parent))
    assert gristmill.open(f"~/{opened.id}").path == opened.path
    with pytest.raises(errors.UnknownNameError):  # too short
        gristmill.open(opened.id[:3])
    with pytest.raises(errors.StoreError, match=r"no lock\.json"):
        gristmill.open(opened.path.parent)


def test_a_name_of_two_runs_is_refused(tmp_path, home):
    for name in ("abcd1111", "abcd2222"):
        (home / "runs" / "a" / name).mkdir(parents=True)
        (home / "runs" / "a" / name / "lock.json").write_text("{}")
    with pytest.raises(errors.AmbiguousNameError, match="abcd1111"):
        gristmill.open("abcd")
    assert gristmill.open("abcd2").name == "a"


def files_of(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_questions_take_no_lock_and_write_nothing(opened, small_home):
    document = opened.ledger("doc_id").head(1)["doc_id"][0]
    with WriterLock(opened.path):
        before = files_of(small_home)
        assert gristmill.open(opened.path).signals("words").to_arrow().num_rows == len(opened.documents())
        assert opened.explain(document)["doc_id"] == document
        assert opened.whatif(words={"at_least": 80})["flipped"]["counts"]["to_dropped"] > 0
        assert opened.summary()["run"] == str(opened.path)
        assert files_of(small_home) == before
        with pytest.raises(errors.LockedError), reopen_run(opened.path):
            pass
        with pytest.raises(errors.LockedError):
            opened.verify()
    assert opened.verify()["ok"]


def test_whatif_takes_settings_as_the_command_line_does(opened):
    from gristmill.flows.inspect.whatif import whatif_run

    due = whatif_run(opened.path, ["words.at_least=80", "decide.domains.web.profiles=length,c4"])
    settings = {"domains": {"web": {"profiles": ["length", "c4"]}}}
    assert opened.whatif(settings, words={"at_least": 80}) == due
    assert opened.whatif({"words.at_least": 80, "decide.domains.web.profiles": ("length", "c4")}) == due
    for nothing in ({}, {"diff": ("c4", "length"), "words": {"off": True}}, {"diff": ("c4",)}):
        with pytest.raises(errors.RecipeError, match="give settings"):
            opened.whatif(**nothing)


def test_a_run_as_a_notebook_shows_it(opened):
    shown = opened._repr_html_()
    for text in ("<b>small</b>", opened.id, "<td>forum</td>", "card"):
        assert text in shown
    assert opened.recipe.name == "small"
    assert "PartTable documents: " in repr(opened.documents())
    assert "<td>words</td><td>double</td><td>words</td>" in opened.signals("words")._repr_html_()


def test_what_a_run_does_not_have_yet_is_named(recipe):
    run = gristmill.run(recipe, until="documents", progress=False)
    for ask in (run.ledger, run.signals, run.kept, lambda: run.text(kept=True)):
        with pytest.raises(errors.StoreError, match=r"has no (decide|signals) yet"):
            ask()
    assert run.text().to_arrow()["kept"].null_count == 4
    assert "4 documents, not decided" in repr(run)


def test_a_file_that_is_gone_is_named(recipe):
    run = gristmill.run(recipe, until="documents", progress=False)
    table = run.documents()
    table.paths[0].unlink()
    for read in (table.to_arrow, table.scan, run.documents):
        with pytest.raises(errors.DamagedEntryError, match=r"documents\.parquet is missing; run the recipe again"):
            read()


def test_files_are_the_store_s(opened):
    assert all(pq.read_schema(path).names for path in opened.documents().paths)
    assert sum(pq.read_metadata(path).num_rows for path in opened.documents().paths) == len(opened.documents())
    assert isinstance(opened.documents(), gristmill.PartTable)
    assert pa.table(opened.kept()).num_rows == len(opened.kept())


def test_a_run_of_the_first_version_is_explained_and_says_how_to_read_its_tables(opened, small_home, tmp_path):
    old = tmp_path / "home" / "runs" / "small" / opened.id
    shutil.copytree(opened.path, old)
    (tmp_path / "home" / "store").symlink_to(small_home / "store")
    lock = read_json(old / "lock.json")
    inputs = {"files": lock["inputs"], "graph": None, "language_model": None}
    versions = {"stages": lock["stages"], "libraries": {}}
    write_json(old / "lock.json", {"recipe": lock["recipe"], "format": 1, "inputs": inputs, "versions": versions})
    (old / "stages.json").unlink()
    run = gristmill.open(old)
    assert repr(run) == repr(opened)
    document = opened.ledger("doc_id").head(1)["doc_id"][0]
    assert run.explain(document)["doc_id"] == document
    with pytest.raises(errors.StoreError, match=r"made by gristmill 0\.1\.0.*`gristmill run .*recipe\.toml`"):
        run.documents()
