"""What the recipe says of the mixture, and the stage that compiles its schedule into a plan."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator

from gristmill.corpus.errors import nearest
from gristmill.corpus.recipe_values import Amount, Mistake, Positive, Section, Share
from gristmill.corpus.stage import CorpusStage
from gristmill.mixing.shapes import SHAPES, STEP


def _sum_to_one(shares: dict[str, float]) -> dict[str, float]:
    total = sum(shares.values())
    if abs(total - 1) > 1e-6:
        raise ValueError(f"shares sum to {total:g}, not 1")
    return shares


class Phase(Section):
    """A stretch of the curriculum."""

    until_tokens: Amount
    shape: str = STEP  # or "linear", a ramp from the phase before
    shares: Annotated[dict[str, Share], AfterValidator(_sum_to_one)]


class Caps(Section):
    """How often a domain may be repeated."""

    max_epochs: Positive = 4.0
    domains: dict[str, Positive] = {}


class Mixing(Section):
    """The mixture beside its schedule."""

    caps: Caps = Caps()


def curriculum_mistakes(phases: tuple[Phase, ...], row_tokens: int) -> Iterator[Mistake]:
    """Phases that do not follow on each other, or are too short to hold a row; keys are those of the recipe."""
    before = 0
    for number, phase in enumerate(phases):
        here = f"curriculum.{number}"
        if phase.shape not in SHAPES:
            yield Mistake((f"{here}.shape",), f"unknown shape {phase.shape!r}{nearest(phase.shape, SHAPES)}")
        elif number == 0 and SHAPES[phase.shape].is_ramp:
            yield Mistake((f"{here}.shape",), f"{phase.shape!r} starts from the phase before, and the first has none")
        last = f"curriculum.{number - 1}.until_tokens"
        keys = (f"{here}.until_tokens", *([last] if number else []))
        if phase.until_tokens <= before:
            yield Mistake(keys, f"{phase.until_tokens} does not come after {before}")
        elif phase.until_tokens - before < row_tokens:
            text = f"the phase has {phase.until_tokens - before} tokens, fewer than a row of {row_tokens}"
            yield Mistake((*keys, "shards.row_tokens"), text)
        before = phase.until_tokens


@dataclass(frozen=True, slots=True)
class DomainDraw:
    """What a domain was meant to give and what it gives: rows there are, rows drawn, shares of the samples, epochs."""

    rows: int
    drawn_rows: int
    target_share: float
    realised_share: float
    epochs: float


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """A plan in figures; ``knots`` counts its segments. Domains left out of the plan stand in ``by_domain`` too."""

    samples: int
    tokens: int
    digest: str
    knots: int
    by_domain: dict[str, DomainDraw]


PLAN = CorpusStage(
    name="plan",
    version="1",
    reads=("shards",),
    facts=PlanFacts,
    title="the curriculum compiled into the exact order of rows",
    always=True,
    run="gristmill.flows.pipeline.assemble:plan_mixture",
)
PIECES = CorpusStage(
    name="pieces",
    version="1",
    reads=("shards", "plan"),
    title="where each document's pieces are, so that a plan tells the steps that draw it",
    always=True,
    run="gristmill.flows.pipeline.assemble:index_pieces",
)
