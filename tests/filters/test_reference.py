"""References: the fitted model and its scores against the formula in plain Python; order of words; broken files."""

import hashlib
import json
import math
from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.errors import SourceError
from gristmill.corpus.measuring import measure_part
from gristmill.corpus.tables import write_part
from gristmill.filters.models._kernels_ngrams import BLOCK
from gristmill.filters.models.examples import read_texts
from gristmill.filters.models.ngrams import CODE_POINTS, fit_model, symbols_of
from gristmill.filters.models.reference import (
    FILE,
    as_reference,
    fit_reference,
    load_reference,
    score_texts,
)
from gristmill.filters.models.stage import REFERENCE, Reference

ORDER = 4
PROSE = "To be, or not to be: that is the question. Whether it is nobler in the mind to suffer. " * 3
WIDE = {*range(0x21), *range(0x7F, 0xA1), *range(0x2000, 0x200C), 0x2028, 0x2029, 0x3000}
alphabet = st.text(st.sampled_from("aab be7\n\t\u00a0éé中文\U0001f469"), max_size=40)
texts = st.lists(alphabet | st.text(max_size=20), min_size=1, max_size=6)


# ------------------------------------------------------------------------------------------------ the twin


def naive_symbols(text: str) -> str:
    """Behind a space, runs of white space one, digits one."""
    plain = "".join(" " if ord(one) in WIDE else "0" if one in "0123456789" else one for one in text)
    return " " + " ".join(word for word in plain.split(" ") if word) if plain.strip(" ") else " "


class Naive:
    """n-grams as texts in dictionaries."""

    def __init__(self, fitted: list[str], order: int):
        self.order, self.times = order, Counter()
        for symbols in map(naive_symbols, fitted):
            for end in range(1, len(symbols) + 1):
                self.times.update(symbols[end - n : end] for n in range(1, min(order, end) + 1))
        self.followers: dict[str, list[int]] = defaultdict(list)
        for gram, times in self.times.items():
            self.followers[gram[:-1]].append(times)

    def known(self, gram: str) -> bool:
        return self.times[gram] > 1

    def backoff(self, context: str) -> float:
        found = self.followers.get(context, []) if not context or self.known(context) else []
        return (len(found) + found.count(1)) / (sum(found) + len(found)) if found else 1.0

    def chance(self, gram: str) -> float:
        if not gram:
            return 1 / CODE_POINTS
        found = self.followers.get(gram[:-1], [])
        counted = self.times[gram] if self.known(gram) else 0
        share = counted / (sum(found) + len(found)) if found else 0
        return share + self.backoff(gram[:-1]) * self.chance(gram[1:])

    def units(self, symbol: str, context: str) -> int:
        total = 0
        while True:
            if self.known(context + symbol):
                return total + max(1, charge(self.chance(context + symbol)))
            if not context:
                return total + charge(self.backoff("") / CODE_POINTS)
            total += charge(self.backoff(context)) if self.known(context) else 0
            context = context[1:]

    def score(self, text: str) -> tuple[float, float]:
        symbols, inside = naive_symbols(text), 1
        total, alone, words = 0, 0, 0
        for at in range(1, len(symbols)):
            before = symbols[max(0, at - self.order + 1) : at]
            total += self.units(symbols[at], before)
            alone += self.units(symbols[at], before[-inside:])
            words += symbols[at] != " " and inside == 1
            inside = 1 if symbols[at] == " " else inside + 1
        bits = total / (len(symbols) - 1) / 1024 if len(symbols) > 1 else 0.0
        return bits, (alone - total) / (words - 1) / 1024 if words > 1 else 0.0


def charge(chance: float) -> int:
    return round(math.log2(max(1.0, 1 / chance)) * 1024)


def column(found: list[str]) -> pa.Array:
    return pa.array(found, pa.large_string())


# ------------------------------------------------------------------------------------------------ equal answers


@given(texts)
def test_symbols_equal_their_definition(found):
    symbols, places = symbols_of(column(found))
    assert "".join(map(chr, symbols)) == "".join(map(naive_symbols, found))
    assert [int(place) for place in places] == [n for text in found for n in range(len(naive_symbols(text)))]


@given(texts, texts, st.integers(1, 6))
def test_scores_equal_the_formula(fitted, scored, order):
    fitted, scored = [*fitted, PROSE, PROSE[40:]], [*scored, PROSE[::-1], "to be the mind"]
    naive = Naive(fitted, order)
    found = score_texts(column(scored), as_reference(fit_model(column(fitted), order)))
    assert found == pytest.approx(np.array([naive.score(text) for text in scored]), abs=1e-9)


@given(texts)
def test_chances_sum_to_one(fitted):
    naive = Naive([*fitted, PROSE], 3)
    seen = {symbol for text in [*fitted, PROSE] for symbol in naive_symbols(text)}
    for context in ("", "t", "to", "qx"):
        rest = (CODE_POINTS - len(seen)) * naive.chance(context + "\x01")
        assert sum(naive.chance(context + symbol) for symbol in seen) + rest == pytest.approx(1)


@given(texts)
def test_the_order_of_texts_and_their_neighbours_change_nothing(found):
    first, second = fit_model(column([*found, PROSE]), ORDER), fit_model(column([PROSE, *found[::-1]]), ORDER)
    assert (first.keys == second.keys).all()
    assert (first.bits == second.bits).all()
    assert (first.backoffs == second.backoffs).all()
    reference = as_reference(first)
    alone = [score_texts(column([text]), reference)[0] for text in found]
    assert (score_texts(column(found), reference) == np.array(alone)).all()


