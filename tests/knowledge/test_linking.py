"""The matcher against a plain Python twin, and the choice of an entity against its definition."""

import dataclasses
import re
from functools import cache
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.text._unicode import ALPHA, CJK, MARK, NUMBER, flags_of
from gristmill.corpus.text.columns import text_column
from gristmill.knowledge import _kernels_graph
from gristmill.knowledge.graph import load_graph
from gristmill.knowledge.linking import _find, distinct_entities, find_mentions, join_documents

SPACE = " \t\n\x0b\x0c\r"


@cache
def class_of(char):
    return flags_of(ord(char))


def naive_words(text):
    """[(start, end)] in characters: runs of letters, digits and marks; each CJK character by itself."""
    spans, open_at = [], None
    for i, char in enumerate(text + " "):
        flags = class_of(char)
        if open_at is not None and (flags & CJK or not flags & (ALPHA | NUMBER | MARK)):
            spans.append((open_at, i))
            open_at = None
        if flags & CJK:
            spans.append((i, i + 1))
        elif flags & (ALPHA | NUMBER | MARK) and open_at is None:
            open_at = i
    return spans


def fold(text):
    return "".join(c.lower() if c.isascii() else c for c in text)


@cache
def pattern(name, n_words):
    """What a name may look like in text."""
    out, i = "", 0
    while i < len(name):
        char = name[i]
        inside = i > 0 and ((name[i - 1].isascii() and name[i - 1].isalnum()) or not name[i - 1].isascii())
        if char in SPACE:
            while i + 1 < len(name) and name[i + 1] in SPACE:
                i += 1
            out += f"[{SPACE}]+"
        elif n_words > 1 and char.isascii() and char.isalpha() and (char.islower() or inside):
            out += f"[{char.lower()}{char.upper()}]"
        else:
            out += re.escape(char)
        i += 1
    return re.compile(out)


def is_katakana(char):
    return "\u30a0" <= char <= "\u30ff" and char != "\u30fb"


def cuts_katakana(text, start, end):
    before = start > 0 and is_katakana(text[start - 1]) and is_katakana(text[start])
    return before or (end < len(text) and is_katakana(text[end]) and is_katakana(text[end - 1]))


def naive_find(text, names):
    """[(start byte, end byte, name, written small too)] leftmost longest."""
    words = naive_words(text)
    known = {}
    for name in names:
        spans = naive_words(name)
        if 0 < len(spans) <= 32:
            key = tuple(fold(name[a:b]) for a, b in spans)
            known.setdefault(key, []).append((name, spans[0][0], len(spans)))
    folded = [fold(text[a:b]) for a, b in words]
    found, t, floor = [], 0, 0
    while t < len(words):
        match = None
        for k in range(min(32, len(words) - t), 0, -1):
            for name, lead, n_words in known.get(tuple(folded[t : t + k]), ()):
                start = words[t][0] - lead
                hit = pattern(name, n_words).match(text, start) if start >= floor else None
                if hit and not cuts_katakana(text, start, hit.end()):
                    match = (start, hit.end(), name, k)
                    break
            if match:
                break
        if match:
            start, floor, name, k = match
            found.append((len(text[:start].encode()), len(text[:floor].encode()), name, is_small(text, name, words)))
        t += match[3] if match else 1
    return found


def is_small(text, name, words):
    spans = naive_words(name)
    word = name[spans[0][0] : spans[0][1]]
    if len(spans) != 1 or not "A" <= word[0] <= "Z":
        return False
    return any("a" <= text[a] <= "z" and fold(text[a:b]) == fold(word) for a, b in words)


def found_in(texts, graph):
    """What the kernels find, in the twin's form, a list a document."""
    offsets, found, small = _find(text_column(pa.table({"text": pa.array(texts, pa.string())})), graph)
    names = graph.names.take(found[:, 2]).to_pylist()
    rows = [(int(a), int(b), name, bool(s)) for (a, b, _), name, s in zip(found, names, small, strict=True)]
    return [rows[a:b] for a, b in pairwise(offsets)]


def with_names(graph, names):
    return dataclasses.replace(graph, names=pa.array(sorted(set(names)), pa.large_string()))


PIECES = st.sampled_from(
    ["a", "A", "b", "B", "ab", "Ab", "AB", " ", " ", "\n", "-", ".", "é", "É", "中", "国", "ア", "タ", "・", "1", "’"]
)
NAMES = st.lists(st.lists(PIECES, min_size=1, max_size=5).map("".join), min_size=1, max_size=12)
TEXTS = st.lists(st.lists(PIECES, max_size=40).map("".join), max_size=4)


@given(NAMES, TEXTS)
def test_find_equals_the_plain_twin(sample_graph, names, texts):
    graph = with_names(sample_graph, names)
    assert found_in(texts, graph) == [naive_find(text, graph.names.to_pylist()) for text in texts]


@given(st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=6), st.data())
def test_find_equals_the_plain_twin_on_any_text(sample_graph, names, data):
    text = "".join(data.draw(st.lists(st.one_of(st.sampled_from(names), st.text(max_size=3)), max_size=12)))
    graph = with_names(sample_graph, names)
    assert found_in([text], graph) == [naive_find(text, graph.names.to_pylist())]


