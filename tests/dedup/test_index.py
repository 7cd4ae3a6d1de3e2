"""The band index: whatever the order of snapshots and removals, it says what a search from scratch says."""

import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.corpus.errors import BudgetError, LockedError, RecipeError, SchemaError, UnknownNameError
from gristmill.corpus.files import read_json, write_json
from gristmill.corpus.schema import CLUSTERS
from gristmill.corpus.writer_lock import WriterLock
from gristmill.dedup.band_index import _kernels_index, segments
from gristmill.dedup.band_index.index import AFFECTED, PAIRS, BandIndex
from gristmill.dedup.band_index.segments import Sets

SCHEME = {"bands": 16, "rows": 4, "shingle_words": 5, "hashes": 64, "seed": 1, "threshold": 0.6}
WORDS = [f"w{i}" for i in range(60)]


def text(*edits: int) -> str:
    return " ".join("x" if i in edits else word for i, word in enumerate(WORDS))


def corpus(seed: int, n: int) -> dict[str, str]:
    """Families of near copies, exact copies, texts without a word, and texts in another case."""
    draw = random.Random(seed)
    texts = {}
    for i in range(n):
        base = [f"f{draw.randrange(6)}v{w}" for w in range(50)]
        for _ in range(draw.randrange(5)):
            base[draw.randrange(50)] = draw.choice(["x", "y", "é", "É", "ß", "SS"])
        kind = draw.random()
        texts[f"{draw.randrange(16**8):08x}{i:024x}"] = "" if kind < 0.03 else "!?" if kind < 0.06 else " ".join(base)
    return texts


@pytest.fixture
def part(write_documents, sign):
    """part({doc_id: text}) -> signatures and documents of one part."""

    def run(rows, **options):
        documents = write_documents([list(rows.items())])
        return sign(documents, **({"hashes": 64} | options))[0], documents[0]

    return run


@pytest.fixture
def index(tmp_path):
    return BandIndex.open(tmp_path / "index", **SCHEME)


