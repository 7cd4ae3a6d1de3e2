"""What a training run is, in plain values; checked before anything is allocated. No torch here."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from gristmill.corpus.errors import TrainError

VERSION = "1"  # of the whole trainer; here, where asking for it needs no torch
GRID = 8  # grouped_mm wants rows of a multiple of 16 bytes, on the CPU as well: 8 bfloat16, and so 4 float32


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Everything that decides the weights, and a few keys that do not (``FREE``).

    Raises
    ------
    TrainError : a value that the model cannot have, naming its key ``trainer.<key>``

    >>> TrainConfig(vocab_size=512, row_tokens=128).top_k
    2
    >>> TrainConfig(vocab_size=512, row_tokens=128, top_k=9)
    Traceback (most recent call last):
    gristmill.corpus.errors.TrainError: trainer.top_k is 9, expected 1 to 8 (trainer.experts)
    """

    vocab_size: int
    row_tokens: int
    seed: int = 0
    layers: int = 3
    width: int = 96
    heads: int = 3
    experts: int = 8
    expert_width: int = 96
    shared_experts: int = 1
    top_k: int = 2
    score: Literal["softmax", "sigmoid"] = "sigmoid"
    balance: Literal["bias", "switch", "none"] = "bias"
    balance_rate: float = 0.01  # step of the bias, or weight of the Switch loss
    z_loss: float = 0.0
    dropout: float = 0.0  # on each residual branch
    batch_rows: int = 8
    learning_rate: float = 3e-3
    warmup_steps: int = 20
    heldout_rows: int = 32  # read from each domain, before and after
    checkpoint_steps: int = 100
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    device: str = "cpu"
    threads: int = 0  # 0 = all cores

    def __post_init__(self):
        for key in ("vocab_size", "row_tokens", "layers", "heads", "experts", "batch_rows", "checkpoint_steps"):
            self._expect(key, getattr(self, key) >= 1, "1 or more")
        for key in ("shared_experts", "z_loss", "balance_rate", "warmup_steps", "heldout_rows", "threads"):
            self._expect(key, getattr(self, key) >= 0, "0 or more")
        for key in ("width", "expert_width"):
            value = getattr(self, key)
            self._expect(key, value >= GRID and value % GRID == 0, f"a multiple of {GRID} (grouped GEMM alignment)")
        for key, known in _CHOICES.items():
            self._expect(key, getattr(self, key) in known, " or ".join(known))
        self._expect("top_k", 1 <= self.top_k <= self.experts, f"1 to {self.experts} (trainer.experts)")
        self._expect("heads", self.width % (2 * self.heads) == 0, f"a divisor of half of trainer.width {self.width}")
        self._expect("learning_rate", self.learning_rate > 0, "more than 0")
        self._expect("dropout", 0 <= self.dropout < 1, "0 up to, not including, 1")

    def _expect(self, key: str, holds: bool, expected: str) -> None:
        if not holds:
            raise TrainError(f"trainer.{key} is {getattr(self, key)}, expected {expected}")

    def identity(self) -> dict[str, Any]:
        """The fields that decide the result: all but where, how fast and how often it is saved."""
        return {key: value for key, value in asdict(self).items() if key not in FREE}


FREE = ("checkpoint_steps", "device", "threads")
_CHOICES = {
    "score": ("softmax", "sigmoid"),
    "balance": ("bias", "switch", "none"),
    "precision": ("auto", "float32", "bfloat16"),
}
