"""What the recipe says of the mixture, and the stage that compiles its schedule into a plan."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, PlainSerializer, WrapValidator

from gristmill.corpus.errors import PlanError, nearest
from gristmill.corpus.recipe_values import Amount, Mistake, Positive, Section, Share
from gristmill.corpus.stage import CorpusStage
from gristmill.mixing.named_shares import TUNED, parse, tuned_shares
from gristmill.mixing.order_sections import Order, Upsample
from gristmill.mixing.shapes import SHAPES, STEP


def _sum_to_one(shares: dict[str, float]) -> dict[str, float]:
    total = sum(shares.values())
    if abs(total - 1) > 1e-6:
        raise ValueError(f"shares sum to {total:g}, not 1")
    return shares


def _name_or_table(value: Any, table: Callable[[Any], dict[str, float]]) -> dict[str, float] | str:
    if not isinstance(value, str):
        return table(value)
    parse(value)
    return value


Table = Annotated[dict[str, Share], AfterValidator(_sum_to_one)]
# a union would name its branches in the path of every mistake
Shares = Annotated[Table, WrapValidator(_name_or_table), PlainSerializer(lambda shares: shares)]


class Phase(Section):
    """A stretch of the curriculum; shares and tokens are those of documents, without padding."""

    until_tokens: Amount
    shape: str = STEP  # or a ramp from the phase before: "linear", "cosine"
    shares: Shares  # { DOMAIN = share }, or "proportional", "temperature:T", "unimax", "tuned:FILE"

    @property
    def named(self) -> str:
        """The text of ``shares`` where they are no table."""
        return self.shares if isinstance(self.shares, str) else ""

    def may_draw(self, domain: str) -> bool:
        """Whether it gives the domain a share; shares by name are not known before the corpus is, and may."""
        return bool(self.named or self.shares.get(domain))

    @property
    def tuned_file(self) -> str:
        """The file behind ``tuned:``, if any."""
        asked = parse(self.named) if self.named else None
        return asked.argument if asked and asked.name == TUNED else ""


class Caps(Section):
    """How often a domain may be repeated."""

    max_epochs: Positive = 4.0
    domains: dict[str, Positive] = {}


class Mixing(Section):
    """The mixture beside its schedule."""

    caps: Caps = Caps()
    order: dict[str, Order] = {}  # by domain: from easy to hard
    upsample: dict[str, Upsample] = {}  # by domain: some documents more often than others
    window_rows: Annotated[int, Field(ge=0)] = 0  # neighbours drawn together, for cold object stores; 0 = none
    budget: Amount | None = None  # tokens that will be trained on; a shorter curriculum is a mistake


def tuned_files(phases: Sequence[Phase]) -> dict[str, tuple[str, ...]]:
    """Files of tuned shares, in order of phases: they decide the plan, so their digests stand in the lock."""
    return {TUNED: tuple(phase.tuned_file for phase in phases if phase.tuned_file)}


def mixture_mistakes(
    phases: tuple[Phase, ...], mixing: Mixing, corpus: Mapping[str, Sequence[str]]
) -> Iterator[Mistake]:
    """A tuned mixture that is none for this corpus (its sources by domain), a curriculum that ends too early."""
    for number, phase in enumerate(phases):
        try:
            if phase.tuned_file:
                tuned_shares(Path(phase.tuned_file), corpus)
        except PlanError as error:
            yield Mistake((f"curriculum.{number}.shares",), str(error))
    if phases and mixing.budget and phases[-1].until_tokens < mixing.budget:
        keys = (f"curriculum.{len(phases) - 1}.until_tokens", "mixing.budget")
        yield Mistake(keys, f"the curriculum ends after {phases[-1].until_tokens} of mixing.budget = {mixing.budget}")


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
    """What a domain was meant to give and what it gives.

    ``rows`` there are and ``drawn_rows``; ``tokens`` of documents in these, ``target_tokens`` of them are predicted and
    count; shares of the documents' tokens, as the schedule asks and as the order gives.
    """

    rows: int
    drawn_rows: int
    tokens: int
    target_tokens: int
    target_share: float
    realised_share: float
    epochs: float


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """A plan in figures: ``tokens`` with padding, ``document_tokens`` without; ``knots`` counts its segments.

    Domains left out of the plan stand in ``by_domain`` too.
    """

    samples: int
    tokens: int
    document_tokens: int
    digest: str
    knots: int
    by_domain: dict[str, DomainDraw]
    phases: tuple[int, ...] = ()  # samples at which each phase of the curriculum ends


PLAN = CorpusStage(
    name="plan",
    version="3",  # its facts say where phases end
    reads=("shards",),
    section=Phase,
    key="curriculum",
    artefacts=tuned_files,
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
