"""What the recipe says of the order inside a domain, and of how often its documents are drawn: [mixing.order.DOMAIN],
[mixing.upsample.DOMAIN]. Nothing heavy is imported.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated

from pydantic import Field

from gristmill.corpus.errors import nearest
from gristmill.corpus.recipe_values import Mistake, Section

PACE_NAMES = ("linear", "root")  # of mixing.bucket_draws.PACES, which imports more
MOST_BUCKETS = 1024


class Order(Section):
    """Difficulty inside a domain: rows in buckets of equal tokens, in ascending order of a stored signal."""

    by: str  # a signal that a stage of the recipe measures
    buckets: Annotated[int, Field(ge=1, le=MOST_BUCKETS)] = 8
    pace: str = "linear"  # one bucket after the other; or "root": a bucket from the square of its place in the epoch on

    def mistakes(self) -> Iterator[Mistake]:
        """A pace that there is not."""
        if self.pace not in PACE_NAMES:
            yield Mistake(("pace",), f"unknown pace {self.pace!r}{nearest(self.pace, PACE_NAMES)}")


class Upsample(Section):
    """How often a domain's documents are drawn, by where a stored signal puts them among the others."""

    by: str  # a signal that a stage of the recipe measures
    curve: Annotated[tuple[tuple[float, float], ...], Field(min_length=1)]  # [percentile, factor], lines between them

    def mistakes(self) -> Iterator[Mistake]:
        """Percentiles that do not ascend, or lie outside 0 to 100; factors that draw nothing."""
        percentiles, factors = zip(*self.curve, strict=True)
        if not all(0 <= one <= 100 for one in percentiles):
            yield Mistake(("curve",), "percentiles lie between 0 and 100: write [[percentile, factor], ...]")
        elif any(one >= other for one, other in pairwise(percentiles)):
            yield Mistake(("curve",), "percentiles ascend from point to point: write [[0, 0.5], [100, 2]]")
        if not all(0 <= one < float("inf") for one in factors) or not any(factors):
            yield Mistake(("curve",), "factors are 0 and up, and one at least is above 0")
