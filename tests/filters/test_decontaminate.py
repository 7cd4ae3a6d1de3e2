"""Decontamination: against sets of word tuples in plain Python, and on the planted sentences of samples/eval."""

import gzip
import json
import math
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.account import check_conservation
from gristmill.corpus.errors import RecipeError, SchemaError, SourceError
from gristmill.corpus.measuring import measure_part
from gristmill.corpus.recipe_file import check_tables
from gristmill.corpus.schema import signals_schema
from gristmill.corpus.tables import read_part, write_part
from gristmill.filters.lists import decontaminate
from gristmill.filters.lists.stage import CONTAMINATION, BenchmarkFacts, Decontaminate

SAMPLES = Path(__file__).parents[2] / "samples"


def screen(documents, folder, sets):
    """Measure a part against evaluation sets given as paths."""
    named = {name: [str(path) for path in paths] for name, paths in sets.items()}
    return measure_part(CONTAMINATION, documents, folder, Decontaminate(sets=named), sets)


# ------------------------------------------------------------------------------------------------ the twin


def grams_of(text: str, width: int) -> set[tuple[str, ...]]:
    words = text.lower().split()
    return {tuple(words[at : at + width]) for at in range(len(words) - width + 1)}


def passage_grams(text: str, ngram: int, short: int) -> set[tuple[str, ...]]:
    return grams_of(text, ngram if len(text.split()) >= ngram else short)


def twin(document: str, passages: list[str], ngram: int, short: int) -> list[float]:
    """Share of each passage; texts of ASCII words between blanks."""
    held = grams_of(document, ngram) | grams_of(document, short)
    with_gram = Counter(gram for passage in passages for gram in passage_grams(passage, ngram, short))
    shares = []
    for passage in passages:
        weights = {gram: math.log1p(len(passages) / with_gram[gram]) for gram in passage_grams(passage, ngram, short)}
        total = sum(weights.values())
        shares.append(sum(weight for gram, weight in weights.items() if gram in held) / total if total else 0.0)
    return shares


texts = st.lists(st.sampled_from(["a", "b", "B", "cc", "ddd"]), max_size=14).map(" ".join)


def part(folder: Path, documents: list[str]) -> Path:
    ids = pa.array([f"{number:032x}" for number in range(len(documents))], pa.string())
    sources = pa.array(["web"] * len(documents), pa.string())
    batch = pa.record_batch({"doc_id": ids, "source": sources, "text": pa.array(documents, pa.large_string())})
    write_part(folder / "documents.parquet", batch.schema, [batch.slice(0, 1), batch.slice(1)])
    return folder / "documents.parquet"


def jsonl(path: Path, passages: list[str], field: str = "text") -> Path:
    path.write_text("".join(json.dumps({field: passage}) + "\n" for passage in passages))
    return path


@given(st.lists(texts, max_size=4), st.lists(texts, max_size=5), st.integers(2, 4), st.integers(0, 2))
def test_shares_equal_the_twin(tmp_path_factory, documents, passages, short, more):
    folder = tmp_path_factory.mktemp("sets")
    index = decontaminate.load_passages((("b", (jsonl(folder / "b.jsonl", passages),)),), "text", short + more, short)
    ids = [str(number) for number in range(len(documents))]
    batch = pa.record_batch({"doc_id": pa.array(ids, pa.string()), "text": pa.array(documents, pa.large_string())})
    signals, pairs = decontaminate.score(batch, index, 0.3)
    expected = [twin(document, passages, short + more, short) for document in documents]
    best = signals["contamination"].to_pylist()
    assert best == pytest.approx([max(shares, default=0.0) for shares in expected], abs=1e-5)
    clear = [[(p, s) for p, s in enumerate(shares) if abs(s - 0.3) > 1e-5] for shares in expected]
    wanted = {(str(d), p): s for d, shares in enumerate(clear) for p, s in shares if s > 0.3}
    found = {
        (row["doc_id"], row["passage"]): row["share"] for row in pairs.to_pylist() if abs(row["share"] - 0.3) > 1e-5
    }
    assert found == pytest.approx(wanted, abs=1e-5)


# ------------------------------------------------------------------------------------------------ real text


def sample_documents() -> list[str]:
    """The parquet texts of the sample corpus that evaluation sentences were taken from."""
    files = [SAMPLES / "legal/state-of-the-union.parquet", SAMPLES / "docs/gnome-help.parquet"]
    files += [SAMPLES / "docs/python-docs.parquet"]
    return [text for file in files for text in pq.read_table(file, columns=["text"]).column(0).to_pylist()]


def test_every_planted_passage_is_found_and_no_other(tmp_path):
    file = SAMPLES / "eval/contamination.jsonl"
    rows = [json.loads(line) for line in file.read_text().split("\n") if line]
    planted = {number for number, row in enumerate(rows) if row["contaminated"] and row["file"].endswith(".parquet")}
    absent = {number for number, row in enumerate(rows) if row["contaminated"] is False}
    outcome = screen(part(tmp_path, sample_documents()), tmp_path, {"eval": [file]})
    found = set(read_part(tmp_path / "passages.parquet").column("passage").to_pylist())
    assert {row["kind"] for row in rows if row["contaminated"]} == {"verbatim", "recased", "respaced"}
    assert len(planted) > 40
    assert planted <= found
    assert not found & absent
    assert not {number for number in found if rows[number]["contaminated"] is None}  # halves
    assert outcome.facts["benchmarks"]["eval"]["found"] == len(found)


