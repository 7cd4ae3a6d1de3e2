"""Which names of a graph are looked for in text, and what each says by itself about its entity.

A name is a label or an alias. Left out:

- names of entities of type ``class`` (city, war, novel: common nouns, not things in the world),
- names shorter than ``min_label_chars``, where a Chinese or Japanese character counts as two,
- names without a letter, and names of one word that begin with a small letter (world, sun).

Added, since texts write them and graphs do not list them:

- the last word of the label of a ``person`` (Warhol, of Andy Warhol): a surname,
- names in scripts with capitals beyond ASCII in capitals (ÖSTERREICH, РОССИЯ), and names of the letters A to Z in
  their full width (ＮＡＴＯ), which Chinese and Japanese print uses.

Doubtful, so no witness for others (see ``linking``):

- names of one word that is also a common word (Reading, Smith, North): at least one in ten of its uses in
  the graph's own descriptions is in small letters; the graph brings its dictionary along,
- surnames: one word that ends its entity's longer label (Bell, of Vanessa Bell),
- given names: one word that begins names of three or more entities of type ``person`` (John, Elizabeth).
"""

from collections.abc import Sequence

import polars as pl

CLASS, PERSONS = "class", ("person", "Q5")  # types that mean something here
GIVEN_PERSONS = 3
COMMON_SHARE = 0.1  # China is written small 1 time in 126 in the sample graph, Superior 1 in 4, Reading always
WIDE = r"[\p{Han}\p{Hiragana}\p{Katakana}]"
ONE_WORD = r"^[\p{L}\p{M}\p{N}]+$"
FULL_WIDTH = {chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)}
NOUNS_IN_CAPITALS = ("de", "lb")  # languages in which a capital says nothing about a noun


def linkable_names(entities: pl.DataFrame, languages: Sequence[str], min_label_chars: int) -> pl.DataFrame:
    """Every name that is looked for, with its candidates.

    Parameters
    ----------
    entities : id, label, lang, aliases list<string>, description, type, entity (ordinal of id)
    languages : labels of these languages only; of all when empty
    min_label_chars : characters, a wide one counts as two

    Returns
    -------
    DataFrame, one row a candidate, sorted by name and entity:

    - name string, entity uint32
    - doubtful, surname, given, person bool : see above; person: of the entity
    - own, listed, shouted bool : a label and no alias; in the graph, not added here; in capitals, added here
    - common double : share of the word's uses in descriptions that are in small letters
    - noun double : share of the entity's labels that begin with a small letter
    """
    wanted = entities.filter(pl.col("type") != CLASS)
    if languages:
        wanted = wanted.filter(pl.col("lang").is_in(list(languages)))
    names = _every_name(wanted).filter(_is_fit(min_label_chars))
    name = pl.col("name")
    names = names.with_columns(folded=name.str.to_lowercase())
    shares = small_shares(entities["description"]).rename({"word": "folded", "small": "common"})
    names = names.join(shares, on="folded", how="left", maintain_order="left").with_columns(
        pl.col("common").fill_null(0.0)
    )
    names = names.join(_nouns(entities), on="entity", how="left", maintain_order="left")
    is_surname = ~pl.col("own") & pl.col("label").str.ends_with(pl.concat_str(pl.lit(" "), name))
    names = names.with_columns(surname=is_surname, given=name.is_in(_given_names(names).implode()))
    is_common = pl.col("common") >= COMMON_SHARE
    doubt = name.str.contains(ONE_WORD) & (is_common | pl.col("surname") | pl.col("given"))
    flags = pl.col("own", "given", "person", "listed").any(), pl.col("doubtful", "surname", "shouted").all()
    grouped = names.with_columns(doubtful=doubt | pl.col("shouted")).group_by("name", "entity")
    return grouped.agg(*flags, pl.col("common", "noun").max()).sort("name", "entity")


def small_shares(texts: pl.Series) -> pl.DataFrame:
    """(word, small): every word of ``texts`` in small letters, and the share of its uses that are written so."""
    words = texts.drop_nulls().str.extract_all(r"\b\p{L}+\b").explode().drop_nulls()
    counted = pl.DataFrame({"written": words}).group_by(pl.col("written").str.to_lowercase().alias("word"))
    return counted.agg(small=(pl.col("written") == pl.col("written").str.to_lowercase()).mean())


def _nouns(entities: pl.DataFrame) -> pl.DataFrame:
    """(entity, noun): mathematics, Mathematik, matemáticas -> 1.0; German labels say nothing."""
    cased = entities.filter(~pl.col("lang").is_in(NOUNS_IN_CAPITALS))
    small = pl.col("label").str.contains(r"^\p{Ll}").mean()
    return (
        entities.select("entity")
        .unique()
        .join(cased.group_by("entity").agg(noun=small), on="entity", how="left")
        .with_columns(pl.col("noun").fill_null(0.0))
    )


def _given_names(names: pl.DataFrame) -> pl.Series:
    first = pl.col("name").str.extract(r"^(\S+) ").alias("first")
    persons = names.filter(pl.col("person"), ~pl.col("shouted")).select(first, "entity").drop_nulls()
    counted = persons.group_by("first").agg(pl.col("entity").n_unique())
    return counted.filter(pl.col("entity") >= GIVEN_PERSONS)["first"].sort()


def _every_name(entities: pl.DataFrame) -> pl.DataFrame:
    """(entity, label, name, own, person, shouted), normalised: labels, aliases, and the names that we add."""
    common = {
        "entity": "entity",
        "label": "label",
        "person": pl.col("type").is_in(PERSONS),
        "shouted": pl.lit(value=False),
    }
    labels = entities.select(**common, name="label", own=pl.lit(value=True))
    aliases = entities.select(**common, name="aliases", own=pl.lit(value=False)).explode("name").drop_nulls("name")
    every = pl.concat([labels, aliases]).with_columns(
        pl.lit(value=True).alias("listed"), pl.col("name", "label").str.normalize("NFC").str.strip_chars()
    )
    surname = pl.col("label").str.extract(r" (\p{Lu}\p{L}{2,}[\p{L}\p{Pd}’']*)$")
    surnames = every.filter("own", "person").with_columns(name=surname, own=pl.lit(value=False)).drop_nulls("name")
    every = pl.concat([every, surnames.with_columns(listed=pl.lit(value=False))])
    capitals = every.with_columns(
        name=pl.col("name").str.to_uppercase(), shouted=pl.lit(value=True), listed=pl.lit(value=False)
    )
    capitals = capitals.filter(
        pl.col("name").str.contains(r"[^\x00-\x7F]"), pl.col("name").str.contains(r"\p{Lu}\P{Ll}*\p{Lu}")
    ).join(every, on=["name", "entity"], how="anti")
    return pl.concat([every, capitals, _full_width(every)])


def _full_width(names: pl.DataFrame) -> pl.DataFrame:
    letters = names.filter(pl.col("name").str.contains(r"^[A-Z0-9]{2,8}$"))
    wide = pl.col("name").str.replace_many(FULL_WIDTH)
    return letters.with_columns(name=wide, listed=pl.lit(value=False))


def _is_fit(min_label_chars: int) -> pl.Expr:
    name = pl.col("name")
    long_enough = name.str.len_chars() + name.str.count_matches(WIDE) >= min_label_chars
    common_noun = name.str.contains(r"^\p{Ll}") & name.str.contains(ONE_WORD)
    return long_enough & name.str.contains(r"\p{L}") & ~common_noun
