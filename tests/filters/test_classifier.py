"""Classifiers on small made texts: repeatable training, scores, and every mistake in the inputs named."""

import gzip
import hashlib
import json
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.errors import SourceError, UnknownNameError
from gristmill.corpus.measuring import measure_part
from gristmill.corpus.tables import read_part, write_part
from gristmill.filters.models.classifier import (
    MAX_CHARS,
    evaluate,
    load_model,
    normalise,
    predict,
    train_classifier,
)
from gristmill.filters.models.classifier_metrics import auc, precision_recall_f1
from gristmill.filters.models.examples import read_examples
from gristmill.filters.models.stage import CLASSIFIER, Classifier

CALM = "the river runs by mill and miller grinds corn of village every day".split()  # noqa: SIM905
ANGRY = "what a stupid awful rotten heap idiots who ruin wreck this broken hateful place".split()  # noqa: SIM905
SMALL = {"dim": 8, "epochs": 10, "buckets": 1000}


def sentences(words: list[str], n: int, seed: int) -> list[str]:
    chosen = random.Random(seed)
    return [" ".join(chosen.choices(words, k=9)) + f" {number}" for number in range(n)]


def write_texts(path: Path, texts: list[str], **columns: list) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.table({"text": texts, **columns}), path)
    else:
        rows = [{"text": text, **{k: v[n] for k, v in columns.items()}} for n, text in enumerate(texts)]
        data = "".join(json.dumps(row) + "\n" for row in rows).encode()
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples")
    calm = write_texts(folder / "calm.parquet", sentences(CALM, 120, 1), other=list(range(120)))
    angry = write_texts(folder / "angry.jsonl", sentences(ANGRY, 80, 2))
    return {"positive": [angry], "negative": [calm]}


def trained(folder: Path, inputs: dict, **options):
    folder.mkdir(exist_ok=True)
    return train_classifier(folder, **inputs, **{**SMALL, **options})


