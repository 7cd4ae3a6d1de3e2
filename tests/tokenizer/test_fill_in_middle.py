"""Documents with their middle at the end: every text comes back, places follow from doc_id, held-out ones stay."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from gristmill.tokenizer.bpe_training import train_tokenizer
from gristmill.tokenizer.encode import TOKENS, encode_part
from gristmill.tokenizer.encoded_batch import Encoding
from gristmill.tokenizer.fill_in_middle import Cuts, arranged, cut_texts, cuts_of, original_order
from gristmill.tokenizer.reference_encoder import flat_tokens
from gristmill.tokenizer.stage import END_ID, FillInMiddle, Specials, Tokenizer
from gristmill.tokenizer.text_tokenizer import TextTokenizer

HALF = FillInMiddle(rates={"docs": 0.5})
MARKS = (7001, 7002, 7003)


@pytest.fixture(scope="module")
def infill_tokenizer(parts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("infill")
    section = Tokenizer(vocab_size=1000, specials=HALF.added_to(Specials()))
    train_tokenizer(parts, folder, section=section, seed=1)
    return folder / "tokenizer.json"


def encoded(parts, place, tokenizer, folder, section, seed=5):
    folder.mkdir()
    outcome = encode_part(*parts[place], tokenizer, folder, encoding=Encoding(fill_in_middle=section, seed=seed))
    return outcome, pq.read_table(folder / TOKENS).to_pylist()


def test_every_text_comes_back_and_the_rate_is_met(parts, infill_tokenizer, tmp_path):
    outcome, rows = encoded(parts, 0, infill_tokenizer, tmp_path / "a", HALF)
    text = TextTokenizer(infill_tokenizer)
    marks = [text.control[name] for name in HALF.named]
    chosen = [row["tokens"][0] == marks[0] for row in rows]
    assert [text.decode(original_order(row["tokens"][:-1], marks)) for row in rows] == pq.read_table(parts[0][0])[
        "text"
    ].to_pylist()
    assert all(row["comes_back"] and row["tokens"][-1] == END_ID for row in rows)
    assert outcome.facts["rearranged"] == {"docs": sum(chosen)}
    assert not any(one and row["heldout"] for one, row in zip(chosen, rows, strict=True))
    free = [one for one, row in zip(chosen, rows, strict=True) if not row["heldout"]]
    assert abs(np.mean(free) - 0.5) < 4 * np.sqrt(0.25 / len(free))
    first = [row["tokens"][1] == marks[1] for row, one in zip(rows, chosen, strict=True) if one]
    assert 0.2 < np.mean(first) < 0.8
    for row, one in zip(rows, chosen, strict=True):
        assert [sum(token == mark for token in row["tokens"]) for mark in marks] == [int(one)] * 3


def test_a_domain_without_a_rate_is_as_without_the_section(parts, infill_tokenizer, tmp_path):
    assert (
        encoded(parts, 1, infill_tokenizer, tmp_path / "a", HALF)[1]
        == (encoded(parts, 1, infill_tokenizer, tmp_path / "b", None)[1])
    )


def test_choice_and_cut_follow_from_doc_id_and_seed(parts, infill_tokenizer, tmp_path):
    whole = {row["doc_id"]: row["tokens"] for row in encoded(parts, 0, infill_tokenizer, tmp_path / "a", HALF)[1]}
    other = [row["tokens"] for row in encoded(parts, 0, infill_tokenizer, tmp_path / "b", HALF, seed=6)[1]]
    path, kept = parts[0]
    turned = [(path, kept.take(pa.array([9, 4, 30])))]
    few = encoded(turned, 0, infill_tokenizer, tmp_path / "c", HALF)[1]
    assert all(whole[row["doc_id"]] == row["tokens"] for row in few)
    assert list(whole.values()) != other


def naive(text, first, second, suffix_first, chosen):
    """One document, character by character."""
    if not chosen:
        return [ord(one) for one in text]
    prefix, middle, suffix = text[:first], text[first:second], text[second:]
    pieces = ["", suffix, prefix + middle] if suffix_first else [prefix, suffix, middle]
    return [token for mark, one in zip(MARKS, pieces, strict=True) for token in (mark, *map(ord, one))]


documents = st.tuples(st.text(st.sampled_from("aé語🙂 \n"), max_size=12), st.integers(0, 12), st.integers(0, 12))


@given(st.lists(st.tuples(documents, st.booleans(), st.booleans()), max_size=6), st.sampled_from([None, 7000]))
@settings(deadline=None, max_examples=150)
def test_arranged_is_the_naive_way(cases, end_id):
    texts = [text for (text, _, _), _, _ in cases]
    places = [sorted(min(place, len(text)) for place in cut) for (text, *cut), _, _ in cases]
    begins = np.cumsum([0, *(len(text.encode()) for text in texts)])[:-1]
    chosen, last = (np.array([case[n] for case in cases], bool) for n in (1, 2))
    bytes_at = [
        [begin + len(text[: place if one else len(text)].encode()) for place in pair]
        for text, pair, begin, one in zip(texts, places, begins, chosen, strict=True)
    ]
    cut = np.array(bytes_at, np.int64).reshape(-1, 2)
    cuts = Cuts(chosen, chosen & last, cut[:, 0], cut[:, 1])
    pieces = cut_texts(pa.array(texts, pa.large_string()), cuts).to_pylist()
    ends = [] if end_id is None else [end_id]
    found = arranged(flat_tokens([[*map(ord, one), *ends] for one in pieces], 1 << 20), cuts, MARKS, end_id)
    listed = [found.ids[a:b].tolist() for a, b in zip(found.offsets, found.offsets[1:], strict=False)]
    expected = [
        naive(text, *pair, second, one)
        for text, pair, second, one in zip(texts, places, cuts.suffix_first, chosen, strict=True)
    ]
    assert listed == [[*one, *ends] for one in expected]
    assert [original_order(one, MARKS) for one in expected] == [[*map(ord, text)] for text in texts]


def test_cuts_fall_on_every_character_border():
    n, text = 4000, "aé語🙂"
    columns = {"doc_id": [f"{number:032x}" for number in range(n)], "domain": ["docs"] * n, "heldout": [False] * n}
    batch = pa.record_batch(columns)
    texts = pa.array([text] * n, pa.large_string())
    cuts = cuts_of(batch, texts, FillInMiddle(rates={"docs": 1}), 3)
    begins = np.arange(n) * len(text.encode())
    for places in (cuts.first - begins, cuts.second - begins):
        assert set(places.tolist()) == {0, 1, 3, 6, 10}
    assert (cuts.first <= cuts.second).all()


def test_marks_of_one_name_are_a_mistake():
    section = FillInMiddle(rates={"docs": 1}, prefix="<|a|>", suffix="<|a|>")
    assert [one.keys for one in section.mistakes()] == [("prefix", "suffix", "middle")]
    with pytest.raises(ValidationError, match="greater than 0"):
        FillInMiddle(rates={"docs": 0})
