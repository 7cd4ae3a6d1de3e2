"""The stage that makes one list of all spans of a document."""

from dataclasses import dataclass

from gristmill.corpus.stage import EVERY_SPAN, CorpusStage


@dataclass(frozen=True, slots=True)
class ReasonCounts:
    """What one reason cut or masked; spans of a document are disjoint."""

    spans: int
    bytes: int
    documents: int


@dataclass(frozen=True, slots=True)
class EditsFacts:
    """All spans, and by source and reason."""

    spans: int
    by_reason: dict[str, dict[str, ReasonCounts]]


EDITS = CorpusStage(
    name="edits",
    version="2",
    reads=("decide", "signals", EVERY_SPAN),
    title="all spans of a document in one list",
    always=True,
    facts=EditsFacts,
    table="kept.parquet",
    run="gristmill.flows.pipeline.edits:edit",
)
