"""Which names of a graph are looked for in text, and which of them need a witness.

A name is a label or an alias. Left out:

- names of entities of type ``class`` (city, war, novel: common nouns, not things in the world),
- names shorter than ``min_label_chars``, where a Chinese or Japanese character counts as two,
- names without a letter, and names of one word that begin with a small letter (world, sun).

Doubtful as a name of an entity, so linked only where the document holds a witness (see ``linking``):

- names of one word that is also a common word (Reading, Smith, North): at least one in ten of its uses in
  the graph's own descriptions is in small letters; the graph brings its dictionary along,
- surnames: an alias of one word that ends its entity's longer label (Bell, of Vanessa Bell),
- given names: one word that begins names of three or more entities of type ``person`` (John, Elizabeth).
"""

from collections.abc import Sequence

import polars as pl

CLASS, PERSON = "class", "person"  # the two types that mean something here
GIVEN_PERSONS = 3
COMMON_SHARE = 0.1  # China is written small 1 time in 126 in the sample graph, Superior 1 in 4, Reading always
WIDE = r"[\p{Han}\p{Hiragana}\p{Katakana}]"
ONE_WORD = r"^[\p{L}\p{M}\p{N}]+$"


def linkable_names(entities: pl.DataFrame, languages: Sequence[str], min_label_chars: int) -> pl.DataFrame:
    """Every name that is looked for, with its candidates.

    Parameters
    ----------
    entities : id, label, lang, aliases list<string>, description, type, entity (ordinal of id)
    languages : labels of these languages only; of all when empty
    min_label_chars : characters, a wide one counts as two

    Returns
    -------
    DataFrame(name string, entity uint32, doubtful bool), one row a candidate, sorted by name and entity
    """
    wanted = entities.filter(pl.col("type") != CLASS)
    if languages:
        wanted = wanted.filter(pl.col("lang").is_in(list(languages)))
    names = _labels_and_aliases(wanted).filter(_is_fit(min_label_chars))
    name = pl.col("name")
    is_common = name.str.to_lowercase().is_in(common_words(entities["description"]).implode())
    is_surname = pl.col("alias") & pl.col("label").str.ends_with(pl.concat_str(pl.lit(" "), name))
    is_given = name.is_in(_given_names(names).implode())
    names = names.with_columns(doubtful=name.str.contains(ONE_WORD) & (is_common | is_surname | is_given))
    return names.group_by("name", "entity").agg(pl.col("doubtful").all()).sort("name", "entity")


def common_words(texts: pl.Series) -> pl.Series:
    """Words that are common nouns, verbs ... by their use in ``texts``, in small letters.

    >>> common_words(pl.Series(["reading a book", "Reading in England"])).to_list()
    ['a', 'book', 'in', 'reading']
    """
    words = texts.drop_nulls().str.extract_all(r"\b\p{L}+\b").explode().drop_nulls()
    counted = pl.DataFrame({"word": words}).group_by(pl.col("word").str.to_lowercase().alias("folded"))
    share = counted.agg(small=(pl.col("word") == pl.col("word").str.to_lowercase()).mean())
    return share.filter(pl.col("small") >= COMMON_SHARE)["folded"].sort()


def _given_names(names: pl.DataFrame) -> pl.Series:
    first = pl.col("name").str.extract(r"^(\S+) ").alias("first")
    persons = names.filter(pl.col("type") == PERSON).select(first, "entity").drop_nulls()
    counted = persons.group_by("first").agg(pl.col("entity").n_unique())
    return counted.filter(pl.col("entity") >= GIVEN_PERSONS)["first"].sort()


def _labels_and_aliases(entities: pl.DataFrame) -> pl.DataFrame:
    labels = entities.select("entity", "type", "label", name="label", alias=pl.lit(value=False))
    aliases = entities.select("entity", "type", "label", name="aliases", alias=pl.lit(value=True))
    every = pl.concat([labels, aliases.explode("name")]).drop_nulls("name")
    return every.with_columns(pl.col("name", "label").str.normalize("NFC").str.strip_chars())


def _is_fit(min_label_chars: int) -> pl.Expr:
    name = pl.col("name")
    long_enough = name.str.len_chars() + name.str.count_matches(WIDE) >= min_label_chars
    common_noun = name.str.contains(r"^\p{Ll}") & name.str.contains(ONE_WORD)
    return long_enough & name.str.contains(r"\p{L}") & ~common_noun
