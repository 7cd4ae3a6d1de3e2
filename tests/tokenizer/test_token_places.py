"""Where stretches of bytes lie among tokens: the fewest whole tokens that hold them, also in rearranged documents."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.tokenizer.bpe_training import train_tokenizer
from gristmill.tokenizer.cutting import cut_spans
from gristmill.tokenizer.encode import TOKENS, encode_part
from gristmill.tokenizer.encoded_batch import AS_THEY_ARE, Encoding
from gristmill.tokenizer.moved_bytes import after_cuts
from gristmill.tokenizer.reference_encoder import Tokens
from gristmill.tokenizer.stage import FillInMiddle, Specials, Tokenizer
from gristmill.tokenizer.text_tokenizer import TextTokenizer
from gristmill.tokenizer.token_places import NOWHERE, ByteStretches, TokenPlaces

MARKS = FillInMiddle(rates={"docs": 0.7})


@pytest.fixture(scope="module")
def tokenizer(parts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("places")
    train_tokenizer(parts, folder, section=Tokenizer(vocab_size=700, specials=MARKS.added_to(Specials())), seed=1)
    return folder / "tokenizer.json"


@pytest.mark.parametrize("marks", [None, MARKS])
def test_the_fewest_tokens_that_hold_a_stretch(parts, tokenizer, tmp_path, marks):
    encode_part(
        *parts[0], tokenizer, tmp_path, encoding=Encoding(fill_in_middle=marks, seed=5) if marks else AS_THEY_ARE
    )
    table = pq.read_table(tmp_path / TOKENS).combine_chunks()
    lists = table["tokens"].combine_chunks()
    offsets = np.append(0, np.cumsum(lists.value_lengths().to_numpy().astype(np.int64)))
    ids, draw, text = lists.flatten().to_numpy(), np.random.default_rng(2), TextTokenizer(tokenizer)
    texts = [one.encode() for one in pq.read_table(parts[0][0])["text"].to_pylist()]
    document = np.sort(draw.integers(0, len(texts), 400))
    start = np.array([draw.integers(0, len(texts[d])) for d in document])
    end = np.array([draw.integers(s + 1, min(s + 9, len(texts[d])) + 1) for d, s in zip(document, start, strict=True)])
    places = TokenPlaces(tokenizer, marks.named if marks else ())
    found = places.find(Tokens(offsets, ids), ByteStretches(document, start, end))
    spelled, apart = lambda at: b"".join(word[one] for one in ids[at]), 0
    word = token_words(tokenizer)
    for n, d in enumerate(document):
        if found.start[n] == NOWHERE:
            apart += 1
            assert marks
            assert ids[offsets[d]] == text.control[marks.prefix]
            continue
        first = offsets[d] + found.start[n]
        assert texts[d][start[n] : end[n]] in spelled(slice(first, first + found.length[n]))
        if found.length[n] > 1 and not marks:
            before = len(spelled(slice(offsets[d], first + 1)))
            assert before > start[n]
            assert len(spelled(slice(offsets[d], first + found.length[n] - 1))) < end[n]
    assert apart < 20
    assert bool(apart) == bool(marks)


def token_words(tokenizer):
    from gristmill.tokenizer.spelling import token_bytes

    return token_bytes(TextTokenizer(tokenizer).config)


SPAN = st.lists(st.integers(0, 30), min_size=0, max_size=8, unique=True).map(sorted)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(SPAN, min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 29), st.integers(1, 4)), max_size=9),
    st.data(),
)
def test_bytes_move_with_their_text(bounds, wanted, data):
    texts = [bytes(range(65, 96)).decode()] * len(bounds)  # 31 different letters
    reason = st.sampled_from(["cut:x", "mask:email"])
    spans = [
        [{"start": a, "end": b, "reason": data.draw(reason)} for a, b in zip(one[::2], one[1::2], strict=False)]
        for one in bounds
    ]
    kind = pa.list_(pa.struct([("start", pa.int32()), ("end", pa.int32()), ("reason", pa.string())]))
    column = pa.array(spans, kind)
    left = cut_spans(pa.array(texts, pa.large_string()), column).to_pylist()
    wanted = [(d, s, min(s + n, 31)) for d, s, n in wanted if d < len(bounds)]
    document, start, end = np.array(wanted, np.int64).reshape(-1, 3).T
    moved, whole = after_cuts(column, ByteStretches(document, start, end))
    for n, (d, s, e) in enumerate(wanted):
        touched = any(span["start"] < e and s < span["end"] for span in spans[d])
        assert whole[n] == (not touched)
        if whole[n]:
            assert left[d].encode()[moved.start[n] : moved.end[n]].decode() == texts[d][s:e]
