"""Small graphs and parts, written as the files that stages read."""

from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from gristmill.corpus.schema import DOCUMENTS
from gristmill.corpus.tables import write_part
from gristmill.knowledge.graph import load_graph

ENTITIES = {
    "id": pl.String,
    "label": pl.String,
    "lang": pl.String,
    "aliases": pl.List(pl.String),
    "description": pl.String,
    "type": pl.String,
}
TRIPLES = {"head": pl.String, "relation": pl.String, "tail": pl.String}
SAMPLE_GRAPH = Path(__file__).parent.parent.parent / "samples" / "knowledge"


def written_graph(path, entities, triples=()):
    """[(id, label, {other columns})], [(head, relation, tail)] -> the folder ``path`` with both tables."""
    path.mkdir(exist_ok=True)
    plain = {"lang": "en", "aliases": [], "description": "", "type": "thing"}
    rows = [{"id": name, "label": label, **plain, **(more[0] if more else {})} for name, label, *more in entities]
    pl.DataFrame(rows, schema=ENTITIES).write_parquet(path / "entities.parquet")
    pl.DataFrame(list(triples), schema=TRIPLES, orient="row").write_parquet(path / "triples.parquet")
    return path


@pytest.fixture
def write_graph(tmp_path):
    """write_graph([(id, label, {other columns})], [(head, relation, tail)]) -> folder."""
    return lambda entities, triples=(), folder="graph": written_graph(tmp_path / folder, entities, triples)


@pytest.fixture
def write_documents(tmp_path):
    """write_documents([text], source=...) -> a documents.parquet."""

    def write(texts, sources=None, name="documents.parquet", batch_rows=3):
        n = len(texts)
        columns = {field.name: [None] * n for field in DOCUMENTS}
        columns |= {"doc_id": [f"{i:032x}" for i in range(n)], "text": texts, "source": sources or ["web"] * n}
        columns |= {"domain": ["web"] * n, "locator": [str(i) for i in range(n)], "text_hash": ["0" * 32] * n}
        table = pa.Table.from_pydict(columns, schema=DOCUMENTS)
        write_part(tmp_path / name, DOCUMENTS, table.to_batches(batch_rows))
        return tmp_path / name

    return write


@pytest.fixture(scope="session")
def sample_graph():
    return load_graph(SAMPLE_GRAPH)


@pytest.fixture(scope="session")
def sample_folder():
    return SAMPLE_GRAPH
