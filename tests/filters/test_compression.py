"""zstd_ratio against the library called by hand, and its residual against the table by hand."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.measuring import measure_part
from gristmill.corpus.tables import write_part
from gristmill.filters.models.compression import (
    KINDS,
    library_versions,
    measure,
    ratios,
    residual,
    table,
)
from gristmill.filters.models.stage import COMPRESSION, Compression


@given(st.lists(st.text(max_size=200), max_size=6), st.integers(1, 5), st.integers(0, 3))
def test_the_ratio_is_bytes_over_bytes_of_a_frame(texts, level, start):
    found = ratios(pa.array(texts, pa.large_string()).slice(start), level)
    for text, ratio in zip(texts[start:], found, strict=True):
        frame = zstandard.ZstdCompressor(level=level, write_content_size=False).compress(text.encode())
        assert ratio == len(text.encode()) / len(frame)
        assert zstandard.ZstdDecompressor().decompressobj().decompress(frame) == text.encode()


def test_repetition_compresses_and_noise_does_not():
    drawn = np.random.default_rng(1)
    noise = "".join(map(chr, drawn.integers(0x4E00, 0x9FA5, 3000)))
    prose = pq.read_table("samples/legal/state-of-the-union.parquet")["text"][0].as_py()[:8000]
    said, same, odd = ratios(pa.array([prose, "All work and no play. " * 300, noise]))
    assert same > 50 > said > 1.5 > odd


@given(st.integers(0, 60_000), st.integers(1, 4), st.floats(0.5, 50))
def test_the_residual_is_read_from_the_table(n_bytes, wide, ratio):
    n_chars = n_bytes // wide
    found = residual(np.array([ratio]), np.array([n_bytes]), np.array([n_chars]))[0]
    kind = next(name for name, limit in KINDS if n_bytes / max(n_chars, 1) < limit or limit == KINDS[-1][1])
    knots = table()["tables"][kind]
    lengths = knots["length"]
    if n_bytes < lengths[0]:
        assert found == 0
        return
    low = max((n for n, length in enumerate(lengths) if length <= n_bytes), default=0)
    high = min(low + 1, len(lengths) - 1)
    span = np.log2(lengths[high]) - np.log2(lengths[low]) or 1.0
    share = min(1.0, (np.log2(n_bytes) - np.log2(lengths[low])) / span) if high > low else 0.0
    median, mad = (knots[what][low] + share * (knots[what][high] - knots[what][low]) for what in ("median", "mad"))
    assert found == pytest.approx((ratio - median) / mad, rel=1e-9, abs=1e-9)


def test_short_good_text_is_no_outlier_and_a_bare_ratio_says_it_is():
    prose = pq.read_table("samples/legal/state-of-the-union.parquet")["text"][0].as_py()
    cuts = [prose[:size] for size in (250, 1000, 4000, 16_000)]
    ratio = ratios(pa.array(cuts))
    sizes = np.array([len(text.encode()) for text in cuts])
    assert (np.diff(ratio) > 0.1).all()
    assert (np.abs(residual(ratio, sizes, np.array([len(text) for text in cuts]))) < 4).all()


def test_a_part_has_a_row_a_document(tmp_path):
    texts = ["", "a", "word " * 200]
    columns = {"doc_id": ["x", "y", "z"], "source": ["s"] * 3, "text": pa.array(texts, pa.large_string())}
    batch = pa.record_batch(columns)
    write_part(tmp_path / "documents.parquet", batch.schema, [batch])
    outcome = measure_part(COMPRESSION, tmp_path / "documents.parquet", tmp_path, Compression())
    found = pq.read_table(tmp_path / "compression.parquet")
    assert found.column_names == ["doc_id", *(signal.name for signal in COMPRESSION.signals)]
    assert found["zstd_ratio"].to_pylist() == ratios(batch["text"], 3).tolist()
    assert found["zstd_ratio_residual"].to_pylist()[:2] == [0, 0]
    assert found["zstd_ratio_residual"][2].as_py() > 10
    assert outcome.accounts["s"].documents_kept == 3


def test_the_table_names_what_it_was_fitted_with():
    assert table()["level"] == 3
    assert table()["zstd"].split(".")[0] == library_versions()["zstd"].split(".")[0]
    assert set(table()["tables"]) == {kind for kind, _ in KINDS}


@given(st.lists(st.text(min_size=1, max_size=3000), min_size=2, max_size=9))
def test_a_document_is_judged_alone(texts):
    """The same bits as in a batch, and in another order."""
    column = pa.array(texts, pa.large_string())
    found, turned = (measure_columns(one) for one in (column, column[::-1]))
    alone = [measure_columns(column.slice(n, 1)) for n in range(len(texts))]
    assert found == turned[::-1] == [row for one in alone for row in one]


def measure_columns(texts):
    columns = measure(pa.record_batch({"text": texts}), Compression(), None).columns
    return list(zip(*(column.to_pylist() for column in columns.values()), strict=True))
