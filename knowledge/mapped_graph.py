"""A loaded graph and its index of names as files, which every process that links maps: they are in memory once.

Arrays are NumPy's format, texts are Arrow streams, so that opening reads neither. Pages are mapped copy on write: a
kernel sees the arrays that it was compiled for, and no page is copied, since none is written. How the arrays are made
stands in ``graph`` and ``linking``.
"""

from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from gristmill.corpus.errors import StoreError
from gristmill.corpus.files import read_json, write_json
from gristmill.corpus.receipt import Outcome
from gristmill.knowledge._kernels import NameIndex
from gristmill.knowledge.graph import load_graph
from gristmill.knowledge.graph_table import Graph
from gristmill.knowledge.linking import IndexedNames, name_index
from gristmill.knowledge.stage import IndexFacts, Knowledge

DESCRIBED = "graph.json"
TEXTS = ("ids", "types", "names", "relations")


def index_stage(graph: Path, section: Knowledge, folder: Path) -> Outcome:
    """Write a graph and its index into ``folder``; facts: ``IndexFacts``.

    Parameters
    ----------
    graph : folder with entities.parquet and triples.parquet

    Raises
    ------
    SourceError, SchemaError : see ``load_graph``
    """
    loaded = load_graph(graph, languages=section.languages, min_label_chars=section.min_label_chars)
    write_graph(loaded, folder)
    facts = IndexFacts(loaded.n_entities, len(loaded.names), len(loaded.candidates), loaded.n_triples, loaded.dangling)
    return Outcome(loaded.n_entities, facts=facts.to_json())


def write_graph(graph: Graph, folder: Path) -> None:
    """Write every array of a graph and of its index."""
    index = name_index(graph)
    for name in TEXTS:
        column = getattr(graph, name)
        with pa.ipc.new_stream(folder / f"{name}.arrow", pa.schema([(name, column.type)])) as writer:
            writer.write_batch(pa.record_batch({name: column}))
    for name in _arrays():
        np.save(folder / f"{name}.npy", getattr(graph, name))
    for name, array in zip((*NameIndex._fields, "order"), (*index.tables, index.names), strict=True):
        np.save(folder / f"index-{name}.npy", array)
    write_json(folder / DESCRIBED, {"dangling": graph.dangling})


def open_graph(folder: Path) -> Graph:
    """A graph that ``write_graph`` wrote; the last one stays open, so that the parts of a corpus share it.

    Raises
    ------
    StoreError : a file is missing or damaged
    """
    try:
        return _opened(folder, (folder / DESCRIBED).stat().st_mtime_ns)
    except (OSError, ValueError, pa.ArrowException, StopIteration) as error:
        raise StoreError(f"cannot open the index of names in {folder}: {error}; run the recipe again") from None


@lru_cache(maxsize=1)
def _opened(folder: Path, stamp: int) -> Graph:  # noqa: ARG001
    found: dict[str, Any] = {name: _text(folder / f"{name}.arrow") for name in TEXTS}
    found |= {name: _mapped(folder / f"{name}.npy") for name in _arrays()}
    tables = NameIndex(*(_mapped(folder / f"index-{name}.npy") for name in NameIndex._fields))
    index = IndexedNames(tables, _mapped(folder / "index-order.npy"))
    return Graph(**found, dangling=read_json(folder / DESCRIBED)["dangling"], index=index)


def _arrays() -> list[str]:
    return [field.name for field in fields(Graph) if field.name not in (*TEXTS, "dangling", "index")]


def _mapped(path: Path) -> np.ndarray:
    """The array of a file; an empty one cannot be mapped."""
    try:
        return np.asarray(np.load(path, mmap_mode="c"))
    except ValueError:
        return np.load(path)


def _text(path: Path) -> Any:
    return pa.ipc.open_stream(pa.memory_map(str(path))).read_next_batch().column(0)
