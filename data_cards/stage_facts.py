"""What the receipts of each stage say, one frozen dataclass for each; older runs lack some that have a default."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from gristmill.data_cards.typed_json import from_json

Counts = Mapping[str, int]


class Facts:
    """Facts of a stage; ``from_json`` reads ``receipt.facts``."""

    @classmethod
    def from_json(cls, value: Mapping[str, Any], where: str) -> Self:
        """Facts of one receipt; CardError names the key that is unknown, missing or of another type."""
        return from_json(cls, value, where)


# ------------------------------------------------------------------------------------------------ reading


@dataclass(frozen=True, slots=True)
class DocumentsFacts(Facts):
    """Of one part. Rejected and skipped records by reason, WARC records passed over by type."""

    rejects: Counts
    skipped: Counts
    text_bytes: int
    passed_over: Counts = field(default_factory=dict)
    files: int = 0
    triples: int | None = None  # of a graph that was written as documents


# ------------------------------------------------------------------------------------------------ measuring


@dataclass(frozen=True, slots=True)
class LanguageFacts(Facts):
    """Of one part: documents by language and by script; how much of a document the model read."""

    languages: Counts
    scripts: Counts
    max_bytes: int
    max_paragraphs: int


@dataclass(frozen=True, slots=True)
class PiiFacts(Facts):
    """Of one part: finds by kind, and documents that have something to mask."""

    finds: Counts
    masked: int


@dataclass(frozen=True, slots=True)
class LineEditsFacts(Facts):
    """Of one part: bytes of lines to cut by reason, and documents that have one."""

    bytes_by_reason: Counts
    edited: int


@dataclass(frozen=True, slots=True)
class BlocklistFacts(Facts):
    """Of one part: documents with a blocked word, address, hash."""

    blocked_words: int
    blocked_url: int
    blocked_hash: int


@dataclass(frozen=True, slots=True)
class BenchmarkFacts:
    """Passages of one benchmark, those too short to look for, those found in a part, and documents that hold one."""

    passages: int
    too_short: int
    found: int
    documents: int


@dataclass(frozen=True, slots=True)
class ContaminationFacts(Facts):
    """Of one part, by benchmark."""

    benchmarks: Mapping[str, BenchmarkFacts]

    @classmethod
    def from_json(cls, value: Mapping[str, Any], where: str) -> Self:
        """The receipt has the benchmarks themselves as its keys."""
        return from_json(cls, {"benchmarks": dict(value)}, where)


# ------------------------------------------------------------------------------------------------ models


@dataclass(frozen=True, slots=True)
class LabelScores:
    """How well a classifier finds one label on held-out examples; None where that is not defined."""

    precision: float | None
    recall: float | None
    f1: float | None
    auc: float | None


@dataclass(frozen=True, slots=True)
class ClassifierModelFacts(Facts):
    """Of a classifier that was trained here."""

    examples: Counts
    trained_on: int
    heldout: int
    accuracy: float | None
    labels: Mapping[str, LabelScores]


@dataclass(frozen=True, slots=True)
class ClassifierFacts(Facts):
    """Of one part that a classifier scored."""

    signal: str
    label: str


@dataclass(frozen=True, slots=True)
class Spread:
    """Where the values of a signal lie on held-out text; None without any."""

    median: float | None
    mad: float | None
    p5: float | None
    p95: float | None


@dataclass(frozen=True, slots=True)
class ReferenceModelFacts(Facts):
    """Of a reference that was fitted here: texts, n-grams, and the spread of its signals on held-out text."""

    fitted_on: int
    heldout: int
    ngrams: int
    order: int
    cross_entropy: Spread  # bits a character
    word_order: Spread  # bits a word


@dataclass(frozen=True, slots=True)
class ReferenceFacts(Facts):
    """Of one part that a reference scored: signals, and the sha256 of the reference."""

    signals: tuple[str, ...]
    reference: str


@dataclass(frozen=True, slots=True)
class MentionsFacts(Facts):
    """Of one part that was joined with the graph; ``top_types`` counts mentions by entity type."""

    mentions: int
    triples: int
    documents_with_entity: int
    documents_with_linked_pair: int
    dangling_triples: int
    top_types: Counts
    unwitnessed: int = 0


# ------------------------------------------------------------------------------------------------ duplicates, verdicts


@dataclass(frozen=True, slots=True)
class LargeCluster:
    """One of the largest clusters, and the lowest Jaccard similarity of a text in it to its smallest text."""

    cluster: str
    size: int
    lowest_to_root: float


@dataclass(frozen=True, slots=True)
class ClustersFacts(Facts):
    """Of the corpus: the scheme (None where near duplicates are off) and what it found."""

    near: bool
    documents: int
    texts: int
    exact_copies: int
    candidates: int
    verified: int
    unverified_share: float
    clusters: int
    largest_cluster: int
    largest_share: float
    sizes: tuple[tuple[int, int, int], ...]  # from, to, clusters of that size
    bridges: int
    chained: int
    largest: tuple[LargeCluster, ...]
    threshold: float | None = None
    hashes: int | None = None
    shingle_words: int | None = None
    bands: int | None = None
    rows: int | None = None
    engine: str | None = None
    curve: tuple[tuple[float, float], ...] = ()  # Jaccard similarity, chance to be compared


@dataclass(frozen=True, slots=True)
class Reviewed:
    """Documents that reviewers kept and dropped, and decisions that were made on another version of the text."""

    keep: int
    drop: int
    stale: int


@dataclass(frozen=True, slots=True)
class DecideFacts(Facts):
    """Of the corpus."""

    reviewed: Reviewed = Reviewed(0, 0, 0)


@dataclass(frozen=True, slots=True)
class LineCounts:
    """Lines or paragraphs of kept text, later copies among them, and the bytes of those."""

    units: int
    duplicates: int
    bytes_removed: int


@dataclass(frozen=True, slots=True)
class LinesFacts(Facts):
    """Of the corpus: repeated lines or paragraphs, before overlaps with other cuts are taken out."""

    unit: str
    units: int
    duplicates: int
    bytes_removed: int
    by_source: Mapping[str, LineCounts]


@dataclass(frozen=True, slots=True)
class RemovedBytes:
    """Bytes of repeated runs in one source."""

    bytes_removed: int


@dataclass(frozen=True, slots=True)
class SubstringsFacts(Facts):
    """Of the corpus: repeated runs of tokens, before overlaps with other cuts are taken out."""

    min_tokens: int
    tokens: int
    windows: int
    bytes_removed: int
    by_source: Mapping[str, RemovedBytes]


@dataclass(frozen=True, slots=True)
class EditCounts:
    """Spans of one source that were cut or masked for one reason."""

    spans: int
    bytes: int
    documents: int


@dataclass(frozen=True, slots=True)
class EditsFacts(Facts):
    """Of the corpus, by source and reason, every byte once."""

    spans: int
    by_reason: Mapping[str, Mapping[str, EditCounts]]


# ------------------------------------------------------------------------------------------------ hand-over, training


@dataclass(frozen=True, slots=True)
class TokenizerFacts(Facts):
    """Of the trained vocabulary."""

    vocab_size: int
    sample_bytes: int
    bytes_per_token: float


@dataclass(frozen=True, slots=True)
class TokensFacts(Facts):
    """Of one part: tokens, and bytes of kept text after cuts, by domain."""

    tokens: Counts
    bytes: Counts
    vocab_size: int
    engine: str


@dataclass(frozen=True, slots=True)
class ShardsFacts(Facts):
    """Of one domain's packed rows, training or held out."""

    rows: int
    documents: int
    tokens: int
    padding: float
    cut_documents: int