@pytest.fixture(scope="module")
def model(inputs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    return folder / "model.bin", trained(folder, inputs)


def digest(folder: Path) -> str:
    return hashlib.sha256((folder / "model.bin").read_bytes()).hexdigest()


# ------------------------------------------------------------------------------------------------ training


def test_a_model_learns_and_says_how_well(model):
    path, outcome = model
    assert outcome.rows == 200
    assert outcome.facts["examples"] == {"negative": 120, "positive": 80}
    assert outcome.facts["trained_on"] + outcome.facts["heldout"] == 200
    assert 25 <= outcome.facts["heldout"] <= 55
    assert outcome.facts["accuracy"] > 0.95
    assert outcome.facts["labels"]["positive"]["f1"] > 0.95
    assert outcome.facts["labels"]["positive"]["auc"] > 0.99
    assert [one.name for one in path.parent.iterdir()] == ["model.bin"]


def test_training_repeats_byte_for_byte(inputs, tmp_path, model):
    again = trained(tmp_path / "again", inputs)
    assert digest(tmp_path / "again") == digest(model[0].parent)
    assert again == model[1]


def test_the_order_of_the_examples_changes_nothing(tmp_path, inputs, model):
    texts = pq.read_table(inputs["negative"][0])["text"].to_pylist()
    parts = [write_texts(tmp_path / f"{n}.jsonl.gz", texts[n::2][::-1]) for n in (1, 0)]
    trained(tmp_path / "model", {**inputs, "negative": parts})
    assert digest(tmp_path / "model") == digest(model[0].parent)


def test_another_seed_is_another_model(tmp_path, inputs, model):
    trained(tmp_path / "model", inputs, seed=1)
    assert digest(tmp_path / "model") != digest(model[0].parent)


def test_equal_texts_stand_on_one_side_of_the_split(tmp_path):
    """Each text five times: were they split apart, the model would have seen what it is measured on."""
    calm = write_texts(tmp_path / "calm.parquet", sentences(CALM, 20, 1) * 5)
    angry = write_texts(tmp_path / "angry.parquet", sentences(ANGRY, 20, 2) * 5)
    outcome = trained(tmp_path / "model", {"positive": [calm], "negative": [angry]}, holdout=0.3)
    assert outcome.facts["heldout"] % 5 == 0
    assert 0 < outcome.facts["heldout"] < 200


def test_labelled_examples_may_have_many_labels(tmp_path):
    texts, labels = [], []
    for number, label in enumerate(("code", "math", "news")):
        texts += sentences([f"{label}{word}" for word in CALM], 60, number)
        labels += [label] * 60
    path = write_texts(tmp_path / "labelled.parquet", texts, label=labels)
    outcome = trained(tmp_path / "model", {"labelled": [path]})
    assert outcome.facts["examples"] == {"code": 60, "math": 60, "news": 60}
    assert outcome.facts["accuracy"] > 0.95
    classifier = load_model(tmp_path / "model" / "model.bin", "classifiers.model")
    scores = predict(normalise(pa.array(texts[:3])), classifier, ["code", "math", "news"])
    assert scores.sum(axis=1) == pytest.approx(1, abs=1e-3)
    assert scores.argmax(axis=1).tolist() == [0, 0, 0]


def test_nothing_held_out_measures_nothing(tmp_path, inputs):
    facts = trained(tmp_path / "model", inputs, holdout=0.0).facts
    assert (facts["heldout"], facts["accuracy"], facts["labels"]) == (0, None, {})


# ------------------------------------------------------------------------------------------------ scores


def write_documents(folder: Path, texts: list[str]) -> Path:
    ids, sources = [f"d{number}" for number in range(len(texts))], ["web"] * len(texts)
    batch = pa.record_batch({"doc_id": ids, "source": sources, "text": pa.array(texts, pa.large_string())})
    write_part(folder / "documents.parquet", batch.schema, [batch])
    return folder / "documents.parquet"


def test_documents_are_scored_row_by_row(tmp_path, model):
    texts = [" ".join(CALM), "\n".join(ANGRY), "", " \n\t\u2028", "__label__positive " * 3, "\x00the river\r\n"]
    documents = write_documents(tmp_path, texts)
    outcome = measure_part(CLASSIFIER, documents, tmp_path, Classifier(name="anger"), {"model": [model[0]]})
    found = read_part(tmp_path / "classifier.parquet")
    assert found.column_names == ["doc_id", "score_anger"]
    assert found["doc_id"].to_pylist() == [f"d{number}" for number in range(6)]
    scores = found["score_anger"].to_pylist()
    assert scores[0] < 0.1 < 0.9 < scores[1] <= 1
    assert scores[2:4] == [0, 0]
    assert outcome.rows == 6
    assert outcome.facts == {"signal": "score_anger", "label": "positive"}
    assert outcome.accounts["web"].bytes_kept == sum(len(text.encode()) for text in texts)


def test_the_scores_of_two_labels_add_up_to_one(tmp_path, model):
    documents = write_documents(tmp_path, sentences(CALM + ANGRY, 30, 5))
    columns = []
    for label in ("positive", "negative"):
        measure_part(CLASSIFIER, documents, tmp_path, Classifier(name="x", label=label), {"model": [model[0]]})
        columns.append(read_part(tmp_path / "classifier.parquet")["score_x"].to_numpy())
    assert columns[0] + columns[1] == pytest.approx(1, abs=1e-3)
    assert np.ptp(columns[0]) > 0.5


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=60), max_size=6))
def test_any_text_becomes_one_line_without_a_label(texts):
    lines = normalise(pa.array(texts, pa.large_string()))
    for text, line in zip(texts, lines, strict=True):
        assert line.split() == line.split(" ") or not line
        assert "__label__" not in line
        assert "</s>" not in line
        assert sum(c.isalnum() for c in line) >= sum(c.isalnum() for c in text) * (text.isascii())


def test_only_the_beginning_of_a_document_is_seen():
    assert normalise(pa.array(["a" * MAX_CHARS + "b"])) == ["a" * MAX_CHARS]


