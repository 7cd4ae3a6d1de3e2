"""Repeated runs of tokens against a naive twin that compares every run with all earlier ones."""

import random

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.account import check_conservation
from gristmill.corpus.errors import RecipeError
from gristmill.corpus.schema import SPANS
from gristmill.dedup import copies
from gristmill.dedup.repeats import _kernels_substrings
from gristmill.dedup.repeats.substrings import substring_spans

TOKENS = ["a", "b", "été", "中", "文", "かな", "😀x", "longer-token"]
texts = st.lists(st.tuples(st.sampled_from(TOKENS), st.sampled_from([" ", "\n", " \t ", "\u3000"])), max_size=40).map(
    lambda pairs: "".join(token + space for token, space in pairs)
)
corpora = st.lists(texts, max_size=6).map(lambda found: [(f"{i:02}", text) for i, text in enumerate(found)])


def is_own_token(char):
    return "\u3040" <= char <= "\u30ff" or "\u4e00" <= char <= "\u9fff"


def naive_tokens(text):
    """(token, first byte, stop) of white-space words, Han and kana one by one."""
    tokens, at, word = [], 0, None
    for char in text:
        size = len(char.encode())
        if char.isspace():
            word = None
        elif is_own_token(char):
            tokens.append([char, at, at + size])
            word = None
        elif word is None:
            tokens.append(word := [char, at, at + size])
        else:
            word[0] += char
            word[2] += size
        at += size
    return tokens


def naive_spans(rows, min_tokens):
    seen, spans = set(), {}
    for doc_id, text in sorted(rows):
        tokens = naive_tokens(text)
        covered = [False] * (len(tokens) + 1)
        for p in range(len(tokens) - min_tokens + 1):
            run = tuple(token for token, *_ in tokens[p : p + min_tokens])
            if run in seen:
                covered[p : p + min_tokens] = [True] * min_tokens
            seen.add(run)
        stops = [start for _, start, _ in tokens[1:]] + [stop for *_, stop in tokens[-1:]]
        for t in range(len(tokens)):
            if covered[t] and (t == 0 or not covered[t - 1]):
                last = next(i for i in range(t, len(covered)) if not covered[i]) - 1
                spans.setdefault(doc_id, []).append((tokens[t][1], stops[last]))
    return spans


@pytest.fixture(scope="session")
def find(tmp_path_factory, write_documents, kept_of):
    def run(rows, *, n_parts=1, keep=None, **options):
        """Spans by doc_id, and the outcome."""
        paths = write_documents([rows[i::n_parts] for i in range(n_parts)])
        folder = tmp_path_factory.mktemp("spans")
        outcome = substring_spans(paths, kept_of(paths, keep), folder, **options)
        table = pq.read_table(folder / "spans.parquet")
        assert [path.name for path in folder.iterdir()] == ["spans.parquet"]
        assert table.schema == SPANS
        assert table["doc_id"].to_pylist() == sorted(table["doc_id"].to_pylist())
        check_conservation("substrings", outcome.accounts)
        assert {s["reason"] for row in table.to_pylist() for s in row["spans"]} <= {"substring"}
        found = {row["doc_id"]: [(s["start"], s["end"]) for s in row["spans"]] for row in table.to_pylist()}
        return found, outcome

    return run


@given(rows=corpora, min_tokens=st.integers(2, 9))
def test_spans_equal_the_naive_ones(find, rows, min_tokens):
    assert find(rows, min_tokens=min_tokens)[0] == naive_spans(rows, min_tokens)


@given(st.lists(st.sampled_from(["a ", "b "]), max_size=60).map("".join), st.integers(2, 12))
def test_a_text_that_repeats_itself(find, text, min_tokens):
    """Periodic text: every run overlaps its own copies."""
    assert find([("a", text)], min_tokens=min_tokens)[0] == naive_spans([("a", text)], min_tokens)


@given(rows=corpora, n_parts=st.integers(1, 4), seed=st.randoms())
def test_spans_do_not_depend_on_parts_or_order(find, rows, n_parts, seed):
    expected, outcome = find(rows, min_tokens=4)
    shuffled = rows.copy()
    seed.shuffle(shuffled)
    found, other = find(shuffled, n_parts=n_parts, min_tokens=4)
    assert found == expected
    assert other.accounts == outcome.accounts
    assert other.facts == outcome.facts


