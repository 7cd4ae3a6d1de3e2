"""What the recipe says of tokens and rows, and the stages that make them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from operator import add, attrgetter
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from gristmill.corpus.errors import nearest
from gristmill.corpus.recipe_values import Amount, Mistake, Section, Slug
from gristmill.corpus.stage import Artefacts, CorpusStage

END, PAD = "<|endoftext|>", "<|pad|>"
END_ID, PAD_ID = 0, 1  # of a tokenizer trained here
BYTES = 256  # single bytes that a tokenizer trained here always has
SHIPPED_TEMPLATES = ("chatml", "headers", "plain")
TEMPLATE_FILES = ("chat_template.jinja", "tokenizer_config.json")  # beside a tokenizer.json
_TRAINING = ("vocab_size", "min_frequency", "sample_bytes", "sample")


class Specials(Section):
    """Tokens that stand for no text. Where a document spells one, it gets the tokens of that text."""

    end: str = END  # closes every document; "" = none, with a tokenizer of one's own
    pad: str | None = None  # fills rows; else the pad token of training, and with path the end token or id 0
    begin: str | None = None  # what a chat template calls bos_token; documents do not begin with it
    control: tuple[str, ...] = ()  # further ones: of a chat template, or that the file does not mark as special

    @property
    def named(self) -> tuple[str, ...]:
        """All of them, each once."""
        return tuple(dict.fromkeys(name for name in (self.end, self.pad, self.begin, *self.control) if name))


class ComparedTokenizers(Section):
    """Tokenizers of others on the same kept text: their figures stand in the card beside those of the run's own."""

    files: Annotated[dict[Slug, str], Field(min_length=1)]  # by name: tokenizer.json, or a SentencePiece model (.model)


class Tokenizer(Section):
    """Byte-level BPE, trained on the kept text, or a tokenizer of one's own."""

    path: str | None = None  # tokenizer.json, or a SentencePiece model that ends in .model; nothing is trained then
    from_: Annotated[Literal["latest"] | None, Field(alias="from")] = None  # the tokenizer of NAME/latest
    vocab_size: Annotated[int, Field(ge=258, le=1 << 20)] = 8192
    min_frequency: Annotated[int, Field(ge=1)] = 2
    sample_bytes: Amount = 32 << 20  # trained on a keyed sample of at most this much text
    sample: Literal["kept", "mixture"] = "kept"  # domains as they were kept, or as the curriculum draws them
    specials: Specials = Specials()
    chat_template: str | None = None  # chatml, headers, plain, Jinja, or a file; else what stands beside path
    compare: ComparedTokenizers | None = None  # others, whose figures stand in the card beside its own

    @property
    def given(self) -> bool:
        """Whether the tokenizer is taken as it is, and not trained on the kept text."""
        return self.path is not None or self.from_ is not None

    @property
    def template_file(self) -> str | None:
        """The file that holds the chat template: the one named, or what comes with the tokenizer of path.

        A run's tokenizer brings none: its template was this recipe's.
        """
        if self.chat_template is not None:
            named = "{" not in self.chat_template and self.chat_template not in SHIPPED_TEMPLATES
            return self.chat_template if named else None
        if self.path is None or self.from_ is not None:
            return None
        beside = (Path(self.path).with_name(name) for name in TEMPLATE_FILES)
        return next((str(path) for path in beside if path.is_file()), None)

    def mistakes(self) -> Iterator[Mistake]:
        """Keys that do not go together."""
        if self.path is not None and self.from_ is not None:
            yield Mistake(("from", "path"), "path and from each name a tokenizer; leave one of them out")
        if self.path is not None:
            for key in (name for name in _TRAINING if name in self.model_fields_set):
                yield Mistake((key, "path"), "the tokenizer of path is taken as it is; leave this key out")
            return
        if not self.specials.end:
            yield Mistake(("specials.end", "path"), "a tokenizer that is trained here has an end token")
        least = BYTES + len(dict.fromkeys((self.specials.end, self.specials.pad or PAD, *self.specials.named)))
        if self.vocab_size < least:
            yield Mistake(("vocab_size", "specials"), f"{self.vocab_size} is less than {least} for bytes and specials")