def test_find_equals_the_plain_twin_on_real_text(sample_graph):
    texts = pa.array(
        [
            "The United States of America, THE UNITED STATES OF AMERICA and the united states of america.",
            "Der Vertrag von Paris; Frankreich grenzt an Andorra, Belgien und die Schweiz.",
            "法国的首都是巴黎。美国和中国是联合国成员。アメリカ合衆国とタイ、タイプ。",
            "Paris is in France.\nSt. Barthélemy\tand  Saint\nBarthélemy; Trinidad & Tobago's turkey, Turkey",
            "",
        ]
    ).to_pylist()
    assert found_in(texts, sample_graph) == [naive_find(text, sample_graph.names.to_pylist()) for text in texts]


@given(NAMES, TEXTS, st.integers(0, 4))
def test_documents_do_not_see_each_other(sample_graph, names, texts, at):
    graph = with_names(sample_graph, names)
    assert found_in(texts, graph) == found_in(texts[:at], graph) + found_in(texts[at:], graph)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("the Black Sea", ["Black Sea"]),
        ("the BLACK SEA", ["Black Sea"]),
        ("the black sea", []),
        ("the Black\n  Sea", ["Black Sea"]),
        ("the Black-Sea", []),
        ("the Black Seas", []),
        ("READING", []),
        ("Reading's", ["Reading"]),
        ("Black Sea Fleet, Black Sea", ["Black Sea Fleet", "Black Sea"]),
        ("Evening Star and evening star", ["evening star", "evening star"]),
        ("an Sea", []),
        ("発展中国家", ["中国"]),
        ("タイプ", []),
        ("タイ・バーツ", ["タイ"]),
        ("van gogh", []),
        ("Van Gogh", ["van Gogh"]),
    ],
)
def test_the_rule_by_example(sample_graph, text, found):
    names = ["Black Sea", "Black Sea Fleet", "Reading", "evening star", "中国", "タイ", "van Gogh"]
    assert [row[2] for row in found_in([text], with_names(sample_graph, names))[0]] == found


def test_equal_hash_is_not_enough(sample_graph):
    graph = with_names(sample_graph, ["St. Louis", "St Louis"])
    assert [row[2] for row in found_in(["St. Louis, St Louis, St-Louis"], graph)[0]] == ["St. Louis", "St Louis"]


def test_more_mentions_than_first_guessed_are_all_found(sample_graph):
    graph = with_names(sample_graph, ["Ab"])
    assert len(found_in(["Ab " * 1000], graph)[0]) == 1000


# ------------------------------------------------------------------------------------------------ the choice


def naive_choice(candidates, small, degrees, near, witnesses):
    """(entity, score) of one name; candidates [(entity, doubtful)]."""
    pool = [e for e, _ in candidates if e in witnesses or near[e] & witnesses]
    if not pool:
        pool = [e for e, doubtful in candidates if not (doubtful or small)]
    if not pool:
        return -1, 0.0
    best = min(pool, key=lambda e: (-degrees[e], e))
    return best, (degrees[best] + 1) / sum(degrees[e] + 1 for e in pool)


def csr(lists, dtype):
    return np.cumsum([0, *map(len, lists)]), np.array([x for row in lists for x in row], dtype)


@st.composite
def linkings(draw):
    n = draw(st.integers(1, 6))
    ids = st.integers(0, n - 1)
    pairs = draw(st.lists(st.tuples(ids, ids), max_size=8))
    near = [{b for a, b in pairs if a == e} | {a for a, b in pairs if b == e} for e in range(n)]
    near = [others - {e} for e, others in enumerate(near)]
    names = draw(st.lists(st.dictionaries(ids, st.booleans(), min_size=1, max_size=4), min_size=1, max_size=5))
    degrees = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    mention = st.tuples(st.integers(0, len(names) - 1))
    docs = draw(st.lists(st.lists(mention.map(lambda m: m[0]), max_size=6), max_size=4))
    small = [draw(st.sets(st.integers(0, len(names) - 1), max_size=2)) for _ in docs]
    return near, [sorted(name.items()) for name in names], degrees, docs, small


@given(linkings())
def test_choice_equals_its_definition(case):
    near, names, degrees, docs, small = case
    near_offsets, near_flat = csr([sorted(others) for others in near], np.int32)
    offsets, flat = csr(docs, np.int64)
    candidate_offsets, candidates = csr([[e for e, _ in name] for name in names], np.int32)
    doubtful = np.array([d for name in names for _, d in name], np.bool_)
    is_small = np.array([name in small[d] for d, doc in enumerate(docs) for name in doc], np.bool_)
    entities, scores = np.empty(len(flat), np.int32), np.empty(len(flat), np.float32)
    _kernels_graph.choose_entities(
        offsets,
        flat,
        is_small,
        candidate_offsets,
        candidates,
        doubtful,
        np.array(degrees),
        near_offsets,
        near_flat,
        entities,
        scores,
    )
    expected = []
    for d, doc in enumerate(docs):
        certain = [names[m][0] for m in doc if len(names[m]) == 1 and m not in small[d]]
        witnesses = {entity for entity, doubt in certain if not doubt}
        expected += [naive_choice(names[m], m in small[d], degrees, near, witnesses) for m in doc]
    assert entities.tolist() == [entity for entity, _ in expected]
    assert scores.tolist() == pytest.approx([score for _, score in expected])


