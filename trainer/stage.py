"""What the recipe says of the trainer, and what a training reports. Nothing heavy is imported."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import field_validator

from gristmill.corpus.recipe_values import Mistake, Section
from gristmill.corpus.stage import Artefacts, CorpusStage
from gristmill.trainer.alarm_bounds import AlarmBounds
from gristmill.trainer.config import setting_mistakes
from gristmill.trainer.former_keys import FORMER
from gristmill.trainer.low_rank import Lora
from gristmill.trainer.model.shape import Shape
from gristmill.trainer.quantised_weights import Quantise
from gristmill.trainer.training_stage import TrainingStage


class Proof(Section):
    """Planted facts: the model is asked for them at every checkpoint, and verify judges the answers."""

    facts: str  # a file of JSON lines, each with key and value: words that stand next to each other in the texts
    domain: str  # whose rows alone state them; one phase of the curriculum draws it, and not the first


class Trainer(Section):
    """The compact Mixture-of-Experts model and its training."""

    former: ClassVar = FORMER
    model: Shape = Shape()
    balance: Mapping[str, float] = {"bias": 0.01}  # strengths by name, see docs/concepts/trainer.md; a table is whole
    stages: tuple[TrainingStage, ...] = ()  # they cover the phases of the curriculum; none = one stage
    lora: Lora | None = None  # adapters of low rank on weights of `start`
    quantise: Quantise | None = None  # weights in 8 and 4 bits, trained as they are stored
    start: str = ""  # model.safetensors of a checkpoint whose weights are gone on from, with the same tokenizer
    batch_rows: int = 8
    micro_batches: int = 1  # parts that a step's rows are divided into, where they do not fit at once
    recompute: bool = False  # each layer runs once more for the gradient: the same one, in less memory and more time
    spread_experts: bool = False  # each rank of a process group holds a part of the experts, and tokens go to them
    shard_weights: bool = False  # each rank of a process group holds a part of every tensor (FSDP2)
    learning_rate: float = 3e-3
    warmup_steps: int = 20
    max_grad_norm: float = 1.0  # a longer gradient is cut to it
    checkpoint_steps: int = 100
    keep: int = 0  # checkpoints beside the last two, spread evenly over the training: for replay and retraining
    heldout_rows: int = 0  # of each domain, evaluated before and after; 0 = all
    precision: str = "auto"  # or "float32", "bfloat16"
    device: str = "cpu"
    threads: int = 0  # of a step; 0 = one, which is the fastest for small models
    alarms: AlarmBounds = AlarmBounds()
    proof: Proof | None = None

    @field_validator("balance", mode="before")
    @classmethod
    def _expect_table(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise ValueError(f"this is a table now: [trainer.balance] with {value} = 0.01")  # noqa: TRY004  pydantic's
        return value

    def mistakes(self) -> Iterator[Mistake]:
        """All that the trainer would refuse, as mistakes of the recipe."""
        yield from setting_mistakes(self.model_dump())


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


def _artefacts(trainer: Trainer) -> Artefacts:
    facts = {"proof.facts": [trainer.proof.facts]} if trainer.proof else {}
    return facts | ({"start": [trainer.start]} if trainer.start else {})


TRAIN = CorpusStage(
    name="train",
    extra="train",
    version="4",  # sums in another order: norms, gates and rotations with gradients written out
    reads=("plan", "shards", "heldout", "tokenizer"),
    title="the model, trained on the plan",
    section=Trainer,
    key="trainer",
    artefacts=_artefacts,
    ready="gristmill.trainer.device:expect_trainable",
    facts=TrainFacts,
    run="gristmill.flows.pipeline.publish:train_model",
)
