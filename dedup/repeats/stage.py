"""What the recipe says of repeated passages, and the stages that cut them."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from gristmill.corpus.recipe_values import Section
from gristmill.corpus.stage import CorpusStage


class Lines(Section):
    """Lines or paragraphs that the kept corpus already has: the first copy stays, later ones are cut out."""

    unit: Literal["line", "paragraph"] = "line"
    min_chars: Annotated[int, Field(ge=1)] = 30
    scope: Literal["corpus", "source"] = "corpus"


class Substrings(Section):
    """Repeated runs of tokens: the first copy stays, later ones are cut out."""

    min_tokens: Annotated[int, Field(ge=2)] = 50


@dataclass(frozen=True, slots=True)
class LineCounts:
    """Lines or paragraphs of kept text, later copies among them, and the bytes of those."""

    units: int
    duplicates: int
    bytes_removed: int


@dataclass(frozen=True, slots=True)
class LinesFacts:
    """Of the corpus: repeated lines or paragraphs, before overlaps with other cuts are taken out."""

    unit: str
    units: int
    duplicates: int
    bytes_removed: int
    by_source: dict[str, LineCounts]


@dataclass(frozen=True, slots=True)
class RemovedBytes:
    """Bytes of repeated runs in one source."""

    bytes_removed: int


@dataclass(frozen=True, slots=True)
class SubstringsFacts:
    """Of the corpus: repeated runs of tokens, before overlaps with other cuts are taken out."""

    min_tokens: int
    tokens: int
    windows: int
    bytes_removed: int
    by_source: dict[str, RemovedBytes]


LINES = CorpusStage(
    facts=LinesFacts,
    name="lines",
    key="dedup.lines",
    version="2",
    reads=("documents", "decide"),
    title="lines or paragraphs that an earlier kept document has, as spans",
    section=Lines,
    table="spans.parquet",
    unscanned="a search for passages repeated inside different documents",
    run="gristmill.flows.pipeline.repeats:cut_lines",
)
SUBSTRINGS = CorpusStage(
    facts=SubstringsFacts,
    name="substrings",
    key="dedup.substrings",
    version="2",
    reads=("documents", "decide"),
    title="runs of tokens that an earlier kept document has, as spans",
    section=Substrings,
    table="spans.parquet",
    unscanned="a search for passages repeated inside different documents",
    run="gristmill.flows.pipeline.repeats:cut_substrings",
)