@pytest.mark.parametrize("size", [BLOCK - 2, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 5 * BLOCK + 7])
def test_blocks_leave_no_seam(size):
    text = (PROSE * 40)[:size]
    naive = Naive([PROSE], ORDER)
    found = score_texts(column([text, text[1:]]), as_reference(fit_model(column([PROSE]), ORDER)))
    assert found == pytest.approx(np.array([naive.score(text), naive.score(text[1:])]), abs=1e-9)


def test_a_slice_scores_as_its_texts():
    reference = as_reference(fit_model(column([PROSE]), ORDER))
    found = column(["", "to be", PROSE, "中文 " * 9])
    assert (score_texts(found.slice(1), reference) == score_texts(found, reference)[1:]).all()


# ------------------------------------------------------------------------------------------------ what it sees


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    speeches = pq.read_table("samples/legal/state-of-the-union.parquet")["text"].to_pylist()
    paragraphs = [text[at : at + 1500] for text in speeches for at in range(0, len(text) - 1500, 1500)]
    path = folder / "texts.parquet"
    pq.write_table(pa.table({"text": paragraphs[:-60]}), path)
    outcome = fit_reference(folder, texts=[path], sample_bytes=600_000, seed=1)
    return load_reference(folder / FILE), paragraphs[-60:], outcome, path


def test_damage_is_surprising_and_shuffled_words_show_no_order(samples):
    reference, good, _, _ = samples
    drawn = np.random.default_rng(1)
    shuffled = [" ".join(drawn.permutation(text.split())) for text in good]
    noisy = [text.translate(str.maketrans("aeiostn", "qxzjvkw")) for text in good]
    clean, mixed, odd = (score_texts(column(found), reference) for found in (good, shuffled, noisy))
    assert (odd[:, 0] > clean[:, 0] + 1).all()
    assert (mixed[:, 1] < clean[:, 1]).mean() == 1
    assert np.median(mixed[:, 1]) < 0.3 * np.median(clean[:, 1])


def test_held_out_text_says_where_good_text_lies(samples):
    _, good, outcome, _ = samples
    facts = outcome.facts
    assert facts["fitted_on"] + facts["heldout"] == outcome.rows
    assert facts["heldout"] > 0.05 * outcome.rows
    found = score_texts(column(good), samples[0])
    for place, name in enumerate(("cross_entropy", "word_order")):
        assert facts[name]["p5"] < facts[name]["median"] < facts[name]["p95"]
        assert facts[name]["p5"] <= np.median(found[:, place]) <= facts[name]["p95"]


# ------------------------------------------------------------------------------------------------ stage and files


def test_fitting_repeats_byte_for_byte_and_the_seed_draws_the_sample(samples, tmp_path):
    def digest(name: str, seed: int) -> str:
        (tmp_path / name).mkdir()
        fit_reference(tmp_path / name, texts=[samples[3]], sample_bytes=50_000, seed=seed)
        return hashlib.sha256((tmp_path / name / FILE).read_bytes()).hexdigest()

    assert digest("a", 1) == digest("b", 1) != digest("c", 2)


def test_a_part_is_scored_row_by_row(samples, tmp_path):
    _, good, _, path = samples
    found = ["", *good[:5]]
    ids = [f"d{n}" for n in range(len(found))]
    batch = pa.record_batch({"doc_id": ids, "source": ["s"] * len(found), "text": column(found)})
    write_part(tmp_path / "documents.parquet", batch.schema, [batch])
    outcome = measure_part(
        REFERENCE, tmp_path / "documents.parquet", tmp_path, Reference(name="talk"), {"model": [path.parent / FILE]}
    )
    table = pq.read_table(tmp_path / "scores.parquet")
    assert table.column_names == ["doc_id", "cross_entropy_talk", "word_order_talk"]
    assert table.schema.field("cross_entropy_talk").metadata[b"unit"] == b"bits/character"
    assert table["doc_id"].to_pylist() == ids
    assert table["cross_entropy_talk"][0].as_py() == 0
    assert outcome.accounts["s"].documents_kept == len(found)
    assert outcome.facts == {"reference": hashlib.sha256((path.parent / FILE).read_bytes()).hexdigest()}


def test_texts_are_read_from_parquet_and_json_lines(tmp_path):
    pq.write_table(pa.table({"text": ["one", None, ""]}), tmp_path / "a.parquet")
    (tmp_path / "b.jsonl").write_text(json.dumps({"text": "two"}) + "\n")
    assert read_texts([tmp_path / "a.parquet", tmp_path / "b.jsonl"]).to_pylist() == ["one", "two"]
    with pytest.raises(SourceError, match=r"no texts at .*references\.texts"):
        read_texts([tmp_path / "none.jsonl"])
    pq.write_table(pa.table({"text": [""]}), tmp_path / "empty.parquet")
    with pytest.raises(SourceError, match=r"there is no text.*references\.texts"):
        read_texts([tmp_path / "empty.parquet"])


def test_a_file_that_is_no_reference_is_named(samples, tmp_path):
    with pytest.raises(SourceError, match=r"no reference at .*references\.model"):
        load_reference(tmp_path / "none.parquet")
    (tmp_path / "noise.parquet").write_bytes(b"noise")
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "other.parquet")
    table = pq.read_table(samples[3].parent / FILE)
    for order in (b"0", b"9", b"x"):
        facts = {**table.schema.metadata, b"order": order}
        pq.write_table(table.replace_schema_metadata(facts), tmp_path / f"order{order.decode()}.parquet")
    for name in ("noise", "other", "order0", "order9", "orderx"):
        with pytest.raises(SourceError, match=r"is no reference.*references\.model"):
            load_reference(tmp_path / f"{name}.parquet")
