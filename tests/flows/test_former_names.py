"""A file that was renamed is found by its content: it keeps its documents' ids, its part and the run."""

import shutil
from pathlib import Path

import pytest

from gristmill.corpus.errors import ChangedInputError
from gristmill.corpus.lock import LockedFile
from gristmill.corpus.rundir import RunDir
from gristmill.flows.direct import refine_directly
from gristmill.flows.pipeline import ingest, listed_inputs
from gristmill.flows.pipeline.former_names import with_former_names
from gristmill.flows.pipeline.inputs import Inputs
from gristmill.flows.pipeline.listed_inputs import DIFFERING, DIGESTS_FILE
from gristmill.flows.pipeline.rebuild import rebuild_from_card
from gristmill.flows.pipeline.recipe_reading import parse_recipe
from gristmill.sources.listing import InputFile

SOURCE = '[[sources]]\nname = "s"\npath = "data"\ndomain = "d"\n'
RECIPE = f'name = "r"\nseed = 1\n{SOURCE}'


def names(files: str, former: str, renamed: str = 'renamed = "latest"') -> list[str]:
    """``a1 b2``: a file and its content; the answer has the former name, and where it lies in brackets."""
    listed = [InputFile(one[0], 1, one[1], "text") for one in files.split()]
    known = [LockedFile(one[0], 1, one[1], "text") for one in former.split()]
    recipe = parse_recipe(RECIPE + renamed).recipe
    found = with_former_names(Inputs({"s": listed}, {}), recipe, {"s": known}).files["s"]
    return [one.path + (f"({one.place})" if one.place else "") for one in found]


@pytest.mark.parametrize(
    ("files", "former", "told"),
    [
        ("a1 b2", "a1 b2", "a b"),
        ("a1 c2", "a1 b2", "a b(c)"),  # renamed
        ("a2 b1", "a1 b2", "a b"),  # exchanged: each name is there, so each is another text
        ("c1 d1", "a1 b1", "a(c) b(d)"),  # of equal files the first gets the first
        ("a1 c1", "a1", "a c"),  # a copy
        ("b3 c2", "b2", "b c"),  # its name was taken by another
        ("y1 z2", "a2 b1", "a(z) b(y)"),  # in the order of the names that they had
        ("a1", "", "a"),
    ],
)
def test_a_name_is_kept_where_it_is_free(files, former, told):
    assert names(files, former) == told.split()


def test_a_source_that_does_not_ask_keeps_its_names():
    assert names("c2", "b2", "") == ["c"]


@pytest.fixture
def asking(tmp_path, write_notes, monkeypatch):
    """The recipe of the notes with renamed = "latest", in a folder and a home of its own."""
    monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path / "home"))
    (tmp_path / "data").mkdir()
    recipe = write_notes(tmp_path / "data", {}, "[card]\n[store]\nscrub_bytes = 0\n")
    text = (
        recipe.read_text()
        .replace("/even.jsonl", "/e*.jsonl")
        .replace('domain = "notes"', 'domain = "notes"\nrenamed = "latest"')
    )
    recipe.write_text(text)
    return recipe


@pytest.fixture
def two(asking):
    """That recipe, and its first run."""
    return asking, refine_directly(asking)


@pytest.fixture
def listed(asking):
    """The same, and a run that has read its documents and no more."""
    return asking, refine_directly(asking, until="documents")


def test_a_renamed_file_gives_the_same_run_and_is_not_read(two, tmp_path, monkeypatch):
    recipe, first = two
    (tmp_path / "data" / "even.jsonl").rename(tmp_path / "data" / "else.jsonl")
    monkeypatch.setattr(ingest, "read_job", lambda **_: pytest.fail("it was read"))
    second = refine_directly(recipe)
    assert second["run"] == first["run"]
    assert second["verified"]
    assert all(stage["computed"] == 0 for stage in second["stages"].values())
    files = RunDir(Path(second["run"])).lock.inputs["even"]
    assert [Path(file.path).name for file in files] == ["even.jsonl"]


def test_a_store_that_is_gone_is_filled_from_where_the_file_lies_and_a_card_gives_the_same(two, tmp_path, monkeypatch):
    recipe, first = two
    (tmp_path / "data" / "even.jsonl").rename(tmp_path / "data" / "else.jsonl")
    shutil.rmtree(tmp_path / "home" / "store")
    second = refine_directly(recipe)
    assert (second["run"], second["verified"]) == (first["run"], True)
    assert second["stages"]["documents"]["computed"] == 2
    monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path / "elsewhere"))
    assert rebuild_from_card(Path(first["run"]) / "card", check=True)["identical"]


def test_new_text_beside_a_renamed_file_makes_one_new_part(two, tmp_path):
    recipe, first = two
    data = tmp_path / "data"
    (data / "even.jsonl").rename(data / "else.jsonl")
    (data / "odd.jsonl").write_text((data / "odd.jsonl").read_text() + '{"text": "one more note of the mill"}\n')
    second = refine_directly(recipe, until="documents")
    assert second["run"] != first["run"]
    assert (second["stages"]["documents"]["computed"], second["stages"]["documents"]["reused"]) == (1, 1)


def test_a_digest_that_was_wrong_stops_the_run_and_is_not_believed_again(listed, tmp_path, monkeypatch):
    """Planted: a cache that knows other bytes, under size and times of the file as it is."""
    recipe, first = listed
    file = tmp_path / "home" / DIGESTS_FILE

    class Wrong(listed_inputs.DigestCache):
        def content(self, path):
            found = super().content(path)
            return type(found)(found.size, "0" * 32) if self._path.exists() else found

    monkeypatch.setattr(listed_inputs, "DigestCache", Wrong)
    assert file.exists()
    with pytest.raises(ChangedInputError, match=r"jsonl changed after it was listed"):
        refine_directly(recipe, until="documents")
    assert not file.exists()
    assert refine_directly(recipe, until="documents")["run"] == first["run"]


def test_bytes_that_changed_under_their_old_times_are_reported(listed, monkeypatch):
    recipe, _ = listed
    real = listed_inputs.DigestCache.content

    def content(self, path):
        found = real(self, path)
        self.differing[:] = [str(path)]
        return found

    monkeypatch.setattr(listed_inputs.DigestCache, "content", content)
    healed = refine_directly(recipe, until="documents")["healed"]
    assert [one["found"] for one in healed] == [DIFFERING]
    text = recipe.read_text().replace("[store]\n", "[store]\ntrust_mtime = false\n")
    recipe.write_text(text)
    assert refine_directly(recipe, until="documents")["healed"] == []
