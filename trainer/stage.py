"""What the recipe says of the trainer, and its stage. Nothing heavy is imported."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import field_validator

from gristmill.corpus.recipe_values import Mistake, Section
from gristmill.corpus.stage import Artefacts, CorpusStage
from gristmill.trainer.alarm_bounds import AlarmBounds
from gristmill.trainer.former_keys import FORMER
from gristmill.trainer.low_rank import Lora
from gristmill.trainer.model.shape import Shape
from gristmill.trainer.quantised_weights import Quantise
from gristmill.trainer.setting_mistakes import setting_mistakes
from gristmill.trainer.training_stage import TrainingStage
from gristmill.trainer.training_summary import TrainFacts


class Proof(Section):
    """Planted facts: the model is asked for them at every checkpoint, and verify judges the answers."""

    facts: str  # a file of JSON lines, each with key and value: words that stand next to each other in the texts
    domain: str  # whose rows alone state them; one phase of the curriculum draws it, and not the first


class Trainer(Section):
    """The compact Mixture-of-Experts model and its training."""

    former: ClassVar = FORMER
    model: Shape = Shape()
    balance: Mapping[str, float] = {"bias": 0.01}  # strengths by name, see docs/concepts/trainer.md; a table is whole
    settle_rows: int = 640  # consumed rows that settle the bias of `balance` behind the last step; 0 = it stays
    stages: tuple[TrainingStage, ...] = ()  # they cover the phases of the curriculum; none = one stage
    lora: Lora | None = None  # adapters of low rank on weights of `start`
    quantise: Quantise | None = None  # weights in 8 and 4 bits, trained as they are stored
    start: str = ""  # model.safetensors of a checkpoint whose weights are gone on from, with the same tokenizer
    batch_rows: int = 8
    micro_batches: int = 1  # parts that a step's rows are divided into, where they do not fit at once
    recompute: bool = False  # each layer runs once more for the gradient: the same one, in less memory and more time
    spread_experts: bool = False  # each rank of a process group holds a part of the experts, and tokens go to them
    shard_weights: bool = False  # each rank of a process group holds a part of every tensor (FSDP2)
    int8_gradients: bool = False  # ranks send their gradients in 8 bits, and what rounding leaves out with the next one
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


def _artefacts(trainer: Trainer) -> Artefacts:
    facts = {"proof.facts": [trainer.proof.facts]} if trainer.proof else {}
    return facts | ({"start": [trainer.start]} if trainer.start else {})


TRAIN = CorpusStage(
    name="train",
    extra="train",
    version="6",  # sums in another order: one pass over memory between products
    reads=("plan", "shards", "heldout", "tokenizer"),
    title="the model, trained on the plan",
    section=Trainer,
    key="trainer",
    artefacts=_artefacts,
    ready="gristmill.trainer.device:expect_trainable",
    facts=TrainFacts,
    run="gristmill.flows.pipeline.publish:train_model",
)
