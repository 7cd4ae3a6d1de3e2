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

from gristmill.corpus.text._unicode import ALPHA, CJK, MARK, NUMBER, UPPER, flags_of
from gristmill.corpus.text.columns import text_column
from gristmill.knowledge._kernels_context import read_around
from gristmill.knowledge.graph import load_graph
from gristmill.knowledge.linking import (
    choose_entities,
    distinct_entities,
    find_mentions,
    find_names,
    join_documents,
    name_index,
)
from gristmill.knowledge.linking_model import CONTEXT, CONTEXT_WEIGHTS

from .conftest import written_graph

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


def is_raised(text, start, name):
    """Does a word in capitals, of four bytes or more, stand there for the name?"""
    written = text[start : start + len(name)]
    raised = len(name.encode()) >= 4 and not re.search("[a-z]", written)
    return raised and pattern(name, 2).fullmatch(written)


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
                end = hit.end() if hit else start + len(name)
                agrees = hit or (n_words == 1 and start >= floor and is_raised(text, start, name))
                if agrees and not cuts_katakana(text, start, end):
                    match = (start, end, name, k)
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
    offsets, found, small, _ = find_names(text_column(pa.table({"text": pa.array(texts, pa.string())})), graph)
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


WORDS = st.sampled_from(
    ["alphabet", "Alphabet", "ALPHABET", "alphabets", "alphabeta", "alphaBet", "of", "Of", "é", "中"]
)
PHRASES = st.lists(WORDS, min_size=1, max_size=4).map(" ".join)


@given(st.lists(PHRASES, min_size=1, max_size=8), st.lists(PHRASES, max_size=6).map("; ".join))
def test_words_that_begin_alike_pass_the_gate(sample_graph, names, text):
    graph = with_names(sample_graph, names)
    assert found_in([text], graph) == [naive_find(text, graph.names.to_pylist())]


def test_a_name_in_small_letters_is_not_small_by_its_capital_twin(sample_graph):
    graph = with_names(sample_graph, ["alphabet", "Alphabet"])
    assert [row[2:] for row in found_in(["Alphabet alphabet"], graph)[0]] == [("Alphabet", True), ("alphabet", False)]


def test_a_table_that_refuses_a_word_would_be_seen(sample_graph):
    graph = with_names(sample_graph, ["Black Sea", "Reading"])
    text, index = "Reading of the Black Sea", name_index(graph)
    for table, lost in (("gate", ["Black Sea", "Reading"]), ("pairs", ["Black Sea"])):
        shut = index.tables._replace(**{table: np.zeros_like(getattr(index.tables, table))})
        found = found_in([text], dataclasses.replace(graph, index=index._replace(tables=shut)))[0]
        assert sorted({"Black Sea", "Reading"} - {row[2] for row in found}) == lost


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
        ("READING", ["Reading"]),
        ("REaDING", []),
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


JOINTS, STOPS, SENTENCE_ENDS = b"-&/_@#'", b",.;)\n", b'.!?:"\n'


def is_upper(data):
    text = data.decode(errors="ignore")
    return bool(text) and class_of(text[0]) & UPPER > 0


def naive_around(data, start, end):
    """The places of ``read_around`` by regular expressions over bytes."""
    before, name, after = data[:start], data[start:end], data[end:]
    word = re.search(rb"([^\x00-\x20]*[\x30-\xff]) \Z", before)
    rest = before[: word.start()].rstrip(b" ") if word else b""
    led = re.search(rb"(?:\A|[ \n])([a-z\x80-\xff]{1,6}) \Z", before)
    joined = after[:1] in {bytes([joint]) for joint in JOINTS} and not re.match(rb"'[sS]", after)
    more = after[1:].decode(errors="ignore")[:1]
    return [
        len(re.findall(rb"[A-Z]", name)) > 1 and not re.search(rb"[a-z\x80-\xff]", name),
        bool(word) and is_upper(word[1]) and len(rest) > 1 and rest[-1] not in SENTENCE_ENDS,
        after[:1] == b" " and is_upper(after[1:]),
        bool(before) and before[-1] in JOINTS,
        joined and bool(more) and class_of(more) & (ALPHA | NUMBER) > 0,
        bool(re.search(rb"[0-9][ .]{1,3}\Z", before) or re.match(rb"[ .]{1,2}[0-9]", after)),
        bool(led) and not is_upper(led[1]),
        not after or after[0] in STOPS,
    ]


