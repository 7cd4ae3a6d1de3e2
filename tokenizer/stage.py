"""What the stages of the tokenizer report. Nothing heavy is imported."""

from dataclasses import dataclass


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
