"""What the recipe says of repeated passages, and the stages that cut them."""

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


LINES = CorpusStage(
    name="lines",
    key="dedup.lines",
    version="2",
    reads=("documents", "decide"),
    title="lines or paragraphs that an earlier kept document has, as spans",
    section=Lines,
    table="spans.parquet",
    unscanned="a search for lines repeated across documents",
    run="gristmill.flows.pipeline.repeats:cut_lines",
)
SUBSTRINGS = CorpusStage(
    name="substrings",
    key="dedup.substrings",
    version="2",
    reads=("documents", "decide"),
    title="runs of tokens that an earlier kept document has, as spans",
    section=Substrings,
    table="spans.parquet",
    unscanned="a search for passages repeated across documents",
    run="gristmill.flows.pipeline.repeats:cut_substrings",
)