def linked(graph, *texts):
    """[(label, entity, score)] of each text."""
    mentions = find_mentions(text_column(pa.table({"text": pa.array(texts, pa.string())})), graph)
    labels, ids = graph.names.take(mentions.names).to_pylist(), graph.ids.take(mentions.entities).to_pylist()
    rows = list(zip(labels, ids, [round(float(score), 2) for score in mentions.scores], strict=True))
    return [rows[a:b] for a, b in pairwise(mentions.offsets)]


@pytest.fixture
def places(write_graph):
    entities = [
        ("en", "England", {"description": "reading and writing"}),
        ("re", "Reading"),
        ("vq", "Victoria"),
        ("vs", "Victoria"),
        ("au", "Australia"),
        ("vb", "Vanessa Bell", {"aliases": ["Bell"]}),
    ]
    facts = [("re", "part_of", "en"), ("vq", "ruled", "en"), ("vq", "born_in", "en"), ("vs", "part_of", "au")]
    return load_graph(write_graph(entities, facts))


def test_a_common_word_needs_a_witness(places):
    alone, witnessed = linked(places, "Reading a book", "Reading in England")
    assert alone == []
    assert witnessed == [("Reading", "re", 1.0), ("England", "en", 1.0)]


def test_the_connected_candidate_wins_then_the_one_of_more_triples(places):
    alone, abroad = linked(places, "Victoria", "Victoria, Australia")
    assert alone == [("Victoria", "vq", 0.6)]
    assert abroad[0] == ("Victoria", "vs", 1.0)


def test_a_surname_needs_its_full_name(places):
    assert linked(places, "Mrs Bell", "Vanessa Bell. Mrs Bell") == [
        [],
        [("Vanessa Bell", "vb", 1.0), ("Bell", "vb", 1.0)],
    ]


def test_a_word_also_written_small_is_no_name(places):
    assert linked(places, "Australia and australia", "Australia") == [[], [("Australia", "au", 1.0)]]


def test_the_join_equals_the_plain_join(sample_graph):
    texts = [
        "France borders Spain; its capital is Paris. The euro is the currency of Germany and Austria.",
        "Nobody here",
        "Washington, Oregon, California and Nevada are states of the United States. Canada borders it.",
    ]
    mentions = find_mentions(text_column(pa.table({"text": texts})), sample_graph)
    docs, triples = join_documents(mentions, sample_graph)
    named = [set(mentions.entities[a:b].tolist()) for a, b in pairwise(mentions.offsets)]
    pairs = list(enumerate(zip(sample_graph.heads.tolist(), sample_graph.tails.tolist(), strict=True)))
    plain = [(d, i) for d, entities in enumerate(named) for i, (h, t) in pairs if h in entities and t in entities]
    assert list(zip(docs.tolist(), triples.tolist(), strict=True)) == plain
    assert len(plain) > 10


@given(st.lists(st.lists(st.sampled_from(["Aaaa", "Bbbb", "Cccc", "Dddd"]), max_size=5), max_size=4))
def test_distinct_entities_and_the_join_by_definition(small_graph, docs):
    texts = text_column(pa.table({"text": pa.array([" ".join(doc) for doc in docs], pa.string())}))
    mentions = find_mentions(texts, small_graph)
    where, what = distinct_entities(mentions, small_graph)
    assert list(zip(where, what, strict=True)) == sorted(
        {(d, "abcd".index(n[0].lower())) for d, doc in enumerate(docs) for n in doc}
    )
    _, triples = join_documents(mentions, small_graph)
    edges = sorted({(0, 1), (1, 0), (1, 2), (3, 3)})
    expected = sum(
        ("ABCD"[h] in {n[0] for n in doc}) and ("ABCD"[t] in {n[0] for n in doc}) for doc in docs for h, t in edges
    )
    assert len(triples) == expected


@pytest.fixture(scope="module")
def small_graph(tmp_path_factory):
    import polars as pl

    folder = tmp_path_factory.mktemp("small")
    rows = [
        {"id": c, "label": c.upper() + c * 3, "lang": "en", "aliases": [], "description": "", "type": "t"}
        for c in "abcd"
    ]
    pl.DataFrame(rows, schema_overrides={"aliases": pl.List(pl.String)}).write_parquet(folder / "entities.parquet")
    facts = [("a", "r", "b"), ("b", "r", "a"), ("b", "s", "c"), ("d", "r", "d")]
    pl.DataFrame(facts, schema=["head", "relation", "tail"], orient="row").write_parquet(folder / "triples.parquet")
    return load_graph(folder)
