"""Training: a keyed sample, equal bytes, and what is reported."""

import json

import pyarrow as pa
import pytest

from gristmill.corpus.errors import RecipeError, SchemaError
from gristmill.tokenizer.bpe_training import TOKENIZER, _keyed_sample, _keys, train_tokenizer
from gristmill.tokenizer.vocabulary import END, PAD, library_versions


def trained(parts, folder, **changes):
    folder.mkdir()
    values = {"vocab_size": 600, "min_frequency": 2, "sample_bytes": 100_000, "seed": 1} | changes
    return train_tokenizer(parts, folder, **values), (folder / TOKENIZER).read_bytes()


def test_same_bytes_whatever_the_order_of_parts(parts, tmp_path):
    one, other = trained(parts, tmp_path / "a"), trained(parts[::-1], tmp_path / "b")
    assert one == other


def test_same_bytes_whatever_the_threads(parts, tmp_path, monkeypatch):
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "true")
    many = trained(parts, tmp_path / "a")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    assert many == trained(parts, tmp_path / "b")


def test_another_seed_gives_another_sample(parts, tmp_path):
    assert trained(parts, tmp_path / "a")[1] != trained(parts, tmp_path / "b", seed=2)[1]


def test_special_tokens_and_bytes_come_first(parts, tmp_path):
    _, data = trained(parts, tmp_path / "a")
    vocab = json.loads(data)["model"]["vocab"]
    assert (vocab[END], vocab[PAD]) == (0, 1)
    assert all(len(token) == 1 for token, number in vocab.items() if 2 <= number < 258)


def test_facts(parts, tmp_path):
    outcome, _ = trained(parts, tmp_path / "a")
    assert outcome.facts["vocab_size"] == 600
    assert 99_990 <= outcome.facts["sample_bytes"] <= 100_000
    assert 2 < outcome.facts["bytes_per_token"] < 8
    assert outcome.rows > 0


def test_a_small_text_gives_a_small_vocabulary(mill, tmp_path):
    documents = mill.documents(["ab ab ab", "ab"])
    parts = [(mill.write(tmp_path / "part.parquet", documents), mill.kept(documents))]
    outcome, _ = trained(parts, tmp_path / "a", vocab_size=1000)
    assert outcome.facts["vocab_size"] == 260  # 256 bytes, 2 special ones, "ab", " ab"


def test_nothing_kept_gives_the_bytes(mill, tmp_path):
    documents = mill.documents(["ab"])
    parts = [(mill.write(tmp_path / "part.parquet", documents), mill.kept(documents, []))]
    outcome, _ = trained(parts, tmp_path / "a")
    assert (outcome.facts["vocab_size"], outcome.rows) == (258, 0)


def test_a_vocabulary_without_room_for_bytes_is_refused(parts, tmp_path):
    with pytest.raises(RecipeError, match=r"tokenizer\.vocab_size is 257.*258"):
        trained(parts, tmp_path / "a", vocab_size=257)


def sample_of(mill, folder, texts, n_bytes, rows=1, heldout=()):
    documents = mill.documents(texts)
    path = mill.write(folder / "part.parquet", documents, rows)
    return _keyed_sample([(path, mill.kept(documents, heldout=heldout))], n_bytes, 7).to_pylist()


def test_held_out_documents_are_never_seen(mill, tmp_path):
    texts = [f"text {number}" for number in range(20)]
    assert sorted(sample_of(mill, tmp_path, texts, 10_000, heldout=range(10))) == sorted(texts[10:])


@pytest.mark.parametrize("n_bytes", [1, 17, 40, 63, 64, 65, 10_000])
def test_a_smaller_sample_is_a_prefix_of_a_larger_one(mill, tmp_path, n_bytes):
    texts = [f"text é {number:02}" for number in range(30)]
    everything = "".join(sample_of(mill, tmp_path / "all", texts, 1 << 20)).encode()
    sample = "".join(sample_of(mill, tmp_path / "some", texts, n_bytes)).encode()
    assert everything.startswith(sample)
    assert len(sample) in (min(n_bytes, len(everything)), n_bytes - 1)  # one less where the cut falls into é


def test_pruning_while_reading_changes_nothing(mill, tmp_path):
    texts = [f"{number} " * (number % 13 + 1) for number in range(200)]
    streamed = sample_of(mill, tmp_path / "a", texts, 700, rows=3)
    assert streamed == sample_of(mill, tmp_path / "b", texts, 700, rows=1000)


def test_keys_of_a_slice_are_the_slice_of_the_keys(mill):
    ids = mill.documents(["a"] * 9)["doc_id"].combine_chunks()
    assert _keys(ids[3:7], 5).equals(_keys(ids, 5)[3:7])
    assert len(set(_keys(ids, 5).to_pylist() + _keys(ids, 6).to_pylist())) == 18


def test_a_doc_id_of_another_length_is_refused():
    with pytest.raises(SchemaError, match="32 characters"):
        _keys(pa.array(["short"]), 1)


def test_versions_name_the_library():
    assert set(library_versions()) == {"tokenizers"}
