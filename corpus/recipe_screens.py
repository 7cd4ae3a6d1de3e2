"""Sections of the recipe for the optional stages that screen documents; each stage runs where its section stands."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gristmill.corpus.recipe_values import Amount, Section, Share

Action = Literal["mask", "drop", "count"]


class Pii(Section):
    """Personal data by kind; a kind left out is not looked for. drop = the rule pii_drop fails."""

    email: Action | None = None
    ipv4: Action | None = None
    ipv6: Action | None = None
    card: Action | None = None  # with its check digit
    iban: Action | None = None  # with its check sum
    phone: Action | None = None
    key: Action | None = None  # access keys, tokens, private keys


class LineEdits(Section):
    """Lines that published recipes cut: measured on every document, cut out of the kept ones."""

    rules: Annotated[tuple[Literal["c4", "refinedweb@dclm"], ...], Field(min_length=1)]
    domains: tuple[str, ...] = ()  # cut in these alone, in all when empty; c4 leaves little of code or Chinese


class Blocklist(Section):
    """Lists of words, addresses and text hashes; they become signals that [decide.rules] may bound."""

    words: tuple[str, ...] = ()  # one word or phrase a line
    urls: tuple[str, ...] = ()  # one host, domain or address a line
    hashes: tuple[str, ...] = ()  # one text_hash a line


class Decontaminate(Section):
    """Overlap with evaluation sets; the signals contamination and contaminated_passages."""

    sets: dict[str, tuple[str, ...]]  # files of each benchmark, jsonl or parquet
    text_field: str = "text"
    ngram: Annotated[int, Field(ge=1)] = 13
    short_ngram: Annotated[int, Field(ge=1)] = 8  # for passages shorter than ngram words
    threshold: Share = 0.8


class Classifier(Section):
    """A fastText classifier, given or trained; its score is the signal score_NAME."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=32)]
    model: str | None = None  # a fastText file; trained from the examples when left out
    positive: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()
    labelled: tuple[str, ...] = ()  # text and label
    label: str = "positive"  # the label whose probability is the score
    dim: Annotated[int, Field(ge=1)] = 16
    epochs: Annotated[int, Field(ge=1)] = 25
    word_ngrams: Annotated[int, Field(ge=1)] = 2
    buckets: Annotated[int, Field(ge=1)] = 200_000
    learning_rate: Annotated[float, Field(gt=0)] = 0.5
    holdout: Share = 0.2


class Reference(Section):
    """A character n-gram model, given or fitted; its signals are cross_entropy_NAME and word_order_NAME."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=32)]
    model: str | None = None  # a reference.parquet; fitted on the texts when left out
    texts: tuple[str, ...] = ()  # jsonl or parquet with a text column: text that one calls good
    order: Annotated[int, Field(ge=1, le=8)] = 6  # characters of the longest n-gram
    sample_bytes: Amount = 8 << 20  # fitted on a keyed sample of at most this much text

    @model_validator(mode="after")
    def _model_or_texts(self) -> Self:
        if bool(self.model) == bool(self.texts):
            raise ValueError("give either texts or a model")
        return self


class Compression(Section):
    """How much zstd shortens a document: the signals zstd_ratio and zstd_ratio_residual."""

    level: Annotated[int, Field(ge=1, le=19)] = 3  # the residual's table was fitted at 3