@dataclass(frozen=True, slots=True)
class PlannedDomain:
    """One domain in the plan."""

    rows: int
    drawn_rows: int
    target_share: float
    realised_share: float
    epochs: float


@dataclass(frozen=True, slots=True)
class PlanFacts(Facts):
    """Of the plan."""

    samples: int
    tokens: int
    digest: str
    knots: int
    by_domain: Mapping[str, PlannedDomain]


@dataclass(frozen=True, slots=True)
class Losses:
    """Nats a predicted token. None where nothing was measured."""

    first: float
    last: float
    heldout_before: float | None
    heldout_after: float | None
    heldout_unigram: float | None


@dataclass(frozen=True, slots=True)
class DomainLosses:
    """Held-out losses of one domain, nats a predicted token."""

    before: float | None
    after: float | None
    unigram: float | None


@dataclass(frozen=True, slots=True)
class TrainSummary:
    """summary.json of a training: neither time nor host."""

    steps: int
    samples: int
    tokens: int
    tokens_by_domain: Counts
    loss: Losses
    loss_by_domain: Mapping[str, DomainLosses]
    load: Mapping[str, float]
    heldout_load: Mapping[str, float]
    parameters: int
    active_parameters: int
    config: Mapping[str, Any]  # what [trainer] of the recipe came to, as it is


@dataclass(frozen=True, slots=True)
class TrainFacts(Facts):
    """Of the training."""

    summary: TrainSummary
