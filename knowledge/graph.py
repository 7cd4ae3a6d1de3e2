"""The knowledge graph: a folder with entities.parquet and triples.parquet, held as integer columns.

entities: id, label, lang, aliases list<string>, description, type; one row an id and language.
triples: head, relation, tail; heads and tails are ids. Entities and relations are ordinals in the order of
their names, so sorted integers are sorted strings. Not here: which names are linked (``names``).
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from gristmill.corpus.errors import SchemaError, SourceError
from gristmill.knowledge.descriptions import with_described_neighbours
from gristmill.knowledge.graph_table import Graph, neighbours, offsets_of
from gristmill.knowledge.linking_model import prior
from gristmill.knowledge.names import linkable_names

ENTITIES, TRIPLES = "entities.parquet", "triples.parquet"
TEXT, TEXTS = pl.String(), pl.List(pl.String())
COLUMNS = {
    ENTITIES: {"id": TEXT, "label": TEXT, "lang": TEXT, "aliases": TEXTS, "description": TEXT, "type": TEXT},
    TRIPLES: {"head": TEXT, "relation": TEXT, "tail": TEXT},
}


def load_graph(folder: Path, *, languages: Sequence[str] = (), min_label_chars: int = 4) -> Graph:
    """Read a graph; the last one stays in memory, so that the parts of a corpus share it.

    Parameters
    ----------
    folder : with entities.parquet and triples.parquet
    languages : look for labels of these languages only; all when empty
    min_label_chars : shorter names are not looked for; a Chinese or Japanese character counts as two

    Raises
    ------
    SourceError : a file is missing or is no Parquet file; no entity has a label in ``languages``
    SchemaError : a column is missing or has another type
    """
    stamps = tuple((path.stat().st_size, path.stat().st_mtime_ns) for path in _files(folder))
    return _load(folder, tuple(languages), min_label_chars, stamps)


def read_tables(folder: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Entities and triples as they stand in the files, columns checked."""
    entities, triples = (_read(path) for path in _files(folder))
    return entities, triples


@lru_cache(maxsize=1)
def _load(folder: Path, languages: tuple[str, ...], min_label_chars: int, stamps: tuple) -> Graph:  # noqa: ARG001
    entities, triples = read_tables(folder)
    known = _known(entities)
    ordinals = known.select("id", "entity")
    names = linkable_names(entities.join(ordinals, on="id", how="left"), languages, min_label_chars)
    if not len(names):
        raise SourceError(
            f"{folder / ENTITIES}: no label to link in languages {list(languages) or 'any'} "
            f"with {min_label_chars} characters or more; set knowledge.languages or knowledge.min_label_chars"
        )
    distinct, counts = _runs(names["name"])
    relations = triples["relation"].unique().sort()
    edges = _edges(triples, ordinals, relations)
    heads, kinds, tails = (edges[name].to_numpy().astype(np.int32) for name in ("head", "kind", "tail"))
    degrees = np.bincount(heads, minlength=len(known)) + np.bincount(tails, minlength=len(known))
    near_offsets, near = neighbours(heads, tails, len(known))
    graph = Graph(
        ids=_strings(known["id"]),
        types=_strings(known["type"]),
        names=_strings(distinct).cast(pa.large_string()),
        listed=names.group_by("name", maintain_order=True).agg(pl.col("listed").any())["listed"].to_numpy(),
        candidate_offsets=offsets_of(counts),
        candidates=names["entity"].to_numpy().astype(np.int32),
        doubtful=names["doubtful"].to_numpy().copy(),
        prior=prior(names, degrees),
        relations=_strings(relations),
        heads=heads,
        kinds=kinds,
        tails=tails,
        head_offsets=offsets_of(np.bincount(heads, minlength=len(known))),
        near_offsets=near_offsets,
        near=near,
        degrees=degrees,
        joined=np.unique(np.minimum(heads, tails) * np.int64(len(known)) + np.maximum(heads, tails)),
        dangling=triples.unique().height - len(heads),
    )
    return with_described_neighbours(graph, entities.join(ordinals, on="id", how="left", maintain_order="left"))


def _known(entities: pl.DataFrame) -> pl.DataFrame:
    """One row an entity (id, type, entity), sorted by id; its type is that of its first row."""
    first = entities.select("id", "type").unique("id", keep="first", maintain_order=True).sort("id")
    return first.with_row_index("entity")


def _runs(values: pl.Series) -> tuple[pl.Series, np.ndarray]:
    """Distinct values of a sorted series and how often each occurs."""
    runs = values.rle().struct.unnest()
    return runs["value"], runs["len"].to_numpy()


def _edges(triples: pl.DataFrame, ordinals: pl.DataFrame, relations: pl.Series) -> pl.DataFrame:
    """Distinct triples as ordinals, sorted by head, relation, tail; those with an unknown end left out."""
    kinds = pl.DataFrame({"relation": relations}).with_row_index("kind")
    joined = triples.unique().join(kinds, on="relation")
    for end in ("head", "tail"):
        joined = joined.join(ordinals.rename({"id": end, "entity": f"{end}_entity"}), on=end)
    return joined.select("kind", head="head_entity", tail="tail_entity").sort("head", "kind", "tail")


def _strings(series: pl.Series) -> pa.StringArray:
    return pa.array(series.to_list(), pa.string())


def _files(folder: Path) -> tuple[Path, Path]:
    for name in COLUMNS:
        if not (folder / name).is_file():
            wanted = " and ".join(COLUMNS)
            raise SourceError(f"{folder / name} is missing; set knowledge.graph to a folder with {wanted}")
    return folder / ENTITIES, folder / TRIPLES


def _read(path: Path) -> pl.DataFrame:
    """The agreed columns of one file; a missing language, description or type is an empty one."""
    try:
        found = pl.DataFrame(pq.read_table(path, use_threads=False))
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceError(f"{path} is no Parquet file ({error}); set knowledge.graph to a folder of such") from error
    for name, kind in COLUMNS[path.name].items():
        _expect(path, found, name, kind)
    optional = [name for name in COLUMNS[path.name] if name in ("lang", "description", "type")]
    return found.select(*COLUMNS[path.name]).with_columns(pl.col(*optional).fill_null("") if optional else [])


def _expect(path: Path, found: pl.DataFrame, name: str, kind: pl.DataType) -> None:
    advice = f"knowledge.graph needs {', '.join(COLUMNS[path.name])}"
    if name not in found.columns:
        raise SchemaError(f"{path} has no column {name!r}, it has {', '.join(found.columns)}; {advice}")
    if found.schema[name] != kind:
        raise SchemaError(f"{path}: column {name!r} is {found.schema[name]}, not {kind}; {advice}")
    if name in ("id", "label", "head", "relation", "tail") and found[name].null_count():
        raise SchemaError(f"{path}: column {name!r} has {found[name].null_count()} nulls; {advice}")
