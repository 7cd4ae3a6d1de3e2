"""The graph and the gold mentions of ../shared/data, as ``bench/linking.py`` and ``bench/fit_linking.py`` read them."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import numpy as np
import polars as pl

HUMAN = "Q5"
ARTICLES = (b"the ", b"The ")
GENITIVES = (b" 's", b"'s", " ’s".encode())


class GoldDocument(NamedTuple):
    """Spans in bytes of the text -> the entity meant, None where the graph has none for it."""

    id: str
    lang: str
    text: str
    mentions: Mapping[tuple[int, int], str | None]


def write_graph(data: Path, folder: Path) -> Path:
    """kg/ of shared data as a folder that [knowledge] reads. A type of other entities alone is a ``class``."""
    folder.mkdir(parents=True, exist_ok=True)
    entities = pl.read_parquet(data / "kg" / "entities.parquet").filter(pl.col("label").is_not_null())
    types = pl.read_parquet(data / "kg" / "codex_entity_types.parquet").explode("types").rename({"types": "type"})
    common = types.with_columns(n=pl.len().over("type")).sort("n", "type", descending=[True, False])
    main = common.unique("id", keep="first", maintain_order=True).select("id", "type")
    only_a_type = pl.col("type").is_null() & (pl.col("source") == "codex-types")
    typed = entities.join(main, on="id", how="left", maintain_order="left")
    typed = typed.with_columns(type=pl.when(only_a_type).then(pl.lit("class")).otherwise(pl.col("type").fill_null("")))
    typed.with_columns(pl.col("description").fill_null("")).select(
        "id", "label", "lang", "aliases", "description", "type"
    ).write_parquet(folder / "entities.parquet")
    triples = [
        pl.read_parquet(data / "kg" / f"{name}.parquet") for name in ("codex_triples", "fb15k237_valid_test_qid")
    ]
    ends = [table.select("head", "relation", "tail").drop_nulls() for table in triples]
    pl.concat(ends).unique(maintain_order=True).write_parquet(folder / "triples.parquet")
    return folder


def gold(data: Path, name: str) -> list[GoldDocument]:
    """gold/entity_linking_NAME of shared data; a title of Wikipedia becomes the id that kg/entities gives it."""
    entities = pl.read_parquet(data / "kg" / "entities.parquet")
    titled = entities.select("wikipedia", "id").drop_nulls()
    by_title = {_title(address): id_ for address, id_ in titled.iter_rows()}
    known = set(entities["id"])
    documents = []
    for row in pl.read_parquet(data / "gold" / f"entity_linking_{name}.parquet").iter_rows(named=True):
        at = np.cumsum([0, *(len(char.encode()) for char in row["text"])])
        spans = {}
        for mention in row["mentions"]:
            meant = by_title.get(unquote(mention["wikipedia"])) if "wikipedia" in mention else mention["qid"]
            spans[int(at[mention["start"]]), int(at[mention["end"]])] = meant if meant in known else None
        documents.append(GoldDocument(row["id"], row["lang"], row["text"], spans))
    return documents


def of_names(document: GoldDocument) -> GoldDocument:
    """Its mentions without a leading English article and without the genitive: GUM marks whole noun phrases."""
    data, spans = document.text.encode(), dict[tuple[int, int], str | None]()
    for (start, end), meant in document.mentions.items():
        phrase = data[start:end]
        start += next((len(one) for one in ARTICLES if phrase.startswith(one)), 0)
        end -= next((len(one) for one in GENITIVES if phrase.endswith(one)), 0)
        spans[start, end] = spans.get((start, end)) or meant
    return document._replace(mentions=spans)


def _title(address: str) -> str:
    return unquote(address.split("/wiki/")[-1]).replace("_", " ")
