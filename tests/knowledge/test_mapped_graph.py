"""A mapped graph is the loaded one, field by field, and links alike."""

from dataclasses import fields

import numpy as np
import pyarrow as pa
import pytest

from gristmill.corpus.errors import StoreError
from gristmill.corpus.text.columns import text_column
from gristmill.knowledge.graph import load_graph
from gristmill.knowledge.graph_table import Graph
from gristmill.knowledge.linking import find_mentions, name_index
from gristmill.knowledge.mapped_graph import open_graph
from gristmill.knowledge.mapped_graph import write_graph as write
from tests.tokenizer.conftest import sample_texts


def equal(one, other):
    return np.array_equal(one, other) if isinstance(one, np.ndarray) else one == other


def test_it_is_the_loaded_one_and_links_alike(sample_graph, tmp_path):
    write(sample_graph, tmp_path)
    mapped = open_graph(tmp_path)
    assert all(equal(getattr(sample_graph, one.name), getattr(mapped, one.name)) for one in fields(Graph)[:-1])
    assert all(map(equal, name_index(sample_graph).tables, mapped.index.tables))
    texts = text_column(pa.table({"text": sample_texts("reference/world-factbook.parquet", 60)}))
    pairs = zip(find_mentions(texts, sample_graph), find_mentions(texts, mapped), strict=True)
    assert all(equal(*pair) for pair in pairs)
    assert len(find_mentions(texts, mapped).starts) > 100
    assert open_graph(tmp_path) is mapped


def test_a_graph_without_triples_and_a_damaged_file(write_graph, tmp_path):
    folder = tmp_path / "index"
    folder.mkdir()
    loaded = load_graph(write_graph([("a", "Lisbon")]))
    write(loaded, folder)
    assert open_graph(folder).n_triples == 0
    (folder / "index-keys.npy").write_bytes(b"no array")
    (folder / "graph.json").touch()
    with pytest.raises(StoreError, match="cannot open the index of names"):
        open_graph(folder)
