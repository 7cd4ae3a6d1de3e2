"""Triples of benchmarks, and how many of them a document states: it names both ends close together.

A benchmark's triple need not be one of the graph's; its ends are entities of it. Every encyclopedia states what a
capital is, so no default rule bounds the signal: it tells what a score is worth, and a recipe may bound it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.corpus.errors import SchemaError, SourceError
from gristmill.knowledge.graph_source import format_of
from gristmill.knowledge.graph_table import Graph
from gristmill.knowledge.support import ClosePairs

ENDS, RELATION = ("head", "tail"), "relation"


@dataclass(frozen=True, slots=True)
class BenchmarkTriples:
    """Triples of all benchmarks, in order of their pair of entities; a triple of two benchmarks is two."""

    names: tuple[str, ...]
    benchmark: np.ndarray  # int64 [n]
    pair: np.ndarray  # int64 [n] smaller * n_entities + larger entity, ascending
    n_entities: int


def load_benchmarks(files: Mapping[str, Path], graph: Graph) -> BenchmarkTriples:
    """Read the triples of each benchmark.

    Parameters
    ----------
    files : by name of the benchmark: Parquet, CSV or TSV with head and tail, ids of the graph, and maybe relation

    Raises
    ------
    SourceError, SchemaError : a file is no table, lacks a column, or names no two entities of the graph
    """
    names = tuple(sorted(files))
    found = [_pairs(_read(files[name], name), graph) for name in names]
    for name, pairs in zip(names, found, strict=True):
        if not len(pairs):
            raise SourceError(f"knowledge.benchmarks.{name}: no triple of {files[name]} has two entities of the graph")
    benchmark = np.repeat(np.arange(len(names)), [len(pairs) for pairs in found])
    pair = np.concatenate([np.empty(0, np.int64), *found])
    order = np.argsort(pair, kind="stable")
    return BenchmarkTriples(names, benchmark[order], pair[order], graph.n_entities)


def _read(path: Path, name: str) -> pl.DataFrame:
    form, key = format_of(path.name, None), f"knowledge.benchmarks.{name}"
    try:
        if form == "parquet":
            table = pl.read_parquet(path)
        elif form in ("csv", "tsv"):
            table = pl.read_csv(path, separator="\t" if form == "tsv" else ",", infer_schema=False)
        else:
            raise SourceError(f"{key}: {path} is no .parquet, .csv or .tsv of triples")
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SourceError(f"{key}: {path} cannot be read as {form}: {error}") from None
    for column in ENDS:
        if column not in table.columns:
            raise SchemaError(f"{key}: {path} has no column {column!r}, it has {', '.join(table.columns)}")
    return table.select(one for one in (*ENDS, RELATION) if one in table.columns).unique()


def _pairs(table: pl.DataFrame, graph: Graph) -> np.ndarray:
    """int64[n]: the pair of each triple whose ends are two entities."""
    ends = [pc.index_in(table[name].cast(pl.String).to_arrow().cast(pa.string()), value_set=graph.ids) for name in ENDS]
    head, tail = (column.fill_null(-1).to_numpy().astype(np.int64) for column in ends)
    known = (head >= 0) & (tail >= 0) & (head != tail)
    return (np.minimum(head, tail) * graph.n_entities + np.maximum(head, tail))[known]


def stated(pairs: ClosePairs, benchmarks: BenchmarkTriples) -> tuple[np.ndarray, np.ndarray]:
    """(document, benchmark), int64 each: one for every triple of a benchmark that a document states."""
    wanted = pairs.low * benchmarks.n_entities + pairs.high
    first, last = (np.searchsorted(benchmarks.pair, wanted, side=side) for side in ("left", "right"))
    counts = last - first
    at = np.repeat(first - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
    return np.repeat(pairs.docs, counts), benchmarks.benchmark[at]


def documents_and_stated(
    docs: np.ndarray, of: np.ndarray, benchmarks: BenchmarkTriples
) -> tuple[dict[str, int], dict[str, int]]:
    """By benchmark: documents that state a triple of it, and how many they state together."""
    mine = {name: docs[of == number] for number, name in enumerate(benchmarks.names)}
    return {name: len(np.unique(one)) for name, one in mine.items()}, {name: len(one) for name, one in mine.items()}