def files_of(section: Tokenizer) -> Artefacts:
    """The files that the section names."""
    named = {"path": section.path, "chat_template": section.template_file}
    return {name: (path,) for name, path in named.items() if path}


def files_of_compared(section: ComparedTokenizers) -> Artefacts:
    """The files that the section names."""
    return {f"files.{name}": (path,) for name, path in section.files.items()}


class FillInMiddle(Section):
    """Documents of which the middle is moved to the end, so that a model learns to fill gaps.

    One is cut at two characters into prefix, middle and suffix, and becomes PREFIX prefix SUFFIX suffix MIDDLE middle,
    or, suffix first, PREFIX SUFFIX suffix MIDDLE prefix middle: PSM and SPM of Bavarian et al. 2022, Efficient Training
    of Language Models to Fill in the Middle, section 3. Which documents, and where, follows from their doc_id alone.
    """

    rates: dict[str, Annotated[float, Field(gt=0, le=1)]]  # share of a domain's documents
    suffix_first: Annotated[float, Field(ge=0, le=1)] = 0.5  # of these
    prefix: Annotated[str, Field(min_length=1)] = "<|fim_prefix|>"
    suffix: Annotated[str, Field(min_length=1)] = "<|fim_suffix|>"
    middle: Annotated[str, Field(min_length=1)] = "<|fim_middle|>"

    @property
    def named(self) -> tuple[str, str, str]:
        """The special tokens before prefix, suffix and middle; a tokenizer that is trained here gets them."""
        return self.prefix, self.suffix, self.middle

    def mistakes(self) -> Iterator[Mistake]:
        """Two marks of one name."""
        if len(set(self.named)) < len(self.named):
            yield Mistake(("prefix", "suffix", "middle"), f"{', '.join(self.named)}: three tokens of different names")

    def added_to(self, specials: Specials) -> Specials:
        """The special tokens of a recipe with these."""
        control = tuple(dict.fromkeys((*specials.control, *self.named)))
        return specials.model_copy(update={"control": control})


PACKINGS = {  # ways to fill rows, by name: (lengths, row_tokens) -> Packing
    "best_fit": "gristmill.tokenizer.packings:best_fit",
    "chop": "gristmill.tokenizer.packings:chop",
    "one_document": "gristmill.tokenizer.packings:one_document",
    "classes": "gristmill.tokenizer.packings:by_classes",
}


class Shards(Section):
    """Packed rows."""

    row_tokens: Annotated[int, Field(ge=8, le=1 << 20)] = 1024
    packing: str = "best_fit"  # or chop (concatenate and cut), one_document (a row for each), classes (of length)
    heldout: Annotated[float, Field(ge=0, le=0.5)] = 0.02  # share of documents kept away from training
    shard_rows: Annotated[int, Field(ge=1)] = 16384
    batch_rows: Annotated[int, Field(ge=1)] = 256  # rows a record batch, the unit of the digests

    def mistakes(self) -> Iterator[Mistake]:
        """A packing that there is none of."""
        if self.packing not in PACKINGS:
            yield Mistake(("packing",), f"unknown packing {self.packing!r}{nearest(self.packing, PACKINGS)}")


@dataclass(frozen=True, slots=True)
class TokenizerFacts:
    """What training a tokenizer came to, or reading one.

    ``vocab_size`` as it came out, smaller than asked for when the text has no more pairs; ``sample_bytes`` it was
    trained on, and ``bytes_per_token`` on them, both 0 for a tokenizer that was read. ``model`` is the algorithm, such
    as byte-level BPE. ``sample_by_domain`` is in bytes.
    """

    vocab_size: int
    sample_bytes: int
    bytes_per_token: float
    model: str = "byte-level BPE"
    trained: bool = True
    end: str | None = END
    pad_id: int = 1
    sample_by_domain: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TextCounts:
    """Kept text of one domain in one language, before its end tokens.

    ``words`` are stretches without white space. ``changed`` documents do not come back when their tokens are decoded.
    """

    domain: str
    lang: str  # "" where none is stated
    documents: int
    bytes: int
    characters: int
    words: int
    tokens: int
    changed: int

    def __add__(self, other: "TextCounts") -> "TextCounts":
        """The sum of both, under the domain and language of the first."""
        return TextCounts(self.domain, self.lang, *map(add, _counts(self), _counts(other)))


