"""[trainer.lora]: which weights get adapters of low rank, and how large these are. No torch here."""

from collections.abc import Iterator

from gristmill.corpus.recipe_values import Mistake, Section
from gristmill.trainer import checks
from gristmill.trainer.checks import Check, value_mistakes


class Lora(Section):
    """Adapters of low rank: they alone are trained, beside the router's selection bias; all weights stay."""

    weights: tuple[str, ...]  # patterns: "*.attention.*", "*.router.weight", "*.experts.*"
    rank: int = 8
    alpha: float = 16.0  # what the adapter adds is scaled by alpha / rank

    def mistakes(self) -> Iterator[Mistake]:
        """What adapters cannot be."""
        expected = Check("one pattern or more", bool)
        kinds = {"weights": expected, "rank": checks.POSITIVE, "alpha": checks.ABOVE_ZERO}
        yield from value_mistakes(self.model_dump(), kinds, {})
