"""Training: a keyed sample, equal bytes, and what is reported."""

import json

import pyarrow as pa
import pytest

from gristmill.corpus.errors import SchemaError
from gristmill.tokenizer.bpe_training import _budgets, _keyed_sample, _keys, train_tokenizer
from gristmill.tokenizer.stage import END, PAD, Tokenizer
from gristmill.tokenizer.tokenizer_json import TOKENIZER, SpecialTokens
from gristmill.tokenizer.vocabulary import library_versions


def trained(parts, folder, seed=1, shares=None, **changes):
    folder.mkdir()
    section = Tokenizer(**{"vocab_size": 600, "sample_bytes": 100_000} | changes)
    outcome = train_tokenizer(parts, folder, section=section, seed=seed, shares=shares)
    return outcome, (folder / TOKENIZER).read_bytes()


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


def test_further_special_tokens_follow_and_are_written_beside(parts, tmp_path):
    specials = {"end": "</s>", "control": ["<|user|>", "<|model|>"]}
    outcome, data = trained(parts, tmp_path / "a", specials=specials, chat_template="{{ messages }}")
    vocab = json.loads(data)["model"]["vocab"]
    assert [vocab[name] for name in ("</s>", PAD, "<|user|>", "<|model|>")] == [0, 1, 2, 3]
    beside = SpecialTokens.beside(tmp_path / "a" / TOKENIZER)
    assert beside == SpecialTokens("</s>", PAD, None, ("<|user|>", "<|model|>"), "{{ messages }}")
    assert outcome.facts["end"] == "</s>"


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ({"docs": 0.5, "code": 0.5}, {"docs": 50_000, "code": 50_000}),
        ({"docs": 0.9, "code": 0.1}, {"docs": 90_000, "code": 10_000}),
        ({"code": 1.0}, {"code": 100_000}),
    ],
)
def test_a_sample_by_the_mixture_is_repeatable_and_has_its_shares(parts, tmp_path, shares, expected):
    one, other = (trained(order, tmp_path / str(n), shares=shares) for n, order in enumerate((parts, parts[::-1])))
    assert one == other
    found = one[0].facts["sample_by_domain"]
    assert found.keys() == expected.keys()
    assert all(expected[name] - 8 <= n <= expected[name] for name, n in found.items())  # whole characters


@pytest.mark.parametrize(
    ("sizes", "shares", "expected"),
    [
        ({"a": 10, "b": 900}, {"a": 0.5, "b": 0.5}, {"a": 10, "b": 90}),
        ({"a": 10, "b": 20, "c": 5}, {"a": 0.4, "b": 0.3, "c": 0.3}, {"a": 10, "b": 20, "c": 5}),
        ({"a": 900, "b": 900}, {"a": 1.0}, {"a": 100, "b": 0}),
        ({}, {"a": 1.0}, {}),
    ],
)
def test_what_a_domain_lacks_the_others_give(sizes, shares, expected):
    assert _budgets(sizes, shares, 100) == expected


def sample_of(mill, folder, texts, n_bytes, rows=1, heldout=()):
    documents = mill.documents(texts)
    path = mill.write(folder / "part.parquet", documents, rows)
    return _keyed_sample([(path, mill.kept(documents, heldout=heldout))], n_bytes, 7)["text"].to_pylist()


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
