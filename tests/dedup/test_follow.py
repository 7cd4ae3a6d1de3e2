"""An index that follows a run: the clusters of the run's parts, byte for byte, whatever the runs before held."""

import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.corpus.errors import LockedError, RecipeError, SchemaError
from gristmill.corpus.files import read_json, write_json
from gristmill.corpus.writer_lock import WriterLock
from gristmill.dedup.band_index import follow
from gristmill.dedup.band_index.follow import Followed, follow_parts
from gristmill.dedup.band_index.index_folder import DamagedIndexError, IndexFolder, check
from gristmill.dedup.clusters import cluster as clusters
from gristmill.dedup.clusters.edges import _recut
from tests.dedup.test_index import corpus, text

OPTIONS = {"threshold": 0.6, "hashes": 64, "shingle_words": 5, "bands": 16, "rows": 4}


@pytest.fixture
def parts(write_documents, sign):
    """parts([{doc_id: text}, ...]) -> signatures and documents."""

    def run(rows):
        documents = write_documents([list(one.items()) for one in rows])
        return sign(documents, hashes=64), documents

    return run


@pytest.fixture
def kept_in(tmp_path):
    return {"index": tmp_path / "index", "owner": "nightly", "seed": 1, **OPTIONS}


def same_as_from_scratch(found, kept_in, step, folder: Path):
    """Cluster both ways; the index's outcome and files are those of a search from scratch."""
    for name in ("plain", "index"):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir(parents=True)
    plain = clusters.cluster_documents(*found, folder / "plain", **OPTIONS)
    ours = follow.cluster_documents(*found, folder / "index", step=step, **kept_in)
    assert ours == plain
    for name in ("clusters.parquet", "pairs.parquet"):
        assert (folder / "index" / name).read_bytes() == (folder / "plain" / name).read_bytes()
    return ours


@pytest.mark.parametrize("turn", range(8))
def test_every_night_is_a_clustering_of_all(turn, parts, kept_in, tmp_path, monkeypatch):
    """Parts come, change and go, some documents move between parts; small segments, and now and then a compaction."""
    monkeypatch.setattr(follow, "ROWS_AT_ONCE", (1, 30, 1 << 20)[turn % 3])
    monkeypatch.setattr(follow, "MAX_SEGMENTS", (2, 64)[turn % 2])
    draw, inside = random.Random(turn), []
    for night in range(5):
        inside.append(corpus(10 * turn + night, 30))
        for part in inside:
            for doc_id in draw.sample(sorted(part), min(len(part), draw.randrange(4))):
                part[doc_id] = text(draw.randrange(60)) if draw.random() < 0.5 else part[doc_id] + " more"
        if len(inside) > 1 and draw.random() < 0.5:
            moved = dict([inside[0].popitem() for _ in range(min(3, len(inside[0])))])
            inside[-1] |= moved
        if len(inside) > 2 and draw.random() < 0.4:
            inside.pop(draw.randrange(len(inside)))
        outcome = same_as_from_scratch(parts(inside), kept_in, f"night {night}", tmp_path / "out")
        assert outcome.facts["candidates"] >= outcome.facts["verified"]


def test_only_what_is_new_is_appended(parts, kept_in):
    first, second = corpus(1, 30), corpus(2, 20)
    assert follow_parts(*parts([first]), step="a", **kept_in) == Followed(30, 0)
    assert follow_parts(*parts([first, second]), step="b", **kept_in) == Followed(20, 0)
    assert follow_parts(*parts([first, second]), step="b", **kept_in) is None
    first.pop(sorted(first)[0])
    first[sorted(first)[0]] = "another text now"
    assert follow_parts(*parts([first, second]), step="c", **kept_in) == Followed(1, 2)
    assert str(Followed(1, 2, True, "why")) == "made anew: why; 1 appended, 2 removed, compacted"


def test_it_compacts_when_a_quarter_is_dead(parts, kept_in):
    rows = corpus(3, 40)
    follow_parts(*parts([rows]), step="a", **kept_in)
    for doc_id in sorted(rows)[:11]:
        rows.pop(doc_id)
    assert follow_parts(*parts([rows]), step="b", **kept_in) == Followed(0, 11, compacted=True)
    state = read_json(kept_in["index"] / "index.json")
    assert state["dead"] is None
    assert [path.name for path in kept_in["index"].glob("segment-*")] == [state["segments"][0]["name"]]


def damage_state(folder: Path):
    (folder / "index.json").write_text("{")


def damage_format(folder: Path):
    write_json(folder / "index.json", {**read_json(folder / "index.json"), "format": "1"})


def lose_a_file(folder: Path):
    next(iter(sorted(folder.glob("segment-*/keys.npy")))).unlink()


