"""Mentions at their places in rows, against plain Python: pieces of long documents, and targets that they touch."""

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.handoff.shards import ShardWriter
from gristmill.knowledge.row_mentions import DocumentMentions, key_of, mentions_in_rows

ROW = 8


@st.composite
def packed(draw):
    """(length of each document, pieces left out of the rows, targets of each row, mentions)."""
    lengths = draw(st.lists(st.integers(1, 20), min_size=1, max_size=5))
    pieces = [(d, at, min(ROW, n - at)) for d, n in enumerate(lengths) for at in range(0, n, ROW)]
    left_out = draw(st.sets(st.integers(0, len(pieces) - 1), max_size=2))
    rows = [piece for number, piece in enumerate(pieces) if number not in left_out]
    bounds = st.lists(st.integers(0, ROW), max_size=4, unique=True).map(sorted)
    targets = [
        [(a, b - a) for a, b in zip(found[::2], found[1::2], strict=False)] for found in (draw(bounds) for _ in rows)
    ]
    mentions = []
    for document, n in enumerate(lengths):
        starts = draw(st.lists(st.integers(0, n - 1), max_size=4, unique=True).map(sorted))
        mentions += [(document, at, draw(st.integers(1, min(3, n - at)))) for at in starts]
    return lengths, rows, targets, mentions


def naive(rows, targets, mentions):
    """(row, start, mention, touches a target) of what stands whole in one row, and counts of what does not."""
    found, between, nowhere = [], 0, 0
    for number, (document, start, length) in enumerate(mentions):
        place = [n for n, (d, at, size) in enumerate(rows) if d == document and at <= start < at + size]
        if not place:
            nowhere += 1
            continue
        (row,) = place
        _, at, size = rows[row]
        if start + length > at + size:
            between += 1
            continue
        inside = range(start - at, start - at + length)
        hit = any(place in range(a, a + n) for a, n in targets[row] for place in inside)
        found.append((row, start - at, number, hit))
    return sorted(found), between, nowhere


@settings(deadline=None, max_examples=60)
@given(packed(), st.booleans())
def test_equal_to_plain_python(tmp_path_factory, corpus, masked):
    lengths, rows, targets, mentions = corpus
    folder = tmp_path_factory.mktemp("rows")
    options = {"row_tokens": ROW, "vocab_size": 9, "shard_rows": 3, "batch_rows": 2, "targets": masked}
    lists = [[{"doc_id": f"d{d}", "start": 0, "length": size, "offset": at}] for d, at, size in rows]
    counted = [[{"start": a, "length": n} for a, n in found] for found in targets]
    with ShardWriter(folder, **options) as writer:
        if rows:
            writer.write(np.zeros((len(rows), ROW), np.int64), lists, counted if masked else None)
    document, start, length = np.array(mentions, np.int64).reshape(-1, 3).T
    names = pa.array([f"d{n}" for n in range(len(lengths))])
    text = pa.array(["x"] * len(mentions), pa.string())
    found, left_out = mentions_in_rows(DocumentMentions(names, document, start, length, text, text), folder)
    expected, between, nowhere = naive(rows, targets if masked else [[]] * len(rows), mentions)
    got = zip(found.row, found.start, found.mention, found.is_target, strict=True)
    assert [tuple(map(int, one)) for one in got] == [tuple(map(int, one)) for one in expected]
    assert left_out == {"between_rows": between, "no_row": nowhere}


def test_keys_keep_the_order_of_documents_and_rows_up_to_two_thousand_million():
    numbers = np.array([0, 2**23 - 1, 2**23, 2**31 - 1])
    keys = key_of(np.repeat(numbers, 2), np.tile([0, 2**25], 4))
    assert (np.diff(keys) > 0).all()