_counts = attrgetter("documents", "bytes", "characters", "words", "tokens", "changed")


@dataclass(frozen=True, slots=True)
class ComparedFacts:
    """Kept text in the tokens of one tokenizer; of the stage's parts the first is the run's own."""

    name: str  # in the recipe; "" is the run's own
    sha256: str  # of its file
    vocab_size: int
    counts: tuple[TextCounts, ...]


@dataclass(frozen=True, slots=True)
class TokensFacts:
    """Tokens and bytes of text by domain; ``engine`` is kernels, or tokenizers where the kernels do not apply."""

    tokens: dict[str, int]
    bytes: dict[str, int]
    vocab_size: int
    engine: str
    counts: tuple[TextCounts, ...] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)  # conversations without an answer to learn, by reason
    rearranged: Mapping[str, int] = field(default_factory=dict)  # documents with their middle at the end, by domain


@dataclass(frozen=True, slots=True)
class ShardsFacts:
    """One domain's packed rows; ``padding`` is the share of places that hold <|pad|>."""

    rows: int
    documents: int
    tokens: int
    padding: float
    cut_documents: int  # longer than a row
    packing: str = "best_fit"
    padding_best_fit: float | None = None  # of the same documents under best_fit, where another packing was asked for
    rows_without_targets: int = 0  # not packed: nothing in them counts
    tokens_without_targets: int = 0  # in those rows
    documents_without_signal: int = 0  # of an ordered domain: in the last bucket


TOKENIZER = CorpusStage(
    facts=TokenizerFacts,
    name="tokenizer",
    version="2",
    reads=("documents", "decide", "edits"),
    title="byte-level BPE, trained on a keyed sample of the kept text, or a tokenizer that the recipe names",
    section=Tokenizer,
    artefacts=files_of,
    always=True,
    libraries="gristmill.tokenizer.vocabulary:library_versions",
    run="gristmill.flows.pipeline.assemble:learn_tokenizer",
)
COMPARISON = CorpusStage(
    facts=ComparedFacts,
    name="tokenizer-comparison",
    version="1",
    reads=("documents", "language", "decide", "edits", "tokenizer"),
    title="kept text in the tokens of other tokenizers, counted and not kept",
    section=ComparedTokenizers,
    key="tokenizer.compare",
    artefacts=files_of_compared,
    libraries="gristmill.tokenizer.vocabulary:library_versions",
    run="gristmill.flows.pipeline.compare_tokenizers:compare_tokenizers",
)
TOKENS = CorpusStage(
    facts=TokensFacts,
    name="tokens",
    version="2",
    reads=("documents", "language", "decide", "edits", "tokenizer"),
    title="kept text to tokens",
    section=FillInMiddle,
    key="fill_in_middle",
    always=True,
    table="tokens.parquet",
    run="gristmill.flows.pipeline.assemble:encode",
)
SHARDS = CorpusStage(
    facts=ShardsFacts,
    name="shards",
    version="2",
    reads=("tokens", "tokenizer"),
    title="tokens packed into rows, a folder for each domain",
    always=True,
    run="gristmill.flows.pipeline.assemble:pack_shards",
)
HELDOUT = CorpusStage(
    facts=ShardsFacts,
    name="heldout",
    version="2",
    reads=("tokens", "tokenizer"),
    title="rows of documents that no training sees",
    always=True,
    run="gristmill.flows.pipeline.assemble:pack_heldout",
)
