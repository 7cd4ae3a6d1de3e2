"""Kernels against naive twins in Python integers and sets."""

import re
import unicodedata
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.text import _kernels as text_kernels
from gristmill.corpus.text.columns import text_column
from gristmill.dedup.clusters import _kernels, _kernels_graph
from gristmill.dedup.clusters._unicode_fold import FOLDED, LIMIT
from gristmill.dedup.clusters.minhash import measure, permutations
from gristmill.dedup.clusters.verification import _sets_of

MASK = 2**64 - 1
uint64s = st.integers(0, MASK)
texts = st.text(st.sampled_from("aàbAÀB 1é\nЖж.,Ω中文あ한न्ไทยກົមု😀'-_"), max_size=60)


def column(values):
    return pa.table({"text": pa.array(values, pa.large_string())})


# ---------------------------------------------------------------------------------------- MinHash


def naive_mix(h):
    h = (h ^ h >> 33) * 0xFF51AFD7ED558CCD & MASK
    h = (h ^ h >> 33) * 0xC4CEB9FE1A85EC53 & MASK
    return h ^ h >> 33


def naive_minhash(shingles, a, b):
    return [min((naive_mix(s) * x + y & MASK for s in shingles), default=MASK) for x, y in zip(a, b, strict=True)]


@given(st.lists(uint64s, max_size=40), st.integers(1, 12), st.integers(0, 5))
def test_minhash_is_the_minimum_of_the_affine_hashes(shingles, hashes, seed):
    a, b = permutations(hashes, seed)
    signature = np.zeros(hashes, np.uint64)
    _kernels.minhash(np.array(shingles, np.uint64), len(shingles), a, b, signature)
    assert signature.tolist() == naive_minhash(shingles, a.tolist(), b.tolist())


@given(uint64s)
def test_arithmetic_stays_unsigned_and_64_bits_wide(value):
    """The trap: numba makes uint64 with int64 a float64, which forgets the low bits."""
    signature = np.zeros(1, np.uint64)
    a, b = np.array([MASK], np.uint64), np.array([MASK - 1], np.uint64)
    _kernels.minhash(np.array([value], np.uint64), 1, a, b, signature)
    assert int(signature[0]) == (naive_mix(value) * MASK + MASK - 1) & MASK


@given(st.lists(uint64s, min_size=1, max_size=30), st.randoms())
def test_minhash_is_of_the_set_not_the_list(shingles, random):
    a, b = permutations(16, 3)
    again = shingles + random.choices(shingles, k=5)
    random.shuffle(again)
    one, other = np.zeros(16, np.uint64), np.zeros(16, np.uint64)
    _kernels.minhash(np.array(shingles, np.uint64), len(shingles), a, b, one)
    _kernels.minhash(np.array(again, np.uint64), len(again), a, b, other)
    assert one.tolist() == other.tolist()


# ---------------------------------------------------------------------------------------- words and shingles


def naive_fold(char):
    if ord(char) >= LIMIT:
        return char
    old = unicodedata.ucd_3_2_0
    folded = char.casefold()
    if len(folded) != 1 or len(folded.encode()) != len(char.encode()):
        return char
    return folded if "Cn" not in (old.category(char), old.category(folded)) else char


def naive_words(text):
    folded = "".join(naive_fold(char) for char in text)
    cjk = "\u3005-\u3007\u3040-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
    pieces = re.sub(f"([{cjk}])", r" \1 ", folded)
    word = "".join(char if unicodedata.category(char)[0] in "LNM" else " " for char in pieces)
    return [piece for run in word.split() for piece in naive_pieces(run)]


def naive_pieces(run):
    """Runs that begin in a script without spaces, cut between two characters whose hashes say so."""
    if not re.match("[\u0e00-\u0eff\u1000-\u10bf\u1780-\u17ff]", run):
        return [run]
    characters = [run[0]]
    for char in run[1:]:
        if unicodedata.category(char)[0] == "M":
            characters[-1] += char
        else:
            characters.append(char)
    hashes = [0, *(hash_of(character) for character in characters)]
    pieces = [""]
    for before, here, character in zip(hashes, hashes[1:], characters, strict=False):
        product = (before ^ int(text_kernels.K2)) * here
        cuts = ((product ^ product >> 64) & MASK) % 3 == 0
        pieces = [*pieces, character] if cuts and pieces[-1] else [*pieces[:-1], pieces[-1] + character]
    return pieces


def hash_of(text):
    data = np.frombuffer(text.encode() + bytes(16), np.uint8)
    return int(text_kernels.hash_bytes(data, 0, len(text.encode()), False))


def naive_shingles(text, width):
    words = naive_words(text)
    if not words:
        return []
    width = min(width, len(words))
    return [tuple(words[i : i + width]) for i in range(len(words) - width + 1)]


