"""Clusters: laws that hold whatever the documents, and what each row says."""

import itertools

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.corpus.account import Account
from gristmill.corpus.errors import RecipeError, SchemaError
from gristmill.corpus.schema import CLUSTERS
from gristmill.dedup.clusters.cluster import cluster_documents
from gristmill.dedup.clusters.edges import PAIRS

WORDS = [f"w{i}" for i in range(60)]
LOOSE = {"threshold": 0.5, "hashes": 64, "bands": 32, "rows": 2}  # finds every pair at 0.5 with 1 - 10^-4


def text(*edits, words=WORDS):
    return " ".join("x" if i in edits else word for i, word in enumerate(words))


families = st.sampled_from(
    [text(), text(30), text(30, 31), text(5, 30), text().upper(), "short one", "", "!?", "中文" * 9]
)
corpora = st.dictionaries(st.text("0123456789abcdef", min_size=3, max_size=3), families, max_size=14)


def in_parts(rows, cuts):
    bounds = [0, *sorted(cut % (len(rows) + 1) for cut in cuts), len(rows)]
    return [rows[a:b] for a, b in itertools.pairwise(bounds)]


def naive_groups(corpus, threshold, width=5):
    """Connected components by comparing all pairs."""

    def shingles(text):
        words = "".join(
            c if c.isalnum() else " " for c in text.lower().replace("中", " 中 ").replace("文", " 文 ")
        ).split()
        return {tuple(words[i : i + width]) for i in range(max(len(words) - width + 1, 1))} if words else set()

    group = {doc_id: doc_id for doc_id in corpus}
    for a in sorted(corpus):
        for b in sorted(corpus):
            x, y = shingles(corpus[a]), shingles(corpus[b])
            if corpus[a] == corpus[b] or (x and y and len(x & y) / len(x | y) >= threshold):
                low, high = sorted((group[a], group[b]))
                group = {doc_id: low if g == high else g for doc_id, g in group.items()}
    return group


# ---------------------------------------------------------------------------------------- laws


@settings(max_examples=25)
@given(corpora, st.lists(st.integers(0, 20), max_size=3))
def test_clusters_are_the_components_of_the_naive_graph(cluster, corpus, cuts):
    found = cluster(in_parts(list(corpus.items()), cuts), **LOOSE)
    assert {row["doc_id"]: row["cluster"] for row in found.rows} == naive_groups(corpus, 0.5)


@settings(max_examples=20)
@given(corpora, st.lists(st.integers(0, 20), max_size=3), st.randoms())
def test_order_and_partition_change_nothing_but_the_order(cluster, corpus, cuts, random):
    rows = list(corpus.items())
    one = cluster([rows], **LOOSE)
    random.shuffle(rows)
    other = cluster(in_parts(rows, cuts), **LOOSE)
    assert [row["doc_id"] for row in other.rows] == [doc_id for doc_id, _ in rows]
    assert one.by_id == other.by_id
    assert one.pairs == other.pairs
    assert one.facts == other.facts
    assert (one.folder / "pairs.parquet").read_bytes() == (other.folder / "pairs.parquet").read_bytes()


@settings(max_examples=20)
@given(corpora)
def test_every_document_has_one_row_and_its_clusters_size(cluster, corpus):
    found = cluster([list(corpus.items())], **LOOSE)
    assert sorted(row["doc_id"] for row in found.rows) == sorted(corpus)
    assert found.outcome.rows == len(corpus)
    for members in found.groups:
        for doc_id in members:
            row = found.by_id[doc_id]
            assert row["cluster"] == min(members)
            assert row["size"] == len(members)
    assert found.facts["clusters"] == len(found.groups)
    assert sum(n for _, _, n in found.facts["sizes"]) == len(found.groups)
    assert found.facts["largest_cluster"] == max(map(len, found.groups), default=0)


@settings(max_examples=20)
@given(corpora)
def test_kind_and_jaccard_say_what_they_promise(cluster, corpus):
    found = cluster([list(corpus.items())], **LOOSE)
    best = {}
    for pair in found.pairs:
        assert pair["a"] < pair["b"]
        assert pair["jaccard"] >= 0.5
        for side in (pair["a"], pair["b"]):
            best[corpus[side]] = max(best.get(corpus[side], 0), pair["jaccard"])
    for doc_id, row in found.by_id.items():
        copies = sum(corpus[other] == corpus[doc_id] for other in corpus)
        assert row["kind"] == ("exact" if copies > 1 or row["size"] == 1 else "near")
        assert row["jaccard"] == pytest.approx(1.0 if row["kind"] == "exact" else best[corpus[doc_id]])