# ------------------------------------------------------------------------------------------------ the stage

LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
EIGHT = "Alpha, beta -- gamma; delta epsilon zeta eta theta!"


def test_a_part_is_scored(tmp_path):
    sets = {"b": [jsonl(tmp_path / "b.jsonl", [EIGHT]), jsonl(tmp_path / "c.jsonl", [LONG, "too short"])]}
    sets["a"] = [jsonl(tmp_path / "a.jsonl", [LONG.upper()])]
    documents = part(tmp_path, [f"x {LONG}. y", "alpha beta gamma DELTA epsilon\nzeta eta theta", "", "nothing"])
    outcome = screen(documents, tmp_path, sets)
    check_conservation("contamination", outcome.accounts)
    assert outcome.facts["benchmarks"] == {
        "b": {"passages": 3, "too_short": 1, "found": 2, "documents": 2},
        "a": {"passages": 1, "too_short": 0, "found": 1, "documents": 1},
    }
    signals = read_part(tmp_path / "contamination.parquet")
    assert signals.schema == signals_schema(CONTAMINATION.signals)
    assert signals.column("contamination").to_pylist() == [1, 1, 0, 0]
    assert signals.column("contaminated_passages").to_pylist() == [2, 1, 0, 0]
    pairs = read_part(tmp_path / "passages.parquet").to_pylist()
    assert [(row["benchmark"], row["passage"], row["share"]) for row in pairs] == [
        ("b", 1, 1),
        ("a", 0, 1),
        ("b", 0, 1),
    ]


def test_a_report_counts_a_passage_of_two_parts_once(tmp_path):
    file = jsonl(tmp_path / "b.jsonl", [LONG])
    folders = [tmp_path / "0", tmp_path / "1"]
    for folder in folders:
        folder.mkdir()
        screen(part(folder, [LONG, LONG]), folder, {"b": [file]})
    index = decontaminate.load_passages((("b", (file,)),))
    report = decontaminate.contamination_report(folders, index)
    assert report == {"b": BenchmarkFacts(passages=1, too_short=0, found=1, documents=2)}
    assert decontaminate.contamination_report([], index)["b"].found == 0


def test_standing_words_of_a_benchmark_weigh_little(tmp_path):
    frame = "choose the one correct answer to the question below"
    passages = [f"{frame} {name} was a king of which of these four countries" for name in ("arthur", "louis", "olaf")]
    index = decontaminate.load_passages((("b", (jsonl(tmp_path / "b.jsonl", passages),)),), "text", 8, 8)
    batch = pa.record_batch({"doc_id": ["d"], "text": [frame]})
    share = decontaminate.score(batch, index, 0.8)[0]["contamination"][0].as_py()
    assert 0 < share < 2 / 12  # two of twelve grams, both in every passage


def test_many_hits_outgrow_the_first_table(tmp_path):
    index = decontaminate.load_passages((("b", (jsonl(tmp_path / "b.jsonl", [EIGHT, EIGHT]),)),))
    batch = pa.record_batch({"doc_id": [str(number) for number in range(3_000)], "text": [EIGHT] * 3_000})
    signals, pairs = decontaminate.score(batch, index, 0.8)
    assert pairs.num_rows == 6_000
    assert set(signals["contaminated_passages"].to_pylist()) == {2.0}


def test_sets_come_as_parquet_and_gzip_too(tmp_path):
    pq.write_table(pa.table({"question": [LONG, None]}), tmp_path / "q.parquet")
    with gzip.open(tmp_path / "q.jsonl.gz", "wt") as file:
        file.write(json.dumps({"question": EIGHT}) + "\n")
    paths = (tmp_path / "q.parquet", tmp_path / "q.jsonl.gz")
    index = decontaminate.load_passages((("q", paths),), "question")
    assert [total > 0 for total in index.totals] == [True, False, True]


def test_no_sets_and_no_documents(tmp_path):
    assert screen(part(tmp_path, ["text"]), tmp_path, {}).facts == {"benchmarks": {}}
    assert screen(part(tmp_path, []), tmp_path, {"b": [jsonl(tmp_path / "b", [LONG])]}).rows == 0


@pytest.mark.parametrize("bounds", [{"threshold": 0}, {"threshold": 1.1}, {"short_ngram": 14}, {"short_ngram": 1}])
def test_bounds_out_of_range(bounds):
    """What is out of range by itself the section refuses; what does not fit together is a mistake."""
    with pytest.raises(RecipeError, match=next(iter(bounds))):
        check_tables({"sets": {"b": ["x"]}, **bounds}, Decontaminate, lambda _: (), "", "test")


def test_bad_sets_are_named(tmp_path):
    pq.write_table(pa.table({"question": [LONG]}), tmp_path / "q.parquet")
    for path, error, message in (
        (tmp_path / "gone.jsonl", SourceError, "no evaluation set"),
        (tmp_path / "q.parquet", SchemaError, "no column 'text'"),
        (jsonl(tmp_path / "q.jsonl", [LONG], "question"), SourceError, r"q.jsonl:1 .*set decontaminate.text_field"),
    ):
        with pytest.raises(error, match=message):
            decontaminate.load_passages((("b", (path,)),))