@given(st.text(max_size=200))
def test_fold_case_equals_casefold_of_one_to_one_letters(text):
    offsets, data = text_column(column([text]))
    _kernels.fold_case(data, offsets[0], offsets[1])
    expected = "".join(char if char.isascii() else naive_fold(char) for char in text)
    assert bytes(data[: offsets[1]]).decode() == expected
    assert not data[offsets[1] :].any()  # the padding is untouched


def test_fold_table_covers_the_cased_scripts():
    for upper, lower in ("Éé", "Şş", "Σσ", "ςσ", "Жж", "Ѣѣ", "Աա", "Ệệ", "ÿÿ", "ßß"):
        assert FOLDED[ord(upper)] == ord(lower)
    assert len(FOLDED) == LIMIT


@given(st.lists(texts, max_size=6), st.integers(1, 6))
def test_shingle_counts_and_sets_equal_the_naive_ones(documents, width):
    counts, _ = (
        measure(column(documents).to_batches()[0], shingle_words=width, hashes=1, seed=0) if documents else ([], 0)
    )
    expected = [naive_shingles(text, width) for text in documents]
    assert list(counts) == [len(shingles) for shingles in expected]
    values, sizes = _sets_of(column(documents), width)
    assert sizes.tolist() == [len(set(shingles)) for shingles in expected]
    assert values.size == sizes.sum()
    for stop, size in zip(np.cumsum(sizes), sizes, strict=True):
        assert (np.diff(values[stop - size : stop].astype(object)) > 0).all()


THAI = "ประเทศไทยมีพื้นที่ประมาณห้าแสนตารางกิโลเมตรและมีประชากรราวหกสิบหกล้านคนโดยมีกรุงเทพมหานครเป็นเมืองหลวงและเมืองที่ใหญ่ที่สุด"
KHMER = "មនុស្សទាំងអស់កើតមកមានសេរីភាពនិងភាពស្មើៗគ្នាក្នុងសេចក្តីថ្លៃថ្នូរនិងសិទ្ធិមនុស្សមានវិចារណញ្ញាណនិងសតិសម្បជញ្ញៈជាប់ពីកំណើត"


@pytest.mark.parametrize("text", [THAI, KHMER])
def test_one_changed_letter_leaves_most_shingles_where_no_spaces_part_words(text):
    long = text * 2 + text[::-1]  # a paragraph, which white space would make one word
    changed = long[:150] + "ក" + long[151:]
    values, sizes = _sets_of(column([long, changed]), 5)
    assert sizes.tolist() == [len(set(naive_shingles(one, 5))) for one in (long, changed)]
    out = np.empty(1)
    _kernels.jaccard_of_pairs(np.cumsum(sizes) - sizes, sizes, values, np.array([0]), np.array([1]), 0.0, out)
    assert 0.75 < out[0] < 1


@given(st.lists(st.one_of(uint64s, st.integers(0, 3)), max_size=300))
def test_sort_hashes_sorts_anything(values):
    """Even hashes go through buckets; small numbers all fall in the first one and through the comparison sort."""
    hashes = np.array(values, np.uint64)
    _kernels.sort_hashes(hashes, np.empty(len(values), np.uint64), np.empty(len(values) + 1, np.int64))
    assert hashes.tolist() == sorted(values)


def test_sort_hashes_of_many_even_and_of_many_equal_ones():
    even = np.random.default_rng(2).integers(0, 2**64, 50_000, dtype=np.uint64)
    for hashes in (even, np.repeat(even[:5], 10_000), np.sort(even)[::-1].copy()):
        expected = np.sort(hashes)
        _kernels.sort_hashes(hashes, np.empty_like(hashes), np.empty(len(hashes) + 1, np.int64))
        assert np.array_equal(hashes, expected)


@given(texts, texts, st.integers(1, 4))
def test_jaccard_equals_that_of_python_sets(one, other, width):
    values, sizes = _sets_of(column([one, other]), width)
    out = np.empty(1)
    starts = np.cumsum(sizes) - sizes
    _kernels.jaccard_of_pairs(starts, sizes, values, np.array([0]), np.array([1]), 0.0, out)
    a, b = set(naive_shingles(one, width)), set(naive_shingles(other, width))
    assert out[0] == (len(a & b) / len(a | b) if a and b else 0.0)


@given(st.sets(st.integers(0, 30), max_size=20), st.sets(st.integers(0, 30), max_size=20), st.floats(0.01, 1))
def test_jaccard_with_a_bound_agrees_from_the_bound_on(a, b, at_least):
    values = np.array([*sorted(a), *sorted(b)], np.uint64)
    sizes = np.array([len(a), len(b)])
    out = np.empty(1)
    nodes = np.array([0]), np.array([1])
    _kernels.jaccard_of_pairs(np.array([0, len(a)]), sizes, values, *nodes, at_least, out)
    exact = len(a & b) / len(a | b) if a | b else 0.0
    assert (out[0] >= at_least) == (exact >= at_least)
    if exact >= at_least:
        assert out[0] == exact


