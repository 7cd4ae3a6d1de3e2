"""What the recipe says of line rules, their signals and reasons, and the stage that applies them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from gristmill.corpus.recipe_values import Section
from gristmill.corpus.stage import PartStage, Signal

READINGS = ("c4", "refinedweb@dclm")


class LineEdits(Section):
    """Lines that published recipes cut: measured on every document, cut out of the kept ones."""

    rules: Annotated[tuple[Literal["c4", "refinedweb@dclm"], ...], Field(min_length=1)]
    domains: tuple[str, ...] = ()  # cut in these alone, in all when empty; c4 leaves little of code or Chinese


def _signals_of(reading: str) -> Iterator[Signal]:
    prefix, source = reading.split("@")[0], f"line rules {reading}"
    words = "of those that begin with a letter or digit"
    yield Signal(f"{prefix}_cut_line_share", "share of text lines", 0, 1, "text lines that are cut whole", source)
    yield Signal(f"{prefix}_cut_word_share", "share of words", 0, 1, f"words that are cut, {words}", source)
    yield Signal(f"{prefix}_cut_char_share", "share of characters", 0, 1, "characters that are cut", source)
    yield Signal(f"{prefix}_words_left", "words", 0, None, f"words that are left, {words}", source)
    yield Signal(f"{prefix}_sentences_left", "sentences", 0, None, "sentences in the lines that are left", source)
    if prefix == "c4":
        lorem = 'lines with "lorem ipsum" that end well and have 3 words'
        yield Signal("c4_lorem_ipsum_left", "lines", 0, None, lorem, source)
        yield Signal("c4_curly_brackets_left", "lines", 0, None, "such lines with {, and without javascript", source)


SIGNALS_OF = {reading: tuple(_signals_of(reading)) for reading in READINGS}


def signals_of_rules(options: LineEdits) -> Sequence[Signal]:
    """The signals of the readings that the recipe asks for."""
    return [signal for reading in options.rules for signal in SIGNALS_OF[reading]]


@dataclass(frozen=True, slots=True)
class LineEditsFacts:
    """What was cut."""

    bytes_by_reason: dict[str, int]
    edited: int  # documents with a cut


LINE_EDITS = PartStage(
    facts=LineEditsFacts,
    name="line_edits",
    version="1",
    title="lines that published rules cut, as spans",
    section=LineEdits,
    table="line_edits.parquet",
    measure="gristmill.filters.line_edits.find_edits:measure",
    columns=("domain",),
    signals=tuple(signal for signals in SIGNALS_OF.values() for signal in signals),
    chosen=signals_of_rules,
    spans=True,
    overlapping=True,  # two readings may cut the same bytes
)
