"""What the recipe says of block lists and evaluation sets, and the stages that look texts up in them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from gristmill.corpus.recipe_values import Mistake, Section, Share
from gristmill.corpus.stage import Artefacts, PartStage, SideTable, Signal
from gristmill.corpus.use_policy import EVALUATE

_OVERLAP = "words in a row, and 5-grams weighted by rarity in the benchmark"


class Blocklist(Section):
    """Lists of words, addresses and text hashes; they become signals that [decide.rules] may bound."""

    words: tuple[str, ...] = ()  # one word or phrase per line
    urls: tuple[str, ...] = ()  # one host, domain or address per line
    hashes: tuple[str, ...] = ()  # one text_hash per line


def lists_of(options: Blocklist) -> Artefacts:
    """The files of each kind of list."""
    return {"words": options.words, "urls": options.urls, "hashes": options.hashes}


class Decontaminate(Section):
    """Overlap with evaluation sets; the signals contamination and contaminated_passages."""

    sets: dict[str, tuple[str, ...]] = {}  # files of each benchmark, jsonl or parquet; evaluation sources are sets too
    action: Literal["drop", "count"] = "drop"  # drop: the profile "decontaminated" judges every domain
    text_field: str = "text"
    id_field: str = "id"  # what an item is called in the ledger; its row where a record has none
    ngram: Annotated[int, Field(ge=5)] = 13  # words of a passage in a row that are enough
    short_ngram: Annotated[int, Field(ge=5)] = 7  # the same where two fifths of a passage are fewer; at most: too short
    threshold: Share = 0.5  # of a passage's 5-grams, enough wherever they stand

    def mistakes(self) -> Iterator[Mistake]:
        """A bound outside its range."""
        if self.short_ngram > self.ngram:
            text = f"{self.short_ngram} is more than ngram {self.ngram}; short passages need fewer words in a row"
            yield Mistake(("short_ngram", "ngram"), text)
        if not self.threshold:
            yield Mistake(("threshold",), "0 would find every passage everywhere; expected more than 0, up to 1")


def sets_of(options: Decontaminate) -> Artefacts:
    """The files of each benchmark."""
    return options.sets


@dataclass(frozen=True, slots=True)
class BlocklistFacts:
    """Documents with a listed phrase, address, text."""

    blocked_words: int
    blocked_url: int
    blocked_hash: int


@dataclass(frozen=True, slots=True)
class BenchmarkFacts:
    """One evaluation set in one part."""

    passages: int
    too_short: int  # to be looked for
    found: int  # different passages that a document holds
    documents: int  # that hold one


@dataclass(frozen=True, slots=True)
class ContaminationFacts:
    """Every evaluation set in one part."""

    benchmarks: dict[str, BenchmarkFacts]


BLOCKLIST = PartStage(
    facts=BlocklistFacts,
    name="blocklist",
    version="2",
    title="listed words, addresses and texts",
    section=Blocklist,
    artefacts=lists_of,
    table="blocklist.parquet",
    unscanned="lists of blocked addresses and words",
    measure="gristmill.filters.lists.blocklist:measure",
    prepare="gristmill.filters.lists.blocklist:prepare",
    columns=("url", "text_hash"),
    signals=(
        Signal("blocked_words", "phrases", 0, None, "listed words and phrases, every time they occur"),
        Signal("blocked_words_distinct", "phrases", 0, None, "different listed words and phrases"),
        Signal("blocked_url", "0 or 1", 0, 1, "the address, its path or its host is listed"),
        Signal("blocked_hash", "0 or 1", 0, 1, "the hash of the text is listed"),
    ),
)
CONTAMINATION = PartStage(
    facts=ContaminationFacts,
    name="contamination",
    key="decontaminate",
    version="3",
    title="how much of an evaluation passage a document holds",
    section=Decontaminate,
    artefacts=sets_of,
    table="contamination.parquet",
    unscanned="a search for public benchmark items",
    libraries="gristmill.filters.lists.rarity:reference_version",
    measure="gristmill.filters.lists.decontaminate:measure",
    prepare="gristmill.filters.lists.decontaminate:prepare",
    of_use=EVALUATE,
    conclude="gristmill.filters.lists.decontaminate:conclude",
    signals=(
        Signal(
            "contamination",
            "share of a passage, 0 to 1",
            0,
            1,
            "largest part of an evaluation passage's 5-grams",
            _OVERLAP,
        ),
        Signal(
            "contaminated_passages",
            "passages",
            0,
            None,
            "evaluation passages held: words in a row, half of the 5-grams, or nearly all words",
            _OVERLAP,
        ),
    ),
    tables=(SideTable("passages.parquet", "gristmill.filters.lists.decontaminate:PASSAGES"),),
)
