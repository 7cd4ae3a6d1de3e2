"""Repeated lines and paragraphs against a naive twin; laws: first copy stays, nothing depends on parts or order."""

import random
import re
from itertools import combinations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.account import check_conservation
from gristmill.corpus.errors import RecipeError, SchemaError, UnknownNameError
from gristmill.corpus.schema import SPANS
from gristmill.corpus.text.columns import text_column
from gristmill.dedup import copies
from gristmill.dedup.repeats import _kernels_lines
from gristmill.dedup.repeats.lines import line_spans

WORDS = ["Menu", "übergroß", "中文字", "a", " ", "\t", "\r\n", "\n", "\n\n", "\n \n", "x" * 70, "😀é"]
texts = st.lists(st.sampled_from(WORDS), max_size=12).map("".join)
corpora = st.lists(st.tuples(texts, st.sampled_from(["web", "books"])), max_size=8).map(
    lambda rows: [(f"{i:02}", *row) for i, row in enumerate(rows)]
)


def naive_units(data, unit):
    """(start, end, content) of lines, or of paragraphs with the blank lines behind them."""
    found, at, blank_before = [], 0, True
    for line in re.findall(rb"[^\n]*\n|[^\n]+", data):
        end, content = at + len(line), line.strip()
        if unit == "line" or (content and blank_before):
            found.append([at, end])
        elif found:
            found[-1][1] = end
        blank_before, at = not content, end
    return [(start, end, data[start:end].strip()) for start, end in found]


def naive_spans(rows, unit, min_chars, scope):
    seen, spans = set(), {}
    for doc_id, text, source in sorted(rows):
        for start, end, content in naive_units(text.encode(), unit):
            key = content, source if scope == "source" else ""
            if len(content.decode()) >= min_chars and content:
                if key in seen:
                    spans.setdefault(doc_id, []).append((start, end))
                seen.add(key)
    return {doc_id: joined(found) for doc_id, found in spans.items()}


def joined(spans):
    out = [list(spans[0])]
    for start, end in spans[1:]:
        if start == out[-1][1]:
            out[-1][1] = end
        else:
            out.append([start, end])
    return [tuple(span) for span in out]


def cut(text, spans):
    data = text.encode()
    for start, end in reversed(spans):
        data = data[:start] + data[end:]
    return data.decode()


@pytest.fixture(scope="session")
def find(tmp_path_factory, write_documents, kept_of):
    def run(rows, *, n_parts=1, keep=None, **options):
        """Spans by doc_id, and the outcome."""
        paths = write_documents([rows[i::n_parts] for i in range(n_parts)])
        folder = tmp_path_factory.mktemp("spans")
        outcome = line_spans(paths, kept_of(paths, keep), folder, **options)
        table = pq.read_table(folder / "spans.parquet")
        assert [path.name for path in folder.iterdir()] == ["spans.parquet"]
        assert table.schema == SPANS
        assert table["doc_id"].to_pylist() == sorted(table["doc_id"].to_pylist())
        assert outcome.rows == len(table)
        check_conservation("lines", outcome.accounts)
        found = {row["doc_id"]: [(s["start"], s["end"]) for s in row["spans"]] for row in table.to_pylist()}
        reasons = {s["reason"] for row in table.to_pylist() for s in row["spans"]}
        assert reasons <= {options["unit"]}
        return found, outcome

    return run


options = st.fixed_dictionaries(
    {
        "unit": st.sampled_from(["line", "paragraph"]),
        "min_chars": st.sampled_from([1, 4, 8]),
        "scope": st.sampled_from(["corpus", "source"]),
    }
)


@given(rows=corpora, options=options)
def test_spans_equal_the_naive_ones(find, rows, options):
    found, _ = find(rows, **options)
    assert found == naive_spans(rows, **options)


@given(rows=corpora, options=options, n_parts=st.integers(1, 4), seed=st.randoms())
def test_spans_do_not_depend_on_parts_or_order(find, rows, options, n_parts, seed):
    expected, outcome = find(rows, **options)
    shuffled = rows.copy()
    seed.shuffle(shuffled)
    found, other = find(shuffled, n_parts=n_parts, **options)
    assert found == expected
    assert other == outcome


@given(rows=corpora, options=options)
def test_after_cutting_every_unit_is_there_exactly_once(find, rows, options):
    found, _ = find(rows, **options)
    left = [(doc_id, cut(text, found.get(doc_id, [])), source) for doc_id, text, source in rows]
    assert naive_spans(left, **options) == {}
    assert contents(left, options) == contents(rows, options)


def contents(rows, options):
    found = (naive_units(text.encode(), options["unit"]) for _, text, _ in rows)
    return {content for units in found for *_, content in units if len(content.decode()) >= options["min_chars"]}


@given(rows=corpora, keep=st.sets(st.sampled_from([f"{i:02}" for i in range(8)])))
def test_only_kept_documents_count(find, rows, keep):
    options = {"unit": "line", "min_chars": 4, "scope": "corpus"}
    found, outcome = find(rows, keep=keep, n_parts=2, **options)
    kept = [row for row in rows if row[0] in keep]
    assert found == naive_spans(kept, **options)
    assert sum(account.documents_in for account in outcome.accounts.values()) == len(kept)


