"""Which entities of the graph would give an answer away: those that bear its name, and those whose name holds it.

Names are compared as words in small letters (NFKC), so that Paris is held by "Paris, Texas" and "PARIS", and not by
Parisian. A Chinese or Japanese character is a word.
"""

from typing import NamedTuple

import numpy as np
import polars as pl

WORD = r"[\p{Han}\p{Hiragana}\p{Katakana}]|[[\p{L}\p{M}\p{N}]--[\p{Han}\p{Hiragana}\p{Katakana}]]+"
MOST_WORDS = 6  # a longer name is held by a name that is equal to it


class Revealing(NamedTuple):
    """Entities that would reveal what is asked: of key k ``entities[offsets[k]:offsets[k + 1]]``, ascending."""

    offsets: np.ndarray  # int64 [n_keys + 1]
    entities: np.ndarray  # int32


def entity_names(entities: pl.DataFrame) -> pl.DataFrame:
    """(entity, words): every label and alias of every language, as its words.

    Parameters
    ----------
    entities : entity, label, aliases
    """
    labels = entities.select("entity", name="label")
    aliases = entities.select("entity", name="aliases").explode("name").drop_nulls("name")
    names = pl.concat([labels, aliases]).with_columns(words=name_words(pl.col("name")))
    return names.select("entity", "words").filter(pl.col("words") != "").unique().sort("entity", "words")


def name_words(name: pl.Expr) -> pl.Expr:
    """Words in small letters with one space between.

    >>> pl.DataFrame({"n": ["St. Étienne", "東京 Dome"]}).select(name_words(pl.col("n")))["n"].to_list()
    ['st étienne', '東 京 dome']
    """
    return name.str.normalize("NFKC").str.to_lowercase().str.extract_all(WORD).list.join(" ")


def revealing_entities(asked: pl.DataFrame, names: pl.DataFrame, itself: pl.DataFrame, n_keys: int) -> Revealing:
    """For each key the entities one of whose names holds one of the key's.

    Parameters
    ----------
    asked : key, words: names of each answer; keys below ``n_keys``
    names : of ``entity_names``
    itself : key, entity: of entities, which reveal themselves whatever their names are
    """
    asked = asked.select(pl.col("key").cast(pl.Int64), "words").unique()
    wanted = asked["words"].unique()
    held = pl.concat([_equal(names, wanted), *_held(names, wanted)]).unique()
    pairs = asked.join(held, on="words").select("key", pl.col("entity").cast(pl.Int32))
    pairs = pl.concat([pairs, itself]).unique().sort("key", "entity")
    offsets = np.searchsorted(pairs["key"].to_numpy(), np.arange(n_keys + 1)).astype(np.int64)
    return Revealing(offsets, pairs["entity"].to_numpy().astype(np.int32))


def _equal(names: pl.DataFrame, wanted: pl.Series) -> pl.DataFrame:
    return names.filter(pl.col("words").is_in(wanted.implode())).select("entity", "words")


def _held(names: pl.DataFrame, wanted: pl.Series) -> list[pl.DataFrame]:
    """(entity, words): every stretch of up to MOST_WORDS words of a name that is wanted."""
    words = names.with_row_index("name").with_columns(word=pl.col("words").str.split(" ")).explode("word")
    found = []
    for n in range(1, MOST_WORDS + 1):
        stretch = pl.concat_str([pl.col("word").shift(-i) for i in range(n)], separator=" ")
        one_name = pl.col("name") == pl.col("name").shift(-(n - 1))
        stretches = words.select("entity", words=pl.when(one_name).then(stretch)).drop_nulls("words")
        found.append(stretches.filter(pl.col("words").is_in(wanted.implode())))
    return found
