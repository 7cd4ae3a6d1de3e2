"""Signatures of a part: against datasketch value for value, against exact Jaccard, and as a file."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasketch import LeanMinHash, MinHash, MinHashLSH
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.account import Account
from gristmill.corpus.errors import SchemaError, UnknownNameError
from gristmill.corpus.measuring import measure_part
from gristmill.dedup.clusters.minhash import (
    family_of,
    measure,
    permutations,
    signature_matrix,
    signatures_schema,
    to_datasketch,
)
from gristmill.dedup.clusters.stage import SIGNATURES, SignatureOptions
from gristmill.dedup.clusters.verification import _sets_of


def column(texts):
    return pa.record_batch({"text": pa.array(texts, pa.large_string())})


def measure_all(texts, hashes=128, seed=1, shingle_words=5):
    return measure(column(texts), shingle_words=shingle_words, hashes=hashes, seed=seed)


def datasketch_of(text, hashes, seed, shingle_words=5):
    values, _ = _sets_of(pa.Table.from_batches([column([text])]), shingle_words)
    sketch = MinHash(num_perm=hashes, seed=seed, scheme="affine64", hashfunc=int)
    sketch.update_batch(values.tolist())
    return sketch


# ---------------------------------------------------------------------------------------- datasketch


@given(st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_permutations_are_datasketchs(hashes, seed):
    theirs = MinHash(num_perm=hashes, seed=seed, scheme="affine64").permutations
    assert np.array_equal(np.array(permutations(hashes, seed)), theirs)


@pytest.mark.parametrize(("hashes", "seed"), [(128, 1), (17, 99), (256, 2**32 - 1)])
def test_signatures_equal_datasketch_bit_for_bit(sample_texts, hashes, seed):
    texts = [text for _, text in sample_texts[::60]] + ["", "one", "two words"]
    _, signatures = measure_all(texts, hashes, seed)
    for text, signature in zip(texts, signatures, strict=True):
        assert np.array_equal(datasketch_of(text, hashes, seed).hashvalues, signature)


def test_export_compares_and_collides_with_datasketchs_own(write_documents, sign, sample_texts):
    rows = sample_texts[:30]
    (path,) = sign(write_documents([rows]), seed=7)
    exported = to_datasketch(pq.read_table(path))
    index = MinHashLSH(threshold=0.8, num_perm=128)
    for (name, _), sketch in zip(rows, exported, strict=True):
        assert isinstance(sketch, LeanMinHash)
        index.insert(name, sketch)
    for (name, text), sketch in zip(rows, exported, strict=True):
        theirs = datasketch_of(text, 128, 7)
        assert theirs.jaccard(MinHash(seed=7, hashvalues=sketch.hashvalues, scheme="affine64")) == 1.0
        assert name in index.query(theirs)


def test_export_of_a_slice_is_the_slice_of_the_export(write_documents, sign, sample_texts):
    (path,) = sign(write_documents([sample_texts[:9]]), hashes=16)
    table = pq.read_table(path)
    sliced, whole = to_datasketch(table.slice(4, 3)), to_datasketch(table)[4:7]
    assert [s.hashvalues.tolist() for s in sliced] == [s.hashvalues.tolist() for s in whole]


def test_a_seed_beyond_32_bits_counts_by_its_low_bits():
    assert np.array_equal(permutations(8, 5), permutations(8, 5 + 2**40))
    assert not np.array_equal(permutations(8, 5), permutations(8, 6))


# ---------------------------------------------------------------------------------------- accuracy


def edited_pairs(sample_texts, n_pairs, seed=3):
    """Pairs (text, edited text): words replaced at rates that spread the similarity from 0 to 1."""
    draw = np.random.default_rng(seed)
    long = [text.split() for _, text in sample_texts if len(text.split()) > 60]
    for i in range(n_pairs):
        words = list(long[i % len(long)])
        rate = draw.choice([0.002, 0.01, 0.03, 0.08, 0.2])
        for place in np.flatnonzero(draw.random(len(words)) < rate):
            words[place] = f"edit{draw.integers(10**6)}"
        yield " ".join(long[i % len(long)]), " ".join(words)


def exact_jaccards(pairs):
    values, sizes = _sets_of(pa.table({"text": pa.array([t for p in pairs for t in p], pa.large_string())}), 5)
    sets = [set(part.tolist()) for part in np.split(values, np.cumsum(sizes)[:-1])]
    return np.array([len(a & b) / len(a | b) for a, b in zip(sets[::2], sets[1::2], strict=True)])


@pytest.mark.parametrize("hashes", [64, 128, 256])
def test_estimate_is_unbiased_with_the_theoretical_error(sample_texts, hashes):
    """RMSE = sqrt(mean J (1 - J) / hashes), the standard error of a share; over 5 families of hash functions."""
    pairs = list(edited_pairs(sample_texts, 300))
    exact = exact_jaccards(pairs)
    assert exact.min() < 0.3
    assert exact.max() > 0.9
    errors = []
    for seed in range(5):
        _, signatures = measure_all([t for p in pairs for t in p], hashes, seed)
        errors.append((signatures[::2] == signatures[1::2]).mean(axis=1) - exact)
    theory = np.sqrt((exact * (1 - exact) / hashes).mean())
    assert np.sqrt(np.square(errors).mean()) == pytest.approx(theory, rel=0.1)
    assert abs(np.mean(errors)) < 3 * theory / np.sqrt(len(exact))


def test_case_punctuation_and_spacing_do_not_matter():
    _, signatures = measure_all(["Ich weiß, Straße Ёлка ÉTÉ zum Fest!", "ich   weiß straße ёЛКА été\nZUM fest"])
    assert np.array_equal(*signatures)


@pytest.mark.parametrize("text", ["", " \n\t", "!!! ... ???", "😀 — «»"])
def test_a_text_without_words_has_no_shingle(text):
    counts, signatures = measure_all([text])
    assert counts.tolist() == [0]
    assert (signatures == 2**64 - 1).all()


@pytest.mark.parametrize(
    ("text", "shingles"), [("one", 1), ("a b c d", 1), ("a b c d e", 1), ("a b c d e f", 2), ("中文字符多一", 2)]
)
def test_short_texts_are_one_shingle(text, shingles):
    assert measure_all([text])[0].tolist() == [shingles]


def test_a_short_text_equals_only_the_same_words():
    _, signatures = measure_all(["to be", "To be!", "be to", "to be or"])
    assert np.array_equal(signatures[0], signatures[1])
    assert not (signatures[0] == signatures[2]).any()
    assert not (signatures[0] == signatures[3]).any()


# ---------------------------------------------------------------------------------------- the part


def test_part_is_row_aligned_and_says_its_family(write_documents, tmp_path):
    rows = [(f"{i:032x}", f"text number {i} " * i) for i in range(20)]
    (path,) = write_documents([rows])
    outcome = measure_part(SIGNATURES, path, tmp_path, SignatureOptions(shingle_words=3, hashes=32, seed=2**35 + 9))
    table = pq.read_table(tmp_path / "signatures.parquet")
    assert outcome.rows == table.num_rows == 20
    assert table.schema.equals(signatures_schema(3, 32, 9), check_metadata=False)
    assert family_of(table.schema) == {"scheme": "affine64", "shingle_words": 3, "hashes": 32, "seed": 9}
    assert table["doc_id"].to_pylist() == [row[0] for row in rows]
    assert table["bytes"].to_pylist() == [len(row[1]) for row in rows]
    counts, signatures = measure_all([row[1] for row in rows], 32, 9, 3)
    assert table["shingles"].to_pylist() == counts.tolist()
    assert np.array_equal(signature_matrix(table.combine_chunks().to_batches()[0]), signatures)


def test_part_accounts_for_every_source(write_documents, tmp_path):
    (path,) = write_documents([[("1", "äb", "web"), ("2", "c", "books"), ("3", "", "web")]])
    outcome = measure_part(SIGNATURES, path, tmp_path, SignatureOptions(shingle_words=5, hashes=16, seed=1))
    assert outcome.accounts == {
        "books": Account(1, 1, 0, 0, 1, 1, 0, 0),
        "web": Account(2, 2, 0, 0, 3, 3, 0, 0),
    }


def test_an_empty_part_is_a_file_without_rows(write_documents, tmp_path):
    (path,) = write_documents([[]])
    outcome = measure_part(SIGNATURES, path, tmp_path, SignatureOptions(shingle_words=5, hashes=16, seed=1))
    assert (outcome.rows, dict(outcome.accounts)) == (0, {})
    assert pq.read_table(tmp_path / "signatures.parquet").num_rows == 0


def test_same_input_same_bytes(write_documents, sign, sample_texts):
    documents = write_documents([sample_texts[:50]])
    one, other = sign(documents)[0], sign(documents)[0]
    assert one.read_bytes() == other.read_bytes()


def test_casefold_reading_replaces_the_hash(write_documents, sign):
    documents = write_documents([[("1", "To be"), ("2", "TO  BE\n"), ("3", "to bee")]])
    raw, folded = sign(documents), sign(documents, exact="casefold")
    assert len(set(pq.read_table(raw[0])["text_hash"].to_pylist())) == 3
    one, two, three = pq.read_table(folded[0])["text_hash"].to_pylist()
    assert one == two != three


def test_unknown_reading_names_the_known_one(write_documents, tmp_path):
    (path,) = write_documents([[("1", "a")]])
    with pytest.raises(UnknownNameError, match="did you mean 'casefold'"):
        measure_part(SIGNATURES, path, tmp_path, SignatureOptions(shingle_words=5, hashes=8, seed=1, exact="case-fold"))


def test_a_table_of_unknown_family_is_refused():
    with pytest.raises(SchemaError, match="family"):
        to_datasketch(pa.table({"signature": [[1, 2]]}))
