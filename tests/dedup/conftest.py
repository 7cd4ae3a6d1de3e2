"""Fixtures: documents as part files, and a whole clustering in one call."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash

from gristmill.corpus.measuring import measure_part
from gristmill.corpus.schema import DOCUMENTS, KEPT
from gristmill.corpus.tables import write_part
from gristmill.dedup.clusters.cluster import cluster_documents
from gristmill.dedup.clusters.stage import SIGNATURES, SignatureOptions

SAMPLES = Path(__file__).parents[2] / "samples"


def document_batch(rows):
    """A DOCUMENTS batch of (doc_id, text) or (doc_id, text, source) rows."""
    ids, texts = [row[0] for row in rows], [row[1] for row in rows]
    sources = [row[2] if len(row) > 2 else "web" for row in rows]
    hashes = [xxhash.xxh3_128_hexdigest(text.encode()) for text in texts]
    null = pa.nulls(len(rows), pa.string())
    columns = [ids, texts, sources, sources, null, null, null, null, ids, hashes, null]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, DOCUMENTS, strict=True)]
    return pa.record_batch(arrays, schema=DOCUMENTS)


@dataclass
class Clustered:
    rows: list[dict[str, Any]]
    pairs: list[dict[str, Any]]
    facts: dict[str, Any]
    outcome: Any
    folder: Path

    @property
    def by_id(self):
        return {row["doc_id"]: row for row in self.rows}

    @property
    def groups(self):
        """The clusters as a set of frozensets of doc_ids."""
        found: dict[str, set[str]] = {}
        for row in self.rows:
            found.setdefault(row["cluster"], set()).add(row["doc_id"])
        return {frozenset(members) for members in found.values()}


@pytest.fixture(scope="session")
def write_documents(tmp_path_factory):
    """write_documents([[(doc_id, text), ...], ...]) -> one Parquet file a part."""

    def write(parts):
        folder = tmp_path_factory.mktemp("documents")
        paths = [folder / f"part-{i:05}.parquet" for i in range(len(parts))]
        for path, rows in zip(paths, parts, strict=True):
            write_part(path, DOCUMENTS, [document_batch(rows[i : i + 7]) for i in range(0, len(rows), 7)])
        return paths

    return write


@pytest.fixture(scope="session")
def kept_of():
    """kept_of(documents, doc_ids=None) -> KEPT rows of each part; all documents are kept without doc_ids."""

    def rows_of(path, part, doc_ids):
        documents = pq.read_table(path, columns=["doc_id", "source", "domain"]).to_pylist()
        rest = {"part": part, "spans": [], "weight": 1.0, "heldout": False}
        rows = [{**document, **rest, "row": row} for row, document in enumerate(documents)]
        return pa.Table.from_pylist([r for r in rows if doc_ids is None or r["doc_id"] in doc_ids], KEPT)

    return lambda documents, doc_ids=None: [rows_of(path, part, doc_ids) for part, path in enumerate(documents)]


@pytest.fixture(scope="session")
def sign(tmp_path_factory):
    """sign(documents) -> one signatures file a part."""

    def run(documents, shingle_words=5, hashes=128, seed=1, exact="raw"):
        paths = []
        for path in documents:
            folder = tmp_path_factory.mktemp("signatures")
            options = SignatureOptions(shingle_words=shingle_words, hashes=hashes, seed=seed, exact=exact)
            measure_part(SIGNATURES, path, folder, options)
            paths.append(folder / "signatures.parquet")
        return paths

    return run


@pytest.fixture(scope="session")
def cluster(tmp_path_factory, write_documents, sign):
    """cluster(parts, threshold=..., ...) -> Clustered."""

    def run(
        parts, *, threshold=0.8, hashes=128, shingle_words=5, seed=1, exact="raw", bands=None, rows=None, **options
    ):
        documents = write_documents(parts)
        signatures = sign(documents, shingle_words, hashes, seed, exact)
        folder = tmp_path_factory.mktemp("clusters")
        outcome = cluster_documents(
            signatures,
            documents,
            folder,
            threshold=threshold,
            hashes=hashes,
            bands=bands,
            rows=rows,
            shingle_words=shingle_words,
            **options,
        )
        tables = [pq.read_table(folder / name).to_pylist() for name in ("clusters.parquet", "pairs.parquet")]
        return Clustered(tables[0], tables[1], dict(outcome.facts), outcome, folder)

    return run


@pytest.fixture(scope="session")
def sample_texts():
    """Real texts in six languages, licences and code among them: (name, text)."""
    files = ["legal/spdx-licenses.parquet", "docs/gnome-help.parquet", "docs/man-pages.parquet"]
    tables = [pq.read_table(SAMPLES / name, columns=["id", "text"]) for name in files]
    return [(row["id"], row["text"]) for table in tables for row in table.to_pylist() if len(row["text"]) < 20_000]