def test_counts_by_source(find):
    rows = [("a", "Home | About\nOne text here.\n", "web"), ("b", "Home | About\nAnother text.", "web")]
    rows += [("c", "  Home | About\r\nHome | About", "books")]
    found, outcome = find(rows, unit="line", min_chars=5, scope="corpus")
    assert found == {"b": [(0, 13)], "c": [(0, 28)]}
    assert outcome.facts == {
        "unit": "line",
        "units": 6,
        "duplicates": 3,
        "bytes_removed": 41,
        "by_source": {
            "books": {"units": 2, "duplicates": 2, "bytes_removed": 28},
            "web": {"units": 4, "duplicates": 1, "bytes_removed": 13},
        },
    }
    by_source = outcome.facts["by_source"]
    assert (
        outcome.accounts["books"].bytes_kept
        == outcome.accounts["books"].bytes_in
        == by_source["books"]["bytes_removed"]
    )
    assert by_source["web"]["bytes_removed"] == 13


def test_characters_are_counted_not_bytes(find):
    rows = [("a", "中文字\n", "web"), ("b", "中文字\n", "web")]
    assert find(rows, unit="line", min_chars=4, scope="corpus")[0] == {}
    assert find(rows, unit="line", min_chars=3, scope="corpus")[0] == {"b": [(0, 10)]}


def test_many_ranges_give_the_same_bytes(find, monkeypatch, sample_texts):
    chosen = random.Random(3).sample(sample_texts, 60)
    rows = [(doc_id, text, "web") for doc_id, text in dict(chosen).items()]
    options = {"unit": "line", "min_chars": 20, "scope": "corpus"}
    expected, outcome = find(rows, **options)
    monkeypatch.setattr(copies, "RANGE_BYTES", 1000)
    found, other = find(rows, n_parts=3, **options)
    assert expected == naive_spans(rows, **options)
    assert found == expected
    assert other == outcome
    assert outcome.facts["duplicates"] > 50


def test_spans_of_real_text_lie_between_characters(find, sample_texts):
    rows = [(doc_id, text, "web") for doc_id, text in dict(sample_texts[:40]).items()]
    found, _ = find(rows, unit="paragraph", min_chars=10, scope="corpus")
    for doc_id, text, _ in rows:
        cut(text, found.get(doc_id, []))  # decodes


def test_a_corpus_without_documents(find):
    found, outcome = find([], unit="line", min_chars=1, scope="corpus")
    assert found == {}
    assert outcome.accounts == {}


def test_parameters_out_of_range_are_refused(tmp_path):
    with pytest.raises(RecipeError, match=r"dedup\.lines\.min_chars = 0"):
        line_spans([], [], tmp_path, min_chars=0)
    with pytest.raises(UnknownNameError, match="did you mean 'paragraph'"):
        line_spans([], [], tmp_path, unit="paragraphs")
    with pytest.raises(UnknownNameError, match=r"dedup\.lines\.scope"):
        line_spans([], [], tmp_path, scope="part")
    with pytest.raises(SchemaError, match="1 parts of documents but 0"):
        line_spans([tmp_path], [], tmp_path)


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=20), st.integers(0, 2**64 - 1))
def test_hashes_tell_lines_apart_and_agree_on_equal_ones(lines, seed):
    values = [line.hex() for line in lines]
    text = text_column(pa.table({"text": pa.array(values, pa.large_string())}))
    records = np.zeros((len(values), 4), np.uint64)
    seeds = np.full(len(values), seed, np.uint64)
    counts = np.zeros(len(values), np.int64)
    n = _kernels_lines.unit_records(*text, np.arange(len(values)), seeds, False, 1, records, counts)
    assert n == len(values)
    assert counts.tolist() == [1] * n
    for hashes in records[:, 1].tolist(), records[:, 2].tolist():
        for (one, value), (other, another) in combinations(zip(hashes, values, strict=True), 2):
            assert (one == other) == (value == another)


@given(st.integers(1, 130), st.integers(0, 130), st.integers(0, 129))
def test_a_line_is_as_long_as_its_characters(min_chars, n_chars, wide):
    """Lines about as long as the bound, all ASCII but one place; bytes and ASCII decide most, counting the rest."""
    line = "".join("é" if i == wide else "a" for i in range(n_chars))
    text = text_column(pa.table({"text": pa.array([f" {line}\t\n"], pa.large_string())}))
    records, counts = np.zeros((2, 4), np.uint64), np.zeros(1, np.int64)
    seeds = np.zeros(1, np.uint64)
    found = _kernels_lines.unit_records(*text, np.arange(1), seeds, False, min_chars, records, counts)
    assert found == (n_chars >= min_chars)


@given(st.binary(min_size=1, max_size=70), st.integers(0, 69), st.integers(0, 7))
def test_every_bit_of_a_line_counts_in_both_hashes(data, place, bit):
    place %= len(data)
    other = data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]
    hashes = []
    for line in (data, other):
        padded = np.frombuffer(line + b"junk" * 20, np.uint8).copy()
        hashes.append(_kernels_lines._hash128(padded, 0, len(line), np.uint64(0)))
    assert hashes[0][0] != hashes[1][0]
    assert hashes[0][1] != hashes[1][1]