@settings(max_examples=10)
@given(corpora)
def test_both_engines_write_the_same_bytes(cluster, corpus):
    ours, theirs = (cluster([list(corpus.items())], engine=engine, **LOOSE) for engine in ("bands", "datasketch"))
    for name in ("clusters.parquet", "pairs.parquet"):
        assert (ours.folder / name).read_bytes() == (theirs.folder / name).read_bytes()


# ---------------------------------------------------------------------------------------- cases


def test_a_chain_is_one_cluster_and_is_counted(cluster):
    """Windows of 60 words, 6 words apart: neighbours have 50 of 62 shingles, the ends only 32 of 80."""
    words = [f"w{i}" for i in range(100)]
    windows = [(str(i), " ".join(words[6 * i : 6 * i + 60])) for i in range(5)]
    found = cluster([windows], **{**LOOSE, "threshold": 0.7})
    assert found.groups == {frozenset("01234")}
    assert [pair["a"] + pair["b"] for pair in found.pairs] == ["01", "12", "23", "34"]
    assert [pair["jaccard"] for pair in found.pairs] == [50 / 62] * 4
    assert found.facts["chained"] == 3  # all but the neighbour of the smallest
    assert found.facts["bridges"] == 2  # the two middle edges; the loss of an outer one leaves a single text
    assert found.facts["largest"] == [{"cluster": "0", "size": 5, "lowest_to_root": 0.4}]


def test_collisions_that_are_not_verified_join_nothing(cluster):
    """Half the words shared: LSH proposes the pair, verification refuses it."""
    found = cluster([[("a", text()), ("b", text(*range(30)))]], **{**LOOSE, "threshold": 0.6, "bands": 64, "rows": 1})
    assert found.facts["candidates"] == 1
    assert (found.facts["verified"], found.facts["unverified_share"]) == (0, 1.0)
    assert found.groups == {frozenset("a"), frozenset("b")}
    assert found.pairs == []


def test_all_identical_documents_need_no_candidate(cluster):
    found = cluster([[(f"{i:03}", text()) for i in range(start, 300, 3)] for start in range(3)])
    assert {(row["cluster"], row["size"], row["kind"], row["jaccard"]) for row in found.rows} == {
        ("000", 300, "exact", 1.0)
    }
    assert (found.facts["candidates"], found.facts["texts"], found.facts["exact_copies"]) == (0, 1, 299)


def test_identical_words_but_not_bytes_are_near_with_jaccard_one(cluster):
    found = cluster([[("a", text()), ("b", text().upper() + "!")]])
    assert [(row["kind"], row["jaccard"]) for row in found.rows] == [("near", 1.0), ("near", 1.0)]


def test_copies_follow_the_document_that_stands_for_them(cluster):
    found = cluster([[("d", text()), ("c", text(30)), ("b", text()), ("a", text(30)), ("e", "alone")]], **LOOSE)
    assert found.groups == {frozenset("abcd"), frozenset("e")}
    assert [pair["a"] + pair["b"] for pair in found.pairs] == ["ab"]
    assert [row["kind"] for row in found.rows] == ["exact"] * 5


def test_documents_without_words_are_only_exact_duplicates(cluster):
    found = cluster([[("a", ""), ("b", "!!"), ("c", ""), ("d", "??"), ("e", "!!")]])
    assert found.groups == {frozenset("ac"), frozenset("be"), frozenset("d")}
    assert found.facts["candidates"] == 0


def test_short_documents_are_compared_as_a_whole(cluster):
    found = cluster([[("a", "To be"), ("b", "to be."), ("c", "to be or"), ("d", "be to")]])
    assert found.groups == {frozenset("ab"), frozenset("c"), frozenset("d")}


def test_scripts_without_spaces(cluster):
    chinese = "人人生而自由在尊严和权利上一律平等他们赋有理性和良心并应以兄弟关系的精神相对待"
    edited = chinese.replace("兄弟", "朋友")
    found = cluster([[("a", chinese), ("b", edited), ("c", chinese[::-1])]], **LOOSE)
    assert found.groups == {frozenset("ab"), frozenset("c")}


