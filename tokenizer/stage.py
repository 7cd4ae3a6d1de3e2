"""What the recipe says of tokens and rows, and the stages that make them."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from gristmill.corpus.recipe_values import Amount, Section
from gristmill.corpus.stage import CorpusStage


class Tokenizer(Section):
    """Byte-level BPE, trained on the kept text."""

    vocab_size: Annotated[int, Field(ge=258, le=1 << 20)] = 8192
    min_frequency: Annotated[int, Field(ge=1)] = 2
    sample_bytes: Amount = 32 << 20  # trained on a keyed sample of at most this much text


class Shards(Section):
    """Packed rows."""

    row_tokens: Annotated[int, Field(ge=8, le=1 << 20)] = 1024
    heldout: Annotated[float, Field(ge=0, le=0.5)] = 0.02  # share of documents kept away from training
    shard_rows: Annotated[int, Field(ge=1)] = 16384
    batch_rows: Annotated[int, Field(ge=1)] = 256  # rows a record batch, the unit of the digests


@dataclass(frozen=True, slots=True)
class TokenizerFacts:
    """What training a tokenizer came to.

    ``vocab_size`` as it came out, smaller than asked for when the text has no more pairs; ``sample_bytes`` it was
    trained on, and ``bytes_per_token`` on them.
    """

    vocab_size: int
    sample_bytes: int
    bytes_per_token: float


@dataclass(frozen=True, slots=True)
class TokensFacts:
    """Tokens and bytes of text by domain; ``engine`` is kernels, or tokenizers where the kernels do not apply."""

    tokens: dict[str, int]
    bytes: dict[str, int]
    vocab_size: int
    engine: str


@dataclass(frozen=True, slots=True)
class ShardsFacts:
    """One domain's packed rows; ``padding`` is the share of places that hold <|pad|>."""

    rows: int
    documents: int
    tokens: int
    padding: float
    cut_documents: int


TOKENIZER = CorpusStage(
    facts=TokenizerFacts,
    name="tokenizer",
    version="2",
    reads=("documents", "decide", "edits"),
    title="byte-level BPE, trained on a keyed sample of the kept text",
    always=True,
    libraries="gristmill.tokenizer.vocabulary:library_versions",
    run="gristmill.flows.pipeline.assemble:learn_tokenizer",
)
TOKENS = CorpusStage(
    facts=TokensFacts,
    name="tokens",
    version="2",
    reads=("documents", "decide", "edits", "tokenizer"),
    title="kept text to tokens",
    always=True,
    table="tokens.parquet",
    run="gristmill.flows.pipeline.assemble:encode",
)
SHARDS = CorpusStage(
    facts=ShardsFacts,
    name="shards",
    version="1",
    reads=("tokens", "tokenizer"),
    title="tokens packed into rows, a folder for each domain",
    always=True,
    run="gristmill.flows.pipeline.assemble:pack_shards",
)
HELDOUT = CorpusStage(
    facts=ShardsFacts,
    name="heldout",
    version="1",
    reads=("tokens", "tokenizer"),
    title="rows of documents that no training sees",
    always=True,
    run="gristmill.flows.pipeline.assemble:pack_heldout",
)