def table_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return sink.getvalue().to_pybytes()


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of every file; segments are called by their turn, not by their number."""
    found = sorted(folder.glob("segment-*"))
    return {f"{i}/{path.name}": path.read_bytes() for i, one in enumerate(found) for path in sorted(one.iterdir())}


def from_scratch(cluster, rows, **options) -> pa.Table:
    """What ``cluster_documents`` says of the same documents, by doc_id."""
    chosen = {name: SCHEME[name] for name in ("bands", "rows", "hashes", "threshold")}
    found = cluster([list(rows.items())], **chosen, **options)
    return pq.read_table(found.folder / "clusters.parquet").sort_by("doc_id").cast(CLUSTERS)


# ------------------------------------------------------------------------------------------------ incremental = rebuild


@pytest.mark.parametrize("turn", range(20))
def test_any_order_of_snapshots_and_removals_is_a_rebuild(turn, part, cluster, tmp_path):
    """Five snapshots in a random order, removals in between, some documents coming back, some compactions."""
    draw = random.Random(turn)
    reading = ("raw", "casefold")[turn % 2]
    snapshots = [corpus(seed, 40) for seed in range(5)]
    draw.shuffle(snapshots)
    index, inside = BandIndex.open(tmp_path / "index", **SCHEME), {}
    for number, snapshot in enumerate(snapshots):
        index.append(*part(snapshot, exact=reading), snapshot=f"s{number}")
        inside |= snapshot
        gone = draw.sample(sorted(inside), draw.randrange(25))
        index.remove(gone)
        back = {doc_id: inside.pop(doc_id) for doc_id in gone}
        if draw.random() < 0.4:
            index.compact()
        if draw.random() < 0.5:
            again = dict(list(back.items())[:5])
            index.append(*part(again, exact=reading), snapshot=f"again {number}")
            inside |= again
    assert table_bytes(index.clusters()) == table_bytes(from_scratch(cluster, inside, exact=reading))
    whole = BandIndex.open(tmp_path / "whole", **SCHEME)
    whole.append(*part(inside, exact=reading), snapshot="all")
    assert table_bytes(whole.clusters()) == table_bytes(index.clusters())
    index.compact()
    assert contents(index.folder) == contents(whole.folder)
    assert table_bytes(whole.clusters()) == table_bytes(index.clusters())


@settings(max_examples=15)
@given(st.lists(st.sampled_from([text(), text(3), text(3, 50), text().upper(), "", "one", "漢字" * 9]), max_size=12))
def test_one_document_at_a_time_is_all_at_once(write_documents, sign, cluster, tmp_path_factory, texts):
    index = BandIndex.open(tmp_path_factory.mktemp("index"), **SCHEME)
    rows = {f"{i:032x}": text for i, text in enumerate(texts)}
    for doc_id, one in rows.items():
        documents = write_documents([[(doc_id, one)]])
        assert index.append(sign(documents, hashes=64)[0], documents[0], doc_id) == 1
    assert table_bytes(index.clusters()) == table_bytes(from_scratch(cluster, rows))
    assert index.snapshots() == list(rows)


def test_an_empty_index_can_forget_and_compact(index):
    assert index.forget(["nobody"]) == 0
    index.compact()
    assert index.clusters() == CLUSTERS.empty_table()


def test_forget_takes_out_those_that_are_in(part, index):
    index.append(*part({"a" * 32: text(), "b" * 32: text(3)}), "one")
    assert index.forget(["a" * 32, "nobody"]) == 1
    assert index.clusters()["doc_id"].to_pylist() == ["b" * 32]
    assert len(index.variants()) == 1


def test_copies_are_compared_once(part, index):
    """A thousand copies of one text are one variant: no pair of copies is ever verified."""
    index.append(*part({f"{i:032x}": text() for i in range(1000)}), "copies")
    (segment,) = index.segments()
    assert segment.n_variants == 1
    assert segment.edges.num_rows == 0
    assert set(index.clusters()["size"].to_pylist()) == {1000}


# ------------------------------------------------------------------------------------------------ removal


def test_a_removed_root_is_followed_by_the_next_smallest(part, index):
    index.append(*part({"a": text(), "b": text(3), "c": text(50), "z": "alone in the world"}), "one")
    affected = index.remove(["a"])
    assert affected.schema == AFFECTED
    assert affected.to_pylist() == [
        {"doc_id": "b", "before": "a", "cluster": "b", "size": 2},
        {"doc_id": "c", "before": "a", "cluster": "b", "size": 2},
    ]


def test_a_removed_bridge_parts_its_cluster(part, index):
    index.append(*part({"a": text(0, 10), "b": text(10, 30), "c": text(30, 50)}), "one")
    assert index.clusters()["cluster"].to_pylist() == ["a", "a", "a"]
    affected = index.remove(["b"]).to_pylist()
    assert [(row["before"], row["cluster"], row["size"]) for row in affected] == [("a", "a", 1), ("a", "c", 1)]


def test_what_is_removed_can_come_back(part, index):
    index.append(*part({"a": text(), "b": text(3)}), "one")
    before = index.clusters()
    index.remove(["a"])
    index.append(*part({"a": text()}), "two")
    assert index.clusters() == before


def test_compact_takes_the_removed_from_the_disk(part, index):
    index.append(*part({"a" * 32: text(), "b" * 32: text(3)}), "one")
    index.append(*part({"c" * 32: "something else entirely that nobody else says"}), "two")
    index.remove(["a" * 32])
    index.compact()
    data = contents(index.folder)
    assert not any(b"a" * 32 in content for content in data.values())
    (segment,) = index.segments()
    assert segment.n_variants == 2
    assert not list(index.folder.glob("dead-*"))
    assert index.snapshots() == ["one", "two"]


def test_an_emptied_index_can_be_compacted_and_filled_again(part, index):
    index.append(*part({"a": text()}), "one")
    index.remove(["a"])
    index.compact()
    assert index.clusters() == CLUSTERS.empty_table()
    index.append(*part({"b": text()}), "two")
    assert index.clusters()["doc_id"].to_pylist() == ["b"]


def test_removing_what_is_not_there(part, index):
    index.append(*part({"a": text()}), "one")
    with pytest.raises(UnknownNameError, match=r"1 not in the index.*'zz'"):
        index.remove(["a", "zz"])
    assert index.clusters().num_rows == 1


# ------------------------------------------------------------------------------------------------ query


def test_a_query_finds_copies_and_near_copies_and_changes_nothing(part, index):
    index.append(*part({"a": text(), "b": text(), "c": text(3)}), "one")
    before = contents(index.folder)
    pairs = index.query(*part({"q": text(), "r": text(3, 4), "s": "nothing like it at all in here"}))
    assert pairs.schema == PAIRS
    rows = [(row["doc_id"], row["other"], row["kind"], round(row["jaccard"], 3)) for row in pairs.to_pylist()]
    assert rows == naive_pairs({"q": text(), "r": text(3, 4)}, {"a": text(), "c": text(3)})
    assert contents(index.folder) == before


def shingles(words: str) -> set[tuple[str, ...]]:
    split = words.split()
    return {tuple(split[i : i + 5]) for i in range(len(split) - 4)}


def naive_pairs(asked, stored):
    found = []
    for doc_id, one in asked.items():
        for other, two in stored.items():
            a, b = shingles(one), shingles(two)
            jaccard = len(a & b) / len(a | b)
            if jaccard >= SCHEME["threshold"]:
                found.append((doc_id, other, "exact" if one == two else "near", round(jaccard, 3)))
    return found


def test_a_query_does_not_find_the_removed(part, index):
    index.append(*part({"a": text(), "b": text(3)}), "one")
    index.remove(["a"])
    assert {row["other"] for row in index.query(*part({"q": text()})).to_pylist()} == {"b"}


def test_a_query_of_an_empty_index(part, index):
    assert index.query(*part({"q": text()})) == PAIRS.empty_table()


# ------------------------------------------------------------------------------------------------ commits


def test_a_writer_that_dies_leaves_the_index_as_it_was(part, index, monkeypatch):
    index.append(*part({"a": text(), "b": text(3)}), "one")
    before, clusters = contents(index.folder), table_bytes(index.clusters())
    monkeypatch.setattr(
        "gristmill.dedup.band_index.index_folder.write_json", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    for action in (lambda: index.append(*part({"c": text(4)}), "two"), lambda: index.remove(["a"]), index.compact):
        with pytest.raises(KeyboardInterrupt):
            action()
        assert table_bytes(index.clusters()) == clusters
    monkeypatch.undo()
    index.append(*part({}), "nothing")
    assert {name: data for name, data in contents(index.folder).items() if name.startswith("0/")} == before
    assert index.append(*part({"c": text(4)}), "two") == 1


def test_one_writer_at_a_time(part, index):
    with WriterLock(index.folder), pytest.raises(LockedError):
        index.append(*part({"a": text()}), "one")


def test_an_index_keeps_its_scheme(index):
    with pytest.raises(RecipeError, match=r"threshold = 0.6.*dedup\.near\.threshold = 0\.7"):
        BandIndex.open(index.folder, **{**SCHEME, "threshold": 0.7})
    assert BandIndex.open(index.folder, **{**SCHEME, "seed": 1 + 2**32}).scheme == index.scheme


@pytest.mark.parametrize("options", [{"seed": 2}, {"hashes": 32}, {"shingle_words": 3}])
def test_signatures_of_another_family_are_refused(part, index, options):
    with pytest.raises(SchemaError, match=next(iter(options))):
        index.append(*part({"a": text()}, **options), "one")


def test_a_document_is_in_once(part, index):
    index.append(*part({"a": text()}), "one")
    with pytest.raises(SchemaError, match=r"doc_id a .* in the index already"):
        index.append(*part({"a": text(3), "b": text()}), "two")
    assert index.snapshots() == ["one"]


def test_too_many_pairs_stop_the_search(part, index, monkeypatch):
    monkeypatch.setattr(segments, "MAX_PAIRS", 3)
    with pytest.raises(BudgetError, match=r"dedup\.near\.rows"):
        index.append(*part({f"{i}": text(i) for i in range(9)}), "one")
    assert read_json(index.folder / "index.json")["segments"] == []


def test_the_cut_into_blocks_changes_nothing(part, index, tmp_path, monkeypatch):
    rows = corpus(9, 60)
    index.append(*part(rows), "one")
    for name in ("QUERIES_AT_ONCE", "PAIRS_AT_ONCE", "RUNS_AT_ONCE"):
        monkeypatch.setattr(segments, name, 2)
    other = BandIndex.open(tmp_path / "other", **SCHEME)
    other.append(*part(rows), snapshot="one")
    assert contents(other.folder) == contents(index.folder)


# ------------------------------------------------------------------------------------------------ kernels


def as_sets(sets: list[set[int]]) -> Sets:
    sizes = np.array([len(one) for one in sets], np.int64)
    values = np.array([value for one in sets for value in sorted(one)], np.uint64)
    values.flags.writeable = False
    return Sets(np.cumsum(sizes) - sizes, sizes, values)


small_sets = st.lists(st.sets(st.integers(0, 12)), min_size=1, max_size=6)


@given(small_sets, small_sets, st.sampled_from([0.0, 0.5, 0.8]))
def test_jaccard_across_two_collections(left, right, at_least):
    pairs = [(a, b) for a in range(len(left)) for b in range(len(right))]
    a, b = np.array(pairs, np.int64).T
    out = np.empty(len(pairs))
    _kernels_index.jaccard_across(*as_sets(left), np.ascontiguousarray(a), *as_sets(right), b.copy(), at_least, out)
    for found, (x, y) in zip(out, pairs, strict=True):
        union = left[x] | right[y]
        expected = len(left[x] & right[y]) / len(union) if union else 0.0
        assert found == expected or (found == 0 and expected < at_least)


@given(small_sets, st.lists(st.integers(0, 5), max_size=9))
def test_runs_are_gathered_in_order(sets, order):
    order = [i % len(sets) for i in order]
    out = np.empty(sum(len(sets[i]) for i in order), np.uint64)
    _kernels_index.gather_runs(*as_sets(sets), np.array(order, np.int64), out)
    assert out.tolist() == [value for i in order for value in sorted(sets[i])]


@given(small_sets)
def test_digests_are_equal_for_equal_sets_only(sets):
    out = np.empty(len(sets), np.uint64)
    _kernels_index.set_digests(*as_sets(sets), out)
    assert len(set(out.tolist())) == len({frozenset(one) for one in sets})


bands = st.lists(st.lists(st.integers(0, 3), min_size=5, max_size=5), min_size=1, max_size=3)


@given(bands, st.integers(1, 20))
def test_matches_are_the_pairs_that_share_a_key_in_a_band(keys, spare):
    """Five members asked for themselves; the buffers hold one query's places and a little more."""
    table = np.array(keys, np.uint64)
    order = np.argsort(table, axis=1, kind="stable")
    ordered, members = np.take_along_axis(table, order, axis=1), order.astype(np.int32)
    members.flags.writeable = False
    lows, highs = segments._places(ordered, table, "left"), segments._places(ordered, table, "right")
    room = int((highs - lows).sum(axis=0).max()) + spare
    queries, found, met = np.empty(room, np.int64), np.empty(room, np.int64), np.full(5, -1, np.int32)
    pairs, at = [], 0
    while at < 5:
        n, at = _kernels_index.fill_matches(lows, highs, members, at, met, queries, found)
        pairs += zip(queries[:n].tolist(), found[:n].tolist(), strict=True)
    expected = {(q, m) for q in range(5) for m in range(5) if any(band[q] == band[m] for band in keys)}
    assert sorted(pairs) == sorted(expected)


def test_a_damaged_state_is_not_written_over(index):
    """index.json is the index: a folder without it is a new one, with it an old one."""
    state = read_json(index.folder / "index.json")
    write_json(index.folder / "index.json", {**state, "scheme": {**state["scheme"], "bands": 3}})
    with pytest.raises(RecipeError, match="bands = 3"):
        BandIndex.open(index.folder, **SCHEME)
