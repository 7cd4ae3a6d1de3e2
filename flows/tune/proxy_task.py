"""What one proxy run is asked for, and what it found: the facts of its receipt."""

from collections.abc import Mapping
from dataclasses import dataclass

from gristmill.corpus.seeds import fraction

VERSION = "3"
STAGE = "proxies"
TASK_FILE = "task.json"
FIT_PART = 0.5  # of the held-out documents; the fit sees these, the comparison with the prior the others


@dataclass(frozen=True, slots=True)
class ProxyTask:
    """One proxy run: a share for each domain, tokens of it and of the full run, the preset's name, the seed."""

    shares: Mapping[str, float]
    proxy_tokens: int
    full_tokens: int
    preset: str
    seed: int
    basis: str = ""  # digest; "" stores no histogram


@dataclass(frozen=True, slots=True)
class DomainBits:
    """Bits per byte on one half of a domain's held-out documents, and the standard error by document."""

    bits_per_byte: float | None
    standard_error: float | None
    documents: int


@dataclass(frozen=True, slots=True)
class DomainEpochs:
    """How often a proxy run repeated a domain's rows, and how often the full run will."""

    proxy: float
    full: float


@dataclass(frozen=True, slots=True)
class ProxyFacts:
    """By domain: what the fit sees, what the comparison sees, and epochs; where the consumed tokens lay."""

    fit: Mapping[str, DomainBits]
    check: Mapping[str, DomainBits]
    epochs: Mapping[str, DomainEpochs]
    basis: str = ""  # digest of the basis that ``consumed`` is in
    consumed: tuple[float, ...] = ()  # of the run's tokens, the share in each cell of the basis; sums to one


def is_fitted(doc_id: str) -> bool:
    """Whether a held-out document is of the half that the fit sees."""
    return fraction(doc_id, "tune") < FIT_PART