AROUND = st.lists(
    st.sampled_from(["A", "b", "Éa", "é", "in", "The", " ", " ", ".", ",", "-", "'s", "7", "\n", "Zed", "zu"]),
    max_size=9,
)


@given(AROUND, st.sampled_from(["Paris", "ROM", "a b", "Île"]), AROUND)
def test_what_stands_around_equals_the_plain_twin(before, name, after):
    left, written = "".join(before).encode(), name.encode()
    data = left + written + "".join(after).encode()
    padded, around = np.frombuffer(b"x" * 3 + data + b"\0" * 64, np.uint8), np.empty(8)
    read_around(padded, 3, 3 + len(data), 3 + len(left), 3 + len(left) + len(written), around)
    assert around.astype(bool).tolist() == naive_around(data, len(left), len(left) + len(written))


def naive_choice(text, mentions, small, graph, capitals):
    """(entity, logarithm of the odds) of every mention of one document; mentions [(start, end, name)]."""
    near = [set(graph.neighbours(entity).tolist()) for entity in range(graph.n_entities)]
    of_name = [range(a, b) for a, b in pairwise(graph.candidate_offsets.tolist())]
    single = [
        (of_name[n], is_small) for (_, _, n), is_small in zip(mentions, small, strict=True) if len(of_name[n]) == 1
    ]
    certain = {c for (c,), is_small in single if not is_small and not graph.doubtful[c]}
    witnesses = {int(graph.candidates[c]) for c in certain}
    weight = dict(zip(CONTEXT, CONTEXT_WEIGHTS, strict=True))
    chosen = []
    for (start, end, name), small_too in zip(mentions, small, strict=True):
        raised, left, right, *rest = naive_around(text.encode(), start, end)
        place = dict(zip(("glued_left", "glued_right", "dated", "led", "closed"), rest, strict=True))
        place |= {"raised": raised, "left": left, "left_noun": left * capitals, "right": right, "small": small_too}
        place["times"] = np.log2(sum(other == name for _, _, other in mentions))
        sums = []
        for c in of_name[name]:
            entity = int(graph.candidates[c])
            others = witnesses - {entity}
            n_near = len(near[entity] & others)
            own = {"near": np.log2(1 + n_near), "alone": not n_near and len(others) >= 4}
            own["named"] = graph.doubtful[c] and entity in witnesses
            total = sum(weight[feature] * value for feature, value in (own | place).items())
            sums.append((-(float(graph.prior[c]) + total), entity))
        odds, entity = min(sums)
        chosen.append((entity, -odds))
    return chosen


@given(
    st.lists(st.lists(st.sampled_from([*"abcdefg", "Ga", "IN", "in", "7", "-", ",", "\n"]), max_size=14), max_size=3)
)
def test_choice_equals_its_definition(ambiguous_graph, docs):
    words = {letter: f"{letter.upper()}{letter * 3}" for letter in "abcdefg"}
    texts = [" ".join(words.get(piece, piece) for piece in doc).replace(" - ", "-") for doc in docs]
    column = text_column(pa.table({"text": pa.array(texts, pa.string())}))
    found = find_names(column, ambiguous_graph)
    entities, odds = choose_entities(column, found, ambiguous_graph)
    expected = []
    for d, (a, b) in enumerate(pairwise(found.offsets)):
        rows, small = found.rows[a:b].tolist(), found.is_small[a:b].tolist()
        expected += naive_choice(texts[d], rows, small, ambiguous_graph, found.capitals[d])
    assert entities.tolist() == [entity for entity, _ in expected]
    assert odds.tolist() == pytest.approx([total for _, total in expected], abs=1e-5)


