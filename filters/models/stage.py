"""What the recipe says of models of text, and the stages that fit them and score text with them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from gristmill.corpus.recipe_values import Amount, Mistake, Name, Positive, Section, Share
from gristmill.corpus.stage import Artefacts, CorpusStage, Label, PartStage, Signal
from gristmill.filters.models._unicode_scripts import SCRIPTS
from gristmill.filters.models.shipped import ENTROPY_TABLES, ENTROPY_WEIGHTS, LANGUAGE_MODEL


class Language(Section):
    """Language identification."""

    model: str | None = None  # a fastText model; the lid.176 that comes with the mill when left out


class Classifier(Section):
    """A fastText classifier, given or trained; its score is the signal score_NAME."""

    name: Name
    model: str | None = None  # a fastText file; trained from the examples when left out
    positive: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()
    labelled: tuple[str, ...] = ()  # text and label
    label: str = "positive"  # the label whose probability is the score
    dim: Annotated[int, Field(ge=1)] = 16
    epochs: Annotated[int, Field(ge=1)] = 25
    word_ngrams: Annotated[int, Field(ge=1)] = 2
    buckets: Annotated[int, Field(ge=1)] = 200_000
    learning_rate: Positive = 0.5
    holdout: Share = 0.2

    def mistakes(self) -> Iterator[Mistake]:
        """Neither a model nor examples of two labels, or both."""
        examples = (self.positive, self.negative, self.labelled)
        if self.model and any(examples):
            yield Mistake(("model", "positive", "negative", "labelled"), "give either a model or examples, not both")
        if not self.model and not self.labelled and not (self.positive and self.negative):
            text = "give a model, or examples to train one: positive and negative, or labelled"
            yield Mistake(("model", "positive", "negative", "labelled"), text)
        if self.label != "positive" and not self.labelled and not self.model:
            text = f"no example has the label {self.label!r}: labels other than positive and negative need labelled"
            yield Mistake(("label", "labelled", "model"), text)


class Reference(Section):
    """A character n-gram model, given or fitted; its signals are cross_entropy_NAME and word_order_NAME."""

    name: Name
    model: str | None = None  # a reference.parquet; fitted on the texts when left out
    texts: tuple[str, ...] = ()  # jsonl or parquet with a text column: text that one calls good
    order: Annotated[int, Field(ge=1, le=8)] = 6  # characters of the longest n-gram
    sample_bytes: Amount = 8 << 20  # fitted on a keyed sample of at most this much text

    def mistakes(self) -> Iterator[Mistake]:
        """Neither texts nor a model, or both."""
        if bool(self.model) == bool(self.texts):
            yield Mistake(("texts", "model"), "give either texts or a model")


class Compression(Section):
    """How much zstd shortens a document: the signals zstd_ratio and zstd_ratio_residual."""

    level: Annotated[int, Field(ge=1, le=19)] = 3  # the residual's table was fitted at 3


class Entropy(Section):
    """The entropy score and its parts: how unlike clean text of its language a document is."""


def language_model(options: Language) -> Artefacts:
    """The model that identifies languages."""
    return {"model": [options.model or str(LANGUAGE_MODEL)]}


def shipped_reference(options: Entropy) -> Artefacts:  # noqa: ARG001
    """The tables and weights of the entropy score."""
    return {"reference": [str(path) for path in (*ENTROPY_TABLES.values(), ENTROPY_WEIGHTS)]}


def given_model(options: Classifier | Reference) -> Artefacts:
    """The model that the recipe gives, if it does."""
    return {"model": [options.model]} if options.model else {}


def examples_of(options: Classifier) -> Artefacts:
    """The files of examples by kind."""
    return {kind: getattr(options, kind) for kind in ("positive", "negative", "labelled") if getattr(options, kind)}


def texts_of(options: Reference) -> Artefacts:
    """The files of good text."""
    return {"texts": options.texts} if options.texts else {}


def score_signal(options: Classifier) -> tuple[Signal, ...]:
    """The one signal of a classifier."""
    text = f"probability of the label {options.label}"
    return (Signal(f"score_{options.name}", "0 to 1", 0, 1, text, "fastText"),)


def reference_signals(options: Reference) -> tuple[Signal, ...]:
    """The two signals of a reference."""
    return (
        Signal(f"cross_entropy_{options.name}", "bits/character", 0, None, "bits per character", "n-grams"),
        Signal(f"word_order_{options.name}", "bits/word", None, None, "bits that words before a word save", "n-grams"),
    )


SCRIPT_SHARES = tuple(f"script_{script}_share" for script in SCRIPTS)


@dataclass(frozen=True, slots=True)
class LanguageFacts:
    """Documents by language and by script."""

    languages: dict[str, int]
    scripts: dict[str, int]


@dataclass(frozen=True, slots=True)
class ClassifierFacts:
    """Which signal a classifier is."""

    signal: str
    label: str


@dataclass(frozen=True, slots=True)
class LabelFigures:
    """How well a label is recognised on held-out examples; None where there are none."""

    precision: float | None
    recall: float | None
    f1: float | None
    auc: float | None


@dataclass(frozen=True, slots=True)
class ClassifierModelFacts:
    """What a classifier was trained on, and how well it tells held-out examples."""

    examples: dict[str, int]  # by label
    trained_on: int
    heldout: int
    accuracy: float | None
    labels: dict[str, LabelFigures]


@dataclass(frozen=True, slots=True)
class ReferenceFacts:
    """Which reference documents were scored against."""

    reference: str  # sha256


@dataclass(frozen=True, slots=True)
class Spread:
    """A signal on held-out text; None without any."""

    median: float | None
    mad: float | None
    p5: float | None
    p95: float | None


@dataclass(frozen=True, slots=True)
class ReferenceModelFacts:
    """What a reference was fitted on, and its signals on held-out text, so that bounds can be chosen."""

    fitted_on: int
    heldout: int
    ngrams: int
    order: int
    cross_entropy: Spread
    word_order: Spread


LANGUAGE = PartStage(
    facts=LanguageFacts,
    name="language",
    version="3",
    title="language and script",
    unscanned="identification of languages",
    section=Language,
    artefacts=language_model,
    table="language.parquet",
    measure="gristmill.filters.models.language:measure",
    prepare="gristmill.filters.models.language:prepare",
    labels=(
        Label("lang_id", "ISO code as the model gives it; und for a text without letters, or with few"),
        Label("script_main", "the script of most letters; none without letters"),
    ),
    signals=(
        Signal("lang_score", "0 to 1", 0, 1, "the language model's confidence", "lid.176"),
        Signal("lang_paragraph_share", "share of bytes", 0, 1, "paragraphs in the document's own language", "lid.176"),
        *(Signal(name, "share of letters", 0, 1, "letters of this script", "Unicode blocks") for name in SCRIPT_SHARES),
    ),
)
CLASSIFIER_MODEL = CorpusStage(
    facts=ClassifierModelFacts,
    name="classifier-model",
    key="classifiers",
    version="1",
    title="classifiers trained from examples",
    section=Classifier,
    each=True,
    asked=lambda options: not options.model,
    artefacts=examples_of,
    run="gristmill.flows.pipeline.fitting:train_classifiers",
)
CLASSIFIER = PartStage(
    facts=ClassifierFacts,
    name="classifier",
    key="classifiers",
    version="1",
    reads=("documents", "classifier-model"),
    title="scores of classifiers",
    section=Classifier,
    each=True,
    artefacts=given_model,
    table="classifier.parquet",
    measure="gristmill.filters.models.classifier:measure",
    prepare="gristmill.filters.models.classifier:prepare",
    made=("model", "model.bin"),
    chosen=score_signal,
)
REFERENCE_MODEL = CorpusStage(
    facts=ReferenceModelFacts,
    name="reference-model",
    key="references",
    version="1",
    title="character n-gram models fitted on good text",
    section=Reference,
    each=True,
    asked=lambda options: not options.model,
    artefacts=texts_of,
    run="gristmill.flows.pipeline.fitting:fit_references",
)
REFERENCE = PartStage(
    facts=ReferenceFacts,
    name="reference",
    key="references",
    version="1",
    reads=("documents", "reference-model"),
    title="cross-entropy against references",
    section=Reference,
    each=True,
    artefacts=given_model,
    table="scores.parquet",
    measure="gristmill.filters.models.reference:measure",
    prepare="gristmill.filters.models.reference:prepare",
    made=("model", "reference.parquet"),
    chosen=reference_signals,
)
COMPRESSION = PartStage(
    name="compression",
    version="2",
    title="how much zstd shortens a document",
    section=Compression,
    libraries="gristmill.filters.models.compression:library_versions",
    table="compression.parquet",
    measure="gristmill.filters.models.compression:measure",
    signals=(
        Signal(
            "zstd_ratio",
            "bytes per compressed byte",
            0,
            None,
            "bytes over bytes of a zstd frame; high is repetitive",
            "zstd",
        ),
        Signal(
            "zstd_ratio_residual",
            "MADs",
            None,
            None,
            "zstd_ratio against its median at so many bytes",
            "filters.compression",
        ),
    ),
)
_PARTS = {
    "characters": "what its characters cost under the reference",
    "order": "how its words follow each other, capitals and sentence ends, brackets",
    "languages": "whether one language speaks",
    "noise": "signs inside words, digits, symbols, control characters",
    "words": "lengths of words and of sentences",
    "repetition": "stretches seen before",
    "start": "the mean of clean text in its script and language",
}
ENTROPY_PARTS = {"score": "entropy_score"} | {name: f"entropy_part_{name}" for name in _PARTS}
ENTROPY = PartStage(
    name="entropy",
    version="2",
    title="entropy score",
    section=Entropy,
    artefacts=shipped_reference,
    table="entropy.parquet",
    measure="gristmill.filters.models.entropy_score:measure",
    prepare="gristmill.filters.models.entropy_score:prepare",
    labels=(
        Label(
            "entropy_language", "the language of the reference that the text was compared with; none without letters"
        ),
    ),
    signals=(
        Signal(
            "entropy_score",
            "log odds",
            None,
            None,
            "sum of its parts; clean text lies below 0",
            "filters.entropy_score",
        ),
        *(
            Signal(
                ENTROPY_PARTS[name], "log odds", None, None, f"part of entropy_score: {text}", "filters.entropy_score"
            )
            for name, text in _PARTS.items()
        ),
    ),
)