@given(rows=corpora, keep=st.sets(st.sampled_from([f"{i:02}" for i in range(6)])))
def test_only_kept_documents_count(find, rows, keep):
    found, outcome = find(rows, keep=keep, n_parts=2, min_tokens=3)
    kept = [row for row in rows if row[0] in keep]
    assert found == naive_spans(kept, 3)
    assert sum(account.documents_in for account in outcome.accounts.values()) == len(kept)


@pytest.fixture(scope="module")
def planted(sample_texts):
    """Real texts, some with a passage of another copied into them."""
    rng = random.Random(11)
    rows = [(doc_id, text) for doc_id, text in dict(rng.sample(sample_texts, 40)).items() if len(text) > 500]
    donors = [text for _, text in rows]
    for i in rng.sample(range(len(rows)), 10):
        passage = " ".join(rng.choice(donors).split()[10:100])
        doc_id, text = rows[i]
        words = text.split(" ")
        at = rng.randrange(len(words))
        rows[i] = doc_id, " ".join([*words[:at], passage, *words[at:]])
    return rows


def test_real_text_in_many_ranges(find, planted, monkeypatch):
    expected = naive_spans(planted, 50)
    found, outcome = find(planted, min_tokens=50)
    assert found == expected
    assert len(found) >= 5
    monkeypatch.setattr(copies, "RANGE_BYTES", 3000)
    again, other = find(planted, n_parts=3, min_tokens=50)
    assert again == expected
    assert other == outcome


def test_cutting_leaves_no_run_of_fifty_tokens_that_was_found(find, planted):
    found, _ = find(planted, min_tokens=50)
    for doc_id, text in planted:
        data = text.encode()
        for start, end in found.get(doc_id, []):
            assert data[:start].decode() + data[end:].decode()  # between characters
            assert start == 0 or not data[start : start + 1].isspace()


def test_tokens_may_stand_apart_differently(find):
    rows = [("a", "one two three four five"), ("b", "zero one  two\nthree\tfour six")]
    assert find(rows, min_tokens=4)[0] == {"b": [(5, 25)]}
    assert find(rows, min_tokens=5)[0] == {}


def test_facts(find):
    _, outcome = find([("a", "x y z w"), ("b", "x y z w")], min_tokens=4)
    assert outcome.facts == {
        "min_tokens": 4,
        "tokens": 8,
        "windows": 2,
        "bytes_removed": 7,
        "by_source": {"web": {"bytes_removed": 7}},
    }


def test_short_runs_are_refused(tmp_path):
    with pytest.raises(RecipeError, match=r"dedup\.substrings\.min_tokens = 1"):
        substring_spans([], [], tmp_path, min_tokens=1)


def test_a_corpus_without_documents(find):
    assert find([], min_tokens=50)[0] == {}


def naive_winnow(grams, reach):
    chosen = []
    for t in range(reach - 1, len(grams)):
        window = grams[t - reach + 1 : t + 1]
        at = t - window[::-1].index(min(window))
        chosen += [] if chosen and chosen[-1] == at else [at]
    return chosen


@given(st.lists(st.integers(0, 5), max_size=40), st.integers(1, 8))
def test_winnowing_takes_the_last_smallest(grams, reach):
    out = np.zeros((len(grams) + 1, 2), np.uint64)
    n = _kernels_substrings.winnow(np.array(grams, np.uint64), len(grams), reach, 3, out, 0)
    expected = naive_winnow(grams, reach)
    assert out[:n, 0].tolist() == [(3 << 32) + at for at in expected]
    assert out[:n, 1].tolist() == [grams[at] for at in expected]


@given(st.lists(st.integers(0, 1), min_size=4, max_size=30), st.lists(st.integers(0, 100), max_size=40), st.data())
def test_proof_compares_every_token(tokens, steps, data):
    """Also after a window that was proved, when both went on by one."""
    length = data.draw(st.integers(1, 3))
    last = len(tokens) - length
    a, b = [s % (last + 1) for s in steps], [s // 7 % (last + 1) for s in steps]
    a += range(last + 1)
    b += range(last + 1)
    proved = np.zeros(len(a), np.bool_)
    addresses = [np.array(values, np.uint64) for values in (a, b)]
    _kernels_substrings.prove(np.array(tokens, np.uint64), *addresses, length, proved)
    assert proved.tolist() == [tokens[x : x + length] == tokens[y : y + length] for x, y in zip(a, b, strict=True)]