@pytest.fixture(scope="module")
def ambiguous_graph(tmp_path_factory):
    """Seven names; two entities bear the first, the last is a surname as well, and a description names two."""
    entities = [(letter, f"{letter.upper()}{letter * 3}") for letter in "abcdefg"]
    entities += [("a2", "Aaaa"), ("p", "Bbbb Gggg", {"type": "person"}), ("z", "Zzzz", {"description": "Bbbb in Cccc"})]
    facts = [("a", "r", "b"), ("a2", "r", "c"), ("c", "r", "d"), ("p", "r", "e"), ("e", "r", "f")]
    return load_graph(written_graph(tmp_path_factory.mktemp("ambiguous"), entities, facts))


def test_what_a_description_names_is_near_and_no_triple(ambiguous_graph):
    ids = ambiguous_graph.ids.to_pylist()
    assert [ids[e] for e in ambiguous_graph.neighbours(ids.index("z"))] == ["b", "c"]
    assert (ambiguous_graph.degrees[ids.index("z")], ambiguous_graph.n_triples) == (0, 5)


def linked(graph, *texts):
    """[(label, entity)] of each text."""
    mentions = find_mentions(text_column(pa.table({"text": pa.array(texts, pa.string())})), graph)
    labels, ids = graph.names.take(mentions.names).to_pylist(), graph.ids.take(mentions.entities).to_pylist()
    rows = list(zip(labels, ids, strict=True))
    return [rows[a:b] for a, b in pairwise(mentions.offsets)]


@pytest.fixture
def places(write_graph):
    entities = [
        ("en", "England", {"description": "reading and writing"}),
        ("re", "Reading"),
        ("vq", "Victoria"),
        ("vs", "Victoria"),
        ("au", "Australia"),
        ("vb", "Vanessa Bell", {"aliases": ["Bell"], "type": "person"}),
    ]
    facts = [("re", "part_of", "en"), ("vq", "ruled", "en"), ("vs", "part_of", "au")]
    return load_graph(write_graph(entities, facts))


def test_a_common_word_is_no_name_by_itself(places):
    assert linked(places, "Reading is fun", "We went to England.") == [[], [("England", "en")]]


def test_of_equals_the_connected_candidate_wins_then_the_smaller_id(places):
    alone, abroad = linked(places, "We saw Victoria.", "She came from Victoria, in Australia.")
    assert alone == [("Victoria", "vq")]
    assert abroad[0] == ("Victoria", "vs")


def test_a_surname_needs_its_full_name(places):
    assert linked(places, "Mrs Bell", "We met Vanessa Bell. Then Bell, left") == [
        [],
        [("Vanessa Bell", "vb"), ("Bell", "vb")],
    ]


def test_part_of_a_longer_name_and_a_date_are_none(places):
    texts = ("from Australia.", "in Australia House", "on 4 Australia 1912")
    assert linked(places, *texts) == [[("Australia", "au")], [], []]


def test_the_bound_decides(places):
    texts = text_column(pa.table({"text": ["We went to England."]}))
    (score,) = find_mentions(texts, places).scores.tolist()
    assert (len(find_mentions(texts, places, score).names), find_mentions(texts, places, score + 0.01).unlinked) == (
        1,
        1,
    )


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
    mentions = find_mentions(texts, small_graph, 0.0)
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
    facts = [("a", "r", "b"), ("b", "r", "a"), ("b", "s", "c"), ("d", "r", "d")]
    return load_graph(written_graph(tmp_path_factory.mktemp("small"), [(c, c.upper() + c * 3) for c in "abcd"], facts))
