from pathlib import Path

import pyarrow as pa
import pytest

from corpus.errors import SourceError
from corpus.schema import LANGUAGE
from corpus.tables import read_part, write_part
from filters.language import UNKNOWN, identify, identify_part, load_model

MODEL = Path(__file__).parents[2] / "samples" / "models" / "lid.176.ftz"
TEXTS = {
    "en": "The old mill stands by the river,\nand nobody has used it for years.",
    "de": "Die alte Mühle steht am Fluss, und niemand hat sie seit Jahren benutzt.",
    "fr": "Le vieux moulin se trouve au bord de la rivière depuis des années.",
    "ru": "Старая мельница стоит у реки, и никто не пользуется ею уже много лет.",
    "zh": "河边的旧磨坊已经多年没有人使用了。委员会决定请一位工程师提出意见。",
    "ja": "川のそばの古い水車小屋は、もう何年も使われていません。",
}


def batch_of(texts: list[str]) -> pa.RecordBatch:
    ids = [f"d{number}" for number in range(len(texts))]
    sources = ["web"] * len(texts)
    return pa.record_batch({"doc_id": ids, "source": sources, "text": pa.array(texts, pa.large_string())})


@pytest.fixture(scope="module")
def model():
    return load_model(MODEL)


def test_languages_of_plain_sentences(model):
    found = identify(batch_of(list(TEXTS.values())), model)
    assert found.schema == LANGUAGE
    assert found.column("lang_id").to_pylist() == list(TEXTS)
    assert all(0.5 < score <= 1 for score in found.column("lang_score").to_pylist())


def test_a_document_without_text_is_undetermined(model):
    found = identify(batch_of(["", " \n\t", "\n"]), model)
    assert found.column("lang_id").to_pylist() == [UNKNOWN] * 3
    assert found.column("lang_score").to_pylist() == [0.0] * 3


def test_only_the_beginning_is_read_and_no_character_is_cut(model):
    text = TEXTS["ru"] + TEXTS["zh"] * 50
    cut = len(TEXTS["ru"].encode()) + 1  # in the middle of a character
    assert identify(batch_of([text]), model, cut).equals(identify(batch_of([TEXTS["ru"]]), model))
    assert identify(batch_of([text]), model, 1 << 20).column("lang_id").to_pylist() == ["zh"]


def test_a_slice_is_identified_as_the_slice(model):
    batch = batch_of(list(TEXTS.values()))
    assert identify(batch.slice(2, 3), model).equals(identify(batch, model).slice(2, 3))
    assert identify(batch.slice(0, 0), model).num_rows == 0


def test_a_part_is_identified_and_counted(tmp_path, model, capfd):
    batch = batch_of([*TEXTS.values(), TEXTS["en"], ""])
    write_part(tmp_path / "documents.parquet", batch.schema, [batch])
    outcome = identify_part(tmp_path / "documents.parquet", MODEL, tmp_path)
    found = read_part(tmp_path / "language.parquet")
    assert found["doc_id"].to_pylist() == batch.column("doc_id").to_pylist()
    assert outcome.rows == 8
    assert outcome.facts["languages"] == {"de": 1, "en": 2, "fr": 1, "ja": 1, "ru": 1, UNKNOWN: 1, "zh": 1}
    assert outcome.accounts["web"].bytes_kept == sum(len(text.encode()) for text in batch.column("text").to_pylist())
    assert capfd.readouterr().err == ""


def test_a_missing_or_foreign_model_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"no language model at .*language\.model"):
        load_model(tmp_path / "none.ftz")
    (tmp_path / "text.ftz").write_text("no model")
    with pytest.raises(SourceError, match=r"is not a fastText model.*language\.model"):
        load_model(tmp_path / "text.ftz")
