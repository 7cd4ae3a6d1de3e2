"""Parts of documents from samples/, the kept rows that go with them, and one small tokenizer."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash

from gristmill.corpus.schema import DOCUMENTS, KEPT
from gristmill.tokenizer.bpe_training import train_tokenizer
from gristmill.tokenizer.stage import Tokenizer

SAMPLES = Path(__file__).parents[2] / "samples"


def documents_table(texts, source="web", domain="web"):
    """DOCUMENTS of these texts; doc_id from source and place, as readers make it."""
    hashes = [xxhash.xxh3_128_hexdigest(text.encode()) for text in texts]
    ids = [xxhash.xxh3_128_hexdigest(f"{source} {number}".encode()) for number in range(len(texts))]
    columns = {
        "doc_id": ids,
        "text": texts,
        "source": [source] * len(texts),
        "domain": [domain] * len(texts),
        "locator": [str(number) for number in range(len(texts))],
        "text_hash": hashes,
    }
    return pa.table([pa.array(columns.get(f.name, [None] * len(texts)), f.type) for f in DOCUMENTS], schema=DOCUMENTS)


def kept_table(documents, rows=None, spans=None, heldout=()):
    """KEPT for ``rows`` of a documents table (all by default); ``spans`` and ``heldout`` by row."""
    rows = range(documents.num_rows) if rows is None else rows
    taken = documents.take(pa.array(list(rows), pa.int64()))
    columns = {
        "part": [0] * len(rows),
        "row": list(rows),
        "spans": [(spans or {}).get(row, []) for row in rows],
        "weight": [1.0] * len(rows),
        "heldout": [row in heldout for row in rows],
    }
    arrays = [pa.array(columns[f.name], f.type) if f.name in columns else taken[f.name] for f in KEPT]
    return pa.table(arrays, schema=KEPT)


def write_documents(path, documents, batch_rows=1 << 20):
    """One Parquet file, one row group a batch."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(path, DOCUMENTS) as writer:
        for batch in documents.to_batches(batch_rows):
            writer.write_batch(batch)
    return path


def sample_texts(name, limit=200):
    return pq.read_table(SAMPLES / name, columns=["text"])["text"].to_pylist()[:limit]


class Mill:
    """The functions above, for tests that build their own parts."""

    documents, kept, write = staticmethod(documents_table), staticmethod(kept_table), staticmethod(write_documents)
    texts = staticmethod(sample_texts)


@pytest.fixture(scope="session")
def mill():
    return Mill


@pytest.fixture(scope="session")
def parts(tmp_path_factory):
    """Two parts: help pages in seven languages, and code; every tenth document held out."""
    folder = tmp_path_factory.mktemp("documents")
    found = []
    for source, name in (("docs", "docs/gnome-help.parquet"), ("code", "code/code.parquet")):
        documents = documents_table(sample_texts(name, 120), source, source)
        kept = kept_table(documents, heldout=range(0, documents.num_rows, 10))
        found.append((write_documents(folder / f"{source}.parquet", documents, 50), kept))
    return found


@pytest.fixture(scope="session")
def tokenizer(parts, tmp_path_factory):
    """Path of a tokenizer.json with 1,000 tokens, trained on ``parts``."""
    folder = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(parts, folder, section=Tokenizer(vocab_size=1000, sample_bytes=300_000), seed=1)
    return folder / "tokenizer.json"
