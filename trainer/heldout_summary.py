"""What a pass over held-out rows finds: losses by domain, and how evenly experts are loaded. Nothing heavy is imported.

``trainer.training.evaluate`` fills it; the summary of a training stands in ``trainer.training_summary``.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """How evenly tokens are spread over experts, the mean over layers in units of a layer's mean load.

    ``max_over_mean`` 1 (even) to E; ``min_over_mean`` 1 down to 0; ``std`` 0 (even) and up; ``entropy`` 1 (even) down
    to 0, as a share of ln E; ``dead`` experts below a tenth of the mean, added up over layers.
    """

    max_over_mean: float
    min_over_mean: float
    std: float
    entropy: float
    dead: float


@dataclass(frozen=True, slots=True)
class DomainLoss:
    """Held-out loss of one domain, nats per predicted token, and how many tokens were predicted.

    ``unigram`` is what a model without context reaches. ``bits_per_byte`` (see ``trainer.training.bits_per_byte``) and
    its ``standard_error`` by document are None where the run has no byte-level tokenizer. ``experts`` [layers][E]
    counts the tokens that each expert took, of the layers that have experts.
    """

    loss: float
    unigram: float
    tokens: int
    documents: int = 0
    bytes: int | None = None
    nats: float = 0.0
    bits_per_byte: float | None = None
    standard_error: float | None = None
    experts: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Heldout:
    """Held-out loss over all domains, and of each; None without held-out rows."""

    loss: float | None
    unigram: float | None
    tokens: int
    domains: dict[str, DomainLoss]
    load: Load | None
    load_by_layer: tuple[Load, ...] = ()