def cut_a_file(folder: Path):
    path = next(iter(sorted(folder.glob("segment-*/sets.u64"))))
    path.write_bytes(path.read_bytes()[:-8])


@pytest.mark.parametrize("harm", [damage_state, damage_format, lose_a_file, cut_a_file, shutil.rmtree])
def test_a_damaged_index_is_made_anew(harm, parts, kept_in, tmp_path):
    found = parts([corpus(4, 30), corpus(5, 30)])
    follow_parts(*found, step="a", **kept_in)
    harm(kept_in["index"])
    done = follow_parts(*found, step="a", **kept_in)
    assert (done.appended, done.removed) == (60, 0)
    assert (done.rebuilt is None) == (harm is shutil.rmtree)
    same_as_from_scratch(found, kept_in, "a", tmp_path / "out")


def test_rot_is_seen_by_its_digest(parts, kept_in):
    follow_parts(*parts([corpus(4, 30)]), step="a", **kept_in)
    path = next(iter(kept_in["index"].glob("segment-*/sets.u64")))
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    folder = IndexFolder(kept_in["index"], None)
    assert folder.damage() is None
    assert folder.damage(deep=True) == f"{path.parent.name}/sets.u64"


def test_one_message_for_another_scheme_recipe_or_folder(parts, kept_in, tmp_path):
    found = parts([corpus(6, 5)])
    follow_parts(*found, step="a", **kept_in)
    for changed, said in (
        ({"threshold": 0.7}, r"recipe says dedup\.near\.threshold = 0\.7"),
        ({"seed": 2}, "recipe says seed gives 2"),
        ({"owner": "other"}, r"dedup\.near\.index.*recipe 'nightly'.*folder of its own"),
    ):
        with pytest.raises(RecipeError, match=said):
            follow_parts(*found, step="a", **{**kept_in, **changed})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(RecipeError, match=r"holds 'thesis\.txt' and no band index"):
        follow_parts(*found, step="a", **{**kept_in, "index": tmp_path / "mine"})


def test_another_writer_is_one_message(parts, kept_in):
    found = parts([corpus(6, 5)])
    follow_parts(*found, step="a", **kept_in)
    with WriterLock(kept_in["index"]), pytest.raises(LockedError):
        follow_parts(*found, step="b", **kept_in)


def test_a_writer_that_dies_is_followed_by_one_that_carries_on(parts, kept_in, tmp_path, monkeypatch):
    found = parts([corpus(7, 20), corpus(8, 20)])
    monkeypatch.setattr(follow, "ROWS_AT_ONCE", 1)
    commits, real = [], IndexFolder.commit

    def dying(self, scratch, **changes):
        commits.append(changes)
        if len(commits) == 2:
            raise KeyboardInterrupt
        real(self, scratch, **changes)

    with monkeypatch.context() as patch:
        patch.setattr(IndexFolder, "commit", dying)
        with pytest.raises(KeyboardInterrupt):
            follow_parts(*found, step="a", **kept_in)
    assert follow_parts(*found, step="a", **kept_in).appended == 20
    same_as_from_scratch(found, kept_in, "a", tmp_path / "out")


def test_a_doc_id_that_occurs_twice_is_named(parts, kept_in):
    rows = corpus(9, 4)
    follow_parts(*parts([rows]), step="a", **kept_in)
    twin = sorted(rows)[0]
    for again in ({twin: "another text"}, {twin: rows[twin]}):
        with pytest.raises(SchemaError, match=f"{twin} occurs more than once"):
            follow_parts(*parts([rows, again]), step="b", **kept_in)


def test_no_documents_at_all(parts, kept_in, tmp_path):
    same_as_from_scratch(parts([{}]), kept_in, "a", tmp_path / "out")
    assert follow_parts([], [], step="b", **kept_in) == Followed(0, 0)


def test_a_folder_without_a_scheme_is_damaged(tmp_path):
    write_json(tmp_path / "index.json", {"segments": []})
    with pytest.raises(DamagedIndexError, match="cannot be read"):
        check(tmp_path, None)


@settings(max_examples=40)
@given(st.lists(st.integers(0, 7), max_size=8), st.integers(1, 6))
def test_recut_blocks_hold_the_same_rows(sizes, n_rows):
    rows, at = [], 0
    for size in sizes:
        block = np.arange(at, at + size)
        rows.append((block, block + 1, block / 2))
        at += size
    found = list(_recut(iter(rows), n_rows))
    assert [value for a, _, _ in found for value in a.tolist()] == list(range(at))
    assert [value for _, b, _ in found for value in b.tolist()] == list(range(1, at + 1))
    assert [len(a) for a, _, _ in found] == [n_rows] * (at // n_rows) + ([at % n_rows] if at % n_rows else [])
