"""[trainer.quantise]: which weights are trained as they are to be stored, in 8 and 4 bits. No torch here."""

from collections.abc import Iterator

from gristmill.corpus.recipe_values import Mistake, Section
from gristmill.trainer import checks
from gristmill.trainer.checks import Check, value_mistakes


class Quantise(Section):
    """Quantisation-aware training: the rows of a matrix that vary most have 8 bits, the others 4."""

    weights: tuple[str, ...]  # patterns: "*.experts.*", "*.attention.*"
    quantile: float = 0.7  # of the variances of a matrix's rows; those above it have 8 bits

    def mistakes(self) -> Iterator[Mistake]:
        """What quantised weights cannot be."""
        share = Check("0 up to 1", lambda value: checks.real(value) and 0 <= value <= 1)
        kinds = {"weights": Check("one pattern or more", bool), "quantile": share}
        yield from value_mistakes(self.model_dump(), kinds, {})
