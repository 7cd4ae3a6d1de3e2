"""One pass over the small columns of documents, signals and language: histograms, languages, licences, hosts.

Text is never read. Memory is bounded by the small columns of a part, or of TOGETHER documents where parts are smaller,
beside 12 bytes a kept document.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from gristmill.corpus.errors import CardError
from gristmill.corpus.languages import primary_subtag
from gristmill.corpus.tables import read_part, together
from gristmill.data_cards.parts.histogram import EDGES, Histogram, HistogramSums
from gristmill.data_cards.reading import Reading

HOST = r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/@]*@)?([^/?#:]+)"
SPACE = r"[\s\p{Cc}]+"
MEASURES = (pl.len().alias("documents"), pl.col("bytes").sum(), pl.col("kept").sum())
TOP_HOSTS = 20
TOGETHER = 1 << 16  # documents counted at once: one by one, parts of 1 MB take three times as long


@dataclass(frozen=True, slots=True)
class LanguageRow:
    """Documents of one language, None where none is stated; ``und`` where the model found none.

    What the inputs state is read as its primary subtag: pt-BR is pt, and python no language.
    """

    lang: str | None
    documents: int
    bytes: int
    kept: int


@dataclass(frozen=True, slots=True)
class LicenceRow:
    """Documents of one source that state one licence, or none."""

    source: str
    license: str | None
    documents: int
    bytes: int
    kept: int


@dataclass(frozen=True, slots=True)
class HostRow:
    """Documents whose address is on one host."""

    host: str
    documents: int
    bytes: int
    kept: int


class Profile(NamedTuple):
    """What one pass finds; ``languages_by`` is model or input."""

    signals: Mapping[str, Histogram]
    languages_by: str
    languages: tuple[LanguageRow, ...]
    licenses: tuple[LicenceRow, ...]
    hosts: tuple[HostRow, ...]


class _Part(NamedTuple):
    """What is read of one part."""

    stated: pa.Table  # source, lang, license, url
    found: pa.Table | None  # lang_id, where the run looked for languages
    signals: pl.DataFrame  # those that are shown
    units: Mapping[str, str]  # by signal
    kept: pl.DataFrame  # kept, bool


def profile(reading: Reading) -> Profile:
    """Histograms of lengths and entropies, and documents, bytes and kept by language, licence and host.

    Raises
    ------
    CardError : tables of the run do not align, or lack the column ``bytes``
    """
    sums: dict[str, HistogramSums] = {}
    keys = (("lang",), ("source", "license"), ("host",))
    tables: list[list[pl.DataFrame]] = [[], [], []]
    for parts in together(_parts(reading), lambda part: len(part.kept), TOGETHER):
        for part in parts:
            for name, unit in part.units.items():
                sums.setdefault(name, HistogramSums(name, unit)).add(part.signals[name], part.kept["kept"])
        columns = _columns(parts)
        for frames, names in zip(tables, keys, strict=True):
            frames.append(columns.group_by(names).agg(*MEASURES))
    languages, licenses, hosts = tables
    return Profile(
        signals={name: one.histogram() for name, one in sums.items()},
        languages_by="model" if reading.has("language") else "input",
        languages=tuple(LanguageRow(*row) for row in _ranked(languages, keys[0])),
        licenses=tuple(LicenceRow(*row) for row in _ranked(licenses, keys[1])),
        hosts=tuple(HostRow(*row) for row in _ranked(hosts, keys[2]) if row[0] is not None)[:TOP_HOSTS],
    )


def _parts(reading: Reading) -> Iterator[_Part]:
    files = {"documents": "documents.parquet", "signals": "signals.parquet", "language": "language.parquet"}
    files = {stage: file for stage, file in files.items() if stage != "language" or reading.has(stage)}
    rows = [tuple(part.rows for part in reading.manifest(stage).parts) for stage in files]
    if len(set(rows)) != 1:
        raise CardError(
            f"{reading.run.path}: {', '.join(files)} do not align part by part; `gristmill run` the recipe again"
        )
    kept = _kept_rows(reading.table("decide", "kept.parquet"))
    tables = [reading.tables(stage, file) for stage, file in files.items()]
    for number, (documents, signals, *language) in enumerate(zip(*tables, strict=True)):
        mask = np.zeros(rows[0][number], bool)
        mask[kept.get(number, [])] = True
        stated = read_part(documents, ["source", "lang", "license", "url"])
        found = read_part(language[0], ["lang_id"]) if language else None
        yield _Part(stated, found, *_signals(signals), pl.DataFrame({"kept": mask}))


def _columns(parts: Sequence[_Part]) -> pl.DataFrame:
    """Columns source, license, lang, host, bytes and kept of some parts."""
    found = [pl.DataFrame(one.found).rename({"lang_id": "lang_found"}) for one in parts if one.found is not None]
    columns = [
        _documents(pl.DataFrame(pa.concat_tables([one.stated for one in parts]))),
        pl.concat([one.signals.select("bytes") for one in parts]),
        pl.concat([one.kept for one in parts]),
        *([pl.concat(found)] if found else []),
    ]
    return _with_language(pl.concat(columns, how="horizontal"))


def _kept_rows(path: Path) -> dict[int, np.ndarray]:
    kept = pl.read_parquet(path, columns=["part", "row"])
    return {int(frame["part"][0]): frame["row"].to_numpy() for frame in kept.partition_by("part")}


def _documents(stated: pl.DataFrame) -> pl.DataFrame:
    return stated.with_columns(
        *(_on_one_line(name) for name in ("lang", "license")),
        host=pl.col("url").str.extract(HOST).str.to_lowercase(),
    ).drop("url")


def _on_one_line(name: str) -> pl.Expr:
    text = pl.col(name).str.replace_all(SPACE, " ").str.strip_chars()
    return pl.when(text != "").then(text).alias(name)


def _with_language(columns: pl.DataFrame) -> pl.DataFrame:
    if "lang_found" not in columns.columns:
        stated = columns["lang"].drop_nulls().unique().to_list()
        read = {tag: primary_subtag(tag) for tag in stated}  # as decide reads it
        return columns.with_columns(pl.col("lang").replace_strict(read, default=None, return_dtype=pl.String))
    return columns.with_columns(lang=pl.coalesce("lang_found", "lang"))


def _signals(path: Path) -> tuple[pl.DataFrame, dict[str, str]]:
    with pq.ParquetFile(path, memory_map=True) as file:  # opened once: its footer describes 95 columns
        schema = file.schema_arrow
        if "bytes" not in schema.names:
            raise CardError(
                f"{path.name} of stage signals has no column 'bytes'; a card needs it for every table of sizes"
            )
        shown = [name for name in EDGES if name in schema.names]
        units = {name: (schema.field(name).metadata or {}).get(b"unit", b"").decode() for name in shown}
        return pl.DataFrame(file.read(columns=shown, use_threads=False).select(shown)), units


def _ranked(frames: Sequence[pl.DataFrame], keys: Sequence[str]) -> list[tuple]:
    """Rows of keys, documents, bytes and kept; most documents first."""
    if not frames:
        return []
    counts = ("documents", "bytes", "kept")
    rows = pl.concat(frames).group_by(keys).agg(pl.col(counts).sum()).to_dicts()
    rows.sort(key=lambda row: (-row["documents"], [str(row[key]) for key in keys]))
    return [(*(row[key] for key in keys), *(int(row[name]) for name in counts)) for row in rows]