# ---------------------------------------------------------------------------------------- bands and pairs


@given(st.integers(1, 4), st.integers(1, 4), st.lists(st.integers(0, 2), min_size=16, max_size=160))
def test_band_keys_are_equal_exactly_where_bands_are(bands, rows, values):
    signatures = np.array(values[: len(values) // 16 * 16], np.uint64).reshape(-1, 16)
    keys = np.empty((bands, len(signatures)), np.uint64)
    _kernels.band_keys(signatures, rows, keys)
    for band in range(bands):
        slices = [tuple(row[band * rows : (band + 1) * rows]) for row in signatures.tolist()]
        by_slice = dict(zip(slices, keys[band].tolist(), strict=True))
        assert [by_slice[part] for part in slices] == keys[band].tolist()
        assert len(set(by_slice.values())) == len(by_slice)


def test_the_same_values_in_another_order_are_another_band():
    keys = np.empty((1, 2), np.uint64)
    _kernels.band_keys(np.array([[1, 2], [2, 1]], np.uint64), 2, keys)
    assert keys[0, 0] != keys[0, 1]


# ---------------------------------------------------------------------------------------- graph

graphs = st.integers(2, 12).flatmap(
    lambda n: st.tuples(st.just(n), st.sets(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=24))
)


def components(n, edges):
    label = list(range(n))
    for _ in range(n):
        for a, b in edges:
            label[a] = label[b] = min(label[a], label[b])
    return label


def naive_bridges(n, edges):
    found = 0
    for edge in edges:
        before, after = components(n, edges), components(n, edges - {edge})
        sides = Counter(after)
        split = after[edge[0]] != after[edge[1]]
        found += split and min(sides[after[edge[0]]], sides[after[edge[1]]]) >= 2
        assert before[edge[0]] == before[edge[1]]
    return found


@given(graphs)
def test_union_find_gives_the_smallest_node_of_each_component(graph):
    n, edges = graph
    ends = np.array(sorted(edges), np.int64).reshape(-1, 2)
    parent, second = np.arange(n), np.arange(n)
    kept = np.zeros(len(ends), np.bool_)
    _kernels_graph.unite(parent, second, ends[:, 0].copy(), ends[:, 1].copy(), kept)
    _kernels_graph.settle(parent)
    assert parent.tolist() == components(n, edges)
    assert kept.sum() <= 2 * (n - 1)


@given(graphs)
def test_bridges_equal_those_found_by_removing_each_edge(graph):
    from gristmill.dedup.clusters.edges import NearGraph

    n, edges = graph
    edges = {(min(e), max(e)) for e in edges if e[0] != e[1]}
    near = NearGraph(n)
    for a, b in sorted(edges):  # one block an edge
        near.add(1, (np.array([a]), np.array([b]), np.array([0.75])))
    near.settle()
    assert near.bridges() == naive_bridges(n, edges)
    assert near.root.tolist() == components(n, edges)
    assert near.nearest.tolist() == [0.75 if any(v in e for e in edges) else 0.0 for v in range(n)]


@pytest.mark.parametrize("length", [3, 50, 20_000])
def test_a_long_chain_has_a_bridge_at_every_inner_edge(length):
    """Depth-first search without recursion: a chain is the deepest graph there is."""
    from gristmill.dedup.clusters.edges import NearGraph

    near = NearGraph(length)
    near.add(length, (np.arange(length - 1), np.arange(1, length), np.ones(length - 1)))
    near.settle()
    assert near.bridges() == max(length - 3, 0)
    assert not near.root.any()


@pytest.mark.parametrize("at_once", [1, 5, 40, 10_000])
def test_bridges_are_counted_cluster_by_cluster(monkeypatch, at_once):
    """Whole clusters at a time, whatever the number of edges that are looked at together."""
    from gristmill.dedup.clusters import edges as graph

    draw = np.random.default_rng(8)
    ends = np.sort(draw.integers(0, 20, (60, 2)) + 20 * draw.integers(0, 12, (60, 1)), axis=1)
    pairs = {(int(a), int(b)) for a, b in ends if a < b}
    a, b = np.array(sorted(pairs)).T
    near = graph.NearGraph(240)
    near.add(len(a), (a.copy(), b.copy(), np.ones(len(a))))
    near.settle()
    monkeypatch.setattr(graph, "EDGES_AT_ONCE", at_once)
    assert near.bridges() == naive_bridges(240, pairs)
    assert near.bridges() > 0