def test_upper_case_of_any_script_is_the_same_text(cluster):
    russian = "Все люди рождаются свободными и равными в своём достоинстве и правах они наделены разумом и совестью"
    found = cluster([[("a", russian), ("b", russian.upper())]])
    assert found.groups == {frozenset("ab")}


def test_casefold_reading_makes_respaced_copies_exact(cluster):
    parts = [[("a", "To be or not"), ("b", "to be  OR\nnot "), ("c", "to be, or not")]]
    assert [row["kind"] for row in cluster(parts, exact="casefold").rows] == ["exact", "exact", "near"]


# ---------------------------------------------------------------------------------------- files, accounts, errors


def test_tables_have_the_agreed_schemas(cluster):
    found = cluster([[("a", text()), ("b", text(30))]], **LOOSE)
    assert pq.read_schema(found.folder / "clusters.parquet").equals(CLUSTERS)
    assert pq.read_schema(found.folder / "pairs.parquet").equals(PAIRS)
    assert sorted(path.name for path in found.folder.iterdir()) == ["clusters.parquet", "pairs.parquet"]


def test_every_document_is_passed_on(cluster):
    found = cluster([[("a", "ä", "web"), ("b", "ä", "books")], [("c", "xyz", "web")]])
    assert found.outcome.accounts == {"books": Account(1, 1, 0, 0, 2, 2, 0, 0), "web": Account(2, 2, 0, 0, 5, 5, 0, 0)}


def test_facts_tell_the_scheme_and_its_promise(cluster):
    facts = cluster([[("a", text())]]).facts
    assert (facts["bands"], facts["rows"], facts["threshold"], facts["near"]) == (18, 7, 0.8, True)
    assert facts["curve"][16] == [0.8, pytest.approx(0.986, abs=1e-3)]


@pytest.mark.parametrize("parts", [[], [[]], [[], []]])
def test_no_documents_no_rows(cluster, parts):
    found = cluster(parts)
    assert (found.rows, found.pairs, found.facts["clusters"]) == ([], [], 0)


def test_without_near_only_exact_duplicates_are_found(write_documents, tmp_path):
    documents = write_documents([[("a", text()), ("b", text(30)), ("c", text())]])
    options = {"threshold": 0.5, "hashes": 64, "bands": None, "rows": None, "shingle_words": 5}
    outcome = cluster_documents([], documents, tmp_path, near=False, **options)
    rows = pq.read_table(tmp_path / "clusters.parquet").to_pylist()
    assert [row["cluster"] for row in rows] == ["a", "b", "a"]
    assert pq.read_table(tmp_path / "pairs.parquet").num_rows == 0
    assert outcome.facts["near"] is False
    assert outcome.accounts["web"].bytes_in == sum(len(t) for t in (text(), text(30), text()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 0.0}, r"dedup\.near\.threshold"),
        ({"bands": 3}, "given together"),
        ({"bands": 20, "rows": 20}, r"at most hashes = 128"),
        ({"bands": 0, "rows": 5}, "1 or more"),
        ({"bands": 1, "rows": 5, "engine": "datasketch"}, "two bands"),
    ],
)
def test_a_wrong_scheme_names_the_key(cluster, options, message):
    with pytest.raises(RecipeError, match=message):
        cluster([[("a", "b")]], **options)


def test_signatures_of_another_family_are_refused(write_documents, sign, tmp_path):
    documents = write_documents([[("a", text())], [("b", text())]])
    options = {"threshold": 0.8, "bands": None, "rows": None, "hashes": 128}
    with pytest.raises(SchemaError, match=r"128 hashes of 3-word.*shingle_words = 5"):
        cluster_documents(sign(documents, shingle_words=3), documents, tmp_path, shingle_words=5, **options)
    mixed = [sign(documents, seed=1)[0], sign(documents, seed=2)[1]]
    with pytest.raises(SchemaError, match="different seeds"):
        cluster_documents(mixed, documents, tmp_path, shingle_words=5, **options)


def test_near_needs_signatures_for_every_part(write_documents, tmp_path):
    documents = write_documents([[("a", text())]])
    options = {"threshold": 0.8, "bands": None, "rows": None, "hashes": 128, "shingle_words": 5}
    with pytest.raises(SchemaError, match="1 parts of documents but 0 of signatures"):
        cluster_documents([], documents, tmp_path, **options)