# ------------------------------------------------------------------------------------------------ mistakes


def test_mistakes_in_the_examples_are_named(tmp_path, inputs):
    calm = write_texts(tmp_path / "calm.parquet", sentences(CALM, 20, 1))
    few = write_texts(tmp_path / "few.jsonl", sentences(ANGRY, 3, 2))
    (tmp_path / "broken.parquet").write_bytes(b"no parquet")
    (tmp_path / "text.csv").write_text("text\n")
    spaced = write_texts(tmp_path / "spaced.jsonl", ["a b"] * 24, label=["one two", "three"] * 12)
    for options, message in [
        ({"positive": [tmp_path / "none.jsonl"]}, r"no examples at .*none\.jsonl; set classifiers\.positive"),
        ({"positive": [tmp_path / "broken.parquet"]}, r"broken\.parquet is not what its name says"),
        ({"positive": [tmp_path / "text.csv"]}, r"text\.csv: examples are read from \.parquet and \.jsonl"),
        ({"labelled": [calm]}, r"calm\.parquet has no column 'label'; it has text"),
        ({"positive": [calm]}, r"needs two labels, the examples have 1; set classifiers\.negative"),
        ({"positive": [few], "negative": [calm]}, r"label 'positive' has 3 examples, 10 are needed"),
        ({"labelled": [spaced]}, r"label 'one two' is no single word"),
    ]:
        with pytest.raises(SourceError, match=message):
            trained(tmp_path, options)


def test_mistakes_in_applying_are_named(tmp_path, model):
    documents = write_documents(tmp_path, ["a"])
    with pytest.raises(UnknownNameError, match=r"unknown label 'postive'; did you mean 'positive'"):
        measure_part(CLASSIFIER, documents, tmp_path, Classifier(name="x", label="postive"), {"model": [model[0]]})
    with pytest.raises(SourceError, match=r"no model at .*none\.bin; set classifiers\.model"):
        measure_part(CLASSIFIER, documents, tmp_path, Classifier(name="x"), {"model": [tmp_path / "none.bin"]})


def test_examples_are_read_in_order_and_empty_ones_left_out(tmp_path):
    first = write_texts(tmp_path / "a.jsonl", ["one", "", "two"])
    second = write_texts(tmp_path / "b.parquet", ["three", None])
    found = read_examples([first], [second], [])
    assert found.to_pylist() == [
        {"text": "one", "label": "positive"},
        {"text": "two", "label": "positive"},
        {"text": "three", "label": "negative"},
    ]
    assert len(read_examples([], [], [])) == 0


# ------------------------------------------------------------------------------------------------ figures


def naive_auc(scores: list[float], positive: list[bool]) -> float:
    wins = [
        1.0 if high > low else 0.5 if high == low else 0.0
        for high, good in zip(scores, positive, strict=True)
        for low, bad in zip(scores, positive, strict=True)
        if good and not bad
    ]
    return sum(wins) / len(wins) if wins else float("nan")


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=12))
def test_auc_equals_the_share_of_pairs_in_order(rows):
    scores, positive = [float(score) for score, _ in rows], [good for _, good in rows]
    found = auc(np.array(scores), np.array(positive, bool))
    assert found == pytest.approx(naive_auc(scores, positive), nan_ok=True)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=12))
def test_f1_is_the_harmonic_mean_of_precision_and_recall(rows):
    found, true = (np.array([row[side] for row in rows], bool) for side in (0, 1))
    precision, recall, f1 = precision_recall_f1(found, true)
    assert f1 == pytest.approx(2 * precision * recall / (precision + recall) if precision + recall else 0)


def test_figures_by_label():
    labels = np.array(["a", "b", "b", "b"], object)
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.6, 0.4]])
    figures = evaluate(scores, labels, ["a", "b"])
    assert figures["accuracy"] == 0.75
    assert figures["labels"]["a"] == {"precision": 0.5, "recall": 1.0, "f1": 0.6667, "auc": 1.0}
    assert figures["labels"]["b"]["recall"] == 0.6667
