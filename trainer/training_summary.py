"""What a training reports: losses, loads, what settling did, speed. Nothing heavy is imported.

``trainer.training.summary`` fills it.
"""

from dataclasses import dataclass

from gristmill.trainer.heldout_summary import Load

SETTLED_FILE, SETTLED_ROWS_FILE = "settled.parquet", "settled_rows.parquet"  # see ``trainer.training.settled_tables``


@dataclass(frozen=True, slots=True)
class Losses:
    """Nats per predicted token: of the first step, the mean of the last steps, and held out before and after."""

    first: float
    last: float
    heldout_before: float | None
    heldout_after: float | None
    heldout_unigram: float | None


@dataclass(frozen=True, slots=True)
class DomainChange:
    """Held-out loss of one domain before and after training, and of a model without context, nats a token.

    Bits per byte before and after, the latter with its standard error by document. ``busiest_share``: of each layer,
    the share of the domain's choices of experts that its busiest expert takes, 1 / E to 1 / top_k.
    """

    before: float
    after: float
    unigram: float
    documents: int = 0
    bytes: int | None = None
    bits_per_byte_before: float | None = None
    bits_per_byte: float | None = None
    standard_error: float | None = None
    busiest_share: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """A setting that another value was given at a checkpoint: after ``step`` steps, ``trainer.KEY`` is ``after``."""

    step: int
    key: str
    before: int | float
    after: int | float


@dataclass(frozen=True, slots=True)
class SettledLayer:
    """Standard deviation of a layer's load, in units of its mean, before its bias was settled and after.

    ``rows_*`` of the rows that it was settled on; before: with the layers below settled already. ``heldout_*`` of the
    held-out rows, None without any; before: with no layer settled.
    """

    rows_before: float
    rows_after: float
    heldout_before: float | None
    heldout_after: float | None


@dataclass(frozen=True, slots=True)
class Settled:
    """What settling the biases behind the last step did (``trainer.training.settling``).

    ``heldout_loss_before`` in nats per predicted token, to be compared with ``Losses.heldout_after``.
    """

    rows: int
    tokens: int
    heldout_loss_before: float | None
    layers: tuple[SettledLayer, ...]  # those with experts


@dataclass(frozen=True, slots=True)
class TrainSummary:
    """The content of summary.json: a pure function of plan, shards, config and ``changes`` (speed: timing.json).

    ``loss.last`` and ``load`` are means over the last tenth of the steps (at least ten). ``heldout_unigram`` is the
    cross entropy of the held-out tokens under the add-one smoothed counts of the tokens trained on: the level of a
    model without context.
    """

    steps: int
    samples: int
    tokens: int
    tokens_by_domain: dict[str, int]
    loss: Losses
    loss_by_domain: dict[str, DomainChange]
    load: Load
    heldout_load: Load | None
    parameters: int
    active_parameters: int
    config: dict[str, int | float | str | bool]
    load_by_layer: tuple[Load, ...] = ()
    heldout_load_by_layer: tuple[Load, ...] = ()
    changes: tuple[Change, ...] = ()
    layer_shared_parameters: int = 0  # that more than one layer uses
    shared_expert_parameters: int = 0  # of experts that every token uses
    settled: Settled | None = None  # biases were, behind the last step


@dataclass(frozen=True, slots=True)
class TrainFacts:
    """What the receipt of the stage says."""

    summary: TrainSummary


@dataclass(frozen=True, slots=True)
class Timing:
    """The content of timing.json: seconds spent in steps, resumed parts included, and the mean speed.

    ``flops_per_second`` of the model's matrix products (``trainer.training.flops``); ``mfu`` is its share of what one
    large matmul reaches, measured when the training last began: 0 to about 1.
    """

    seconds: float
    tokens_per_second: float
    flops_per_second: float | None = None  # None: of a version that did not measure it, as the two below
    matmul_flops_per_second: float | None = None
    mfu: float | None = None
