"""Feasibility: are there rows enough for a schedule? Checked on its integral, before anything is trained."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from gristmill.corpus.errors import PlanError
from gristmill.handoff.schedule import ONE, Segment
from gristmill.mixing.curriculum import Phase, drawn_domains, segments
from gristmill.mixing.shapes import STEP

SLACK_ROWS = 0.5  # shares are integers in 2^-32: 10^9 rows shift a domain's total by up to 0.23
ROUNDS = 400  # of fitting; each keeps a phase's sum and lowers what is above its cap


@dataclass(frozen=True, slots=True)
class EpochCaps:
    """How often a row may be repeated: ``max_epochs`` for all domains, other numbers for those in ``domains``."""

    max_epochs: float
    domains: Mapping[str, float] = field(default_factory=dict)

    def of(self, name: str) -> float:
        """The cap of one domain, in epochs."""
        return self.domains.get(name, self.max_epochs)


def demand(schedule: Sequence[Segment], names: Sequence[str]) -> dict[str, float]:
    """Rows that a schedule draws from each domain: the integral of its share over the samples."""
    total, begin = dict.fromkeys(names, 0.0), 0
    for segment in schedule:
        for name, first, last in zip(names, segment.first, segment.last, strict=True):
            total[name] += (segment.stop - begin) * (first + last) / (2 * ONE)
        begin = segment.stop
    return total


def check(
    phases: Sequence[Phase],
    rows: Mapping[str, int],
    row_tokens: int,
    caps: EpochCaps,
    fill: Mapping[str, float] | None = None,
) -> None:
    """Refuse a schedule that repeats a domain more often than its cap.

    Parameters
    ----------
    rows : rows of each domain
    fill : documents' tokens in a row of each domain, as a share of ``row_tokens``; 1 for those left out

    Raises
    ------
    PlanError : a domain has a share but no rows; or a cap is exceeded: the message holds the largest feasible budget
        and, where there is one, a curriculum within the caps, ready to paste
    """
    names = drawn_domains(phases)
    for name in names:
        if not rows.get(name):
            raise PlanError(
                f"curriculum: domain {name!r} has a share, but no row of it is left to train on; look at its "
                "[[sources]], at [decide], at what cuts its text and at shards.heldout, or leave it out of "
                "curriculum.*.shares"
            )
    capacity = {name: rows[name] * caps.of(name) for name in names}
    schedule = partial(segments, names=names, row_tokens=row_tokens, fill=fill)
    needed = demand(schedule(phases), names)
    if any(_exceeds(needed, capacity).values()):
        raise PlanError("\n".join(_advice(phases, rows, schedule, needed, capacity)))


Schedule = Callable[[Sequence[Phase]], Sequence[Segment]]


def _exceeds(needed: Mapping[str, float], capacity: Mapping[str, float]) -> dict[str, bool]:
    return {name: needed[name] > capacity[name] + SLACK_ROWS for name in needed}


def _advice(
    phases: Sequence[Phase],
    rows: Mapping[str, int],
    schedule: Schedule,
    needed: Mapping[str, float],
    capacity: Mapping[str, float],
) -> list[str]:
    lines = ["the curriculum repeats domains more often than mixing.caps allows:"]
    for name, exceeded in _exceeds(needed, capacity).items():
        if exceeded:
            epochs = f"{needed[name] / rows[name]:.3g} epochs of {rows[name]} rows"
            lines.append(f"  {name}: {epochs}; the cap is {capacity[name] / rows[name]:g}")
    largest = min(capacity[name] / needed[name] for name in needed if needed[name])
    budget = math.floor(largest * phases[-1].until_tokens)
    lines.append(
        f"With these shares {budget} tokens are feasible, not {phases[-1].until_tokens} (all phases shortened)."
    )
    fitted = within_caps(phases, schedule, capacity)
    if fitted is None:
        lines.append("No shares meet the caps in these phases; shorten them, or raise mixing.caps.max_epochs.")
    else:
        lines += ["Or keep the budget, with the scarce domains at their caps:", *_as_recipe(fitted)]
    return lines


def within_caps(phases: Sequence[Phase], schedule: Schedule, capacity: Mapping[str, float]) -> list[Phase] | None:
    """The same phases with scarce domains at their caps and the others raised in proportion; None when impossible.

    Like UniMax it caps and passes on the rest, but to the domains of the same phase: each round lowers the domains
    above their ``capacity`` (rows) and renormalises every phase. ``schedule`` turns phases into segments of rows.
    """
    names = drawn_domains(phases)
    fitted = list(phases)
    for _ in range(ROUNDS):
        rounded = [replace(phase, shares=_rounded(phase.shares)) for phase in fitted]
        if not any(_exceeds(demand(schedule(rounded), names), capacity).values()):
            return rounded
        needed = demand(schedule(fitted), names)
        # a thousandth below the cap, so that six decimals in the recipe stay below it too
        factor = {name: min(1.0, 0.999 * capacity[name] / needed[name]) for name in names}
        scaled = [{name: share * factor.get(name, 1.0) for name, share in phase.shares.items()} for phase in fitted]
        fitted = [replace(p, shares=_to_one(shares)) for p, shares in zip(fitted, scaled, strict=True)]
    return None


def _to_one(shares: Mapping[str, float]) -> dict[str, float]:
    total = sum(shares.values())
    return {name: share / total for name, share in shares.items()}


def _rounded(shares: Mapping[str, float]) -> dict[str, float]:
    """Six decimals that sum to one; the largest share takes the difference."""
    rounded = {name: round(share, 6) for name, share in shares.items()}
    largest = max(rounded, key=lambda name: rounded[name])
    others = sum(share for name, share in rounded.items() if name != largest)
    return {**rounded, largest: round(1 - others, 6)}


def _as_recipe(phases: Sequence[Phase]) -> list[str]:
    lines = []
    for phase in phases:
        shares = ", ".join(f"{name} = {share:g}" for name, share in phase.shares.items())
        lines += ["[[curriculum]]", f"until_tokens = {phase.until_tokens}"]
        lines += [f'shape = "{phase.shape}"'] if phase.shape != STEP else []
        lines.append(f"shares = {{ {shares} }}")
    return lines
