"""How router logits become scores, by name. No torch is imported: a recipe is checked against these names."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def softmax(logits: "Tensor") -> "Tensor":
    """Scores ``[N, E]`` that compete: each row sums to 1. Source: Switch Transformers (arXiv 2101.03961)."""
    return logits.softmax(-1)


def sigmoid(logits: "Tensor") -> "Tensor":
    """Scores ``[N, E]`` of each expert for itself. Source: DeepSeek-V3 (arXiv 2412.19437), section 2.1.2."""
    return logits.sigmoid()


SCORES: "dict[str, Callable[[Tensor], Tensor]]" = {"softmax": softmax, "sigmoid": sigmoid}
