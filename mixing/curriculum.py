"""Schedules: the phases of a curriculum as segments of integer shares. What they cost stands in ``feasibility``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gristmill.corpus.errors import PlanError, nearest
from gristmill.handoff.schedule import Segment, quantise


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of the curriculum up to ``until_tokens``, counted from the start of training.

    ``step`` holds ``shares`` throughout; ``linear`` goes from the shares of the phase before to ``shares``.
    """

    until_tokens: int
    shares: Mapping[str, float]
    shape: Literal["step", "linear"] = "step"


def drawn_domains(phases: Sequence[Phase]) -> tuple[str, ...]:
    """Domains that any phase gives a share, sorted."""
    return tuple(sorted({name for phase in phases for name, share in phase.shares.items() if share > 0}))


def segments(phases: Sequence[Phase], names: Sequence[str], row_tokens: int) -> tuple[Segment, ...]:
    """Phases in whole rows: a phase ends with the row that reaches ``until_tokens``.

    Raises
    ------
    PlanError : the first phase is a ramp, a phase holds no whole row, shares do not sum to one or name a strange domain

    >>> segments([Phase(64, {"web": 1.0})], ["web"], 8)
    (Segment(stop=8, first=(4294967296,), last=(4294967296,)),)
    """
    found: list[Segment] = []
    for number, phase in enumerate(phases):
        key = f"curriculum.{number}"
        _check_shares(key, phase.shares, names)
        last = quantise([phase.shares.get(name, 0.0) for name in names])
        first = last if phase.shape == "step" else _shares_before(key, found)
        stop, begin = -(-phase.until_tokens // row_tokens), found[-1].stop if found else 0
        if stop <= begin:
            raise PlanError(
                f"{key}.until_tokens: {phase.until_tokens} adds no whole row of {row_tokens} tokens (shards.row_tokens)"
            )
        found.append(Segment(stop, first, last))
    return tuple(found)


def _shares_before(key: str, found: list[Segment]) -> tuple[int, ...]:
    if not found:
        raise PlanError(f"{key}.shape: the first phase cannot be 'linear', there is nothing to start from; use 'step'")
    return found[-1].last


def _check_shares(key: str, shares: Mapping[str, float], names: Sequence[str]) -> None:
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise PlanError(f"{key}.shares.{name}: {share} is not between 0 and 1")
        if share and name not in names:
            raise PlanError(f"{key}.shares: unknown domain {name!r}{nearest(name, names)}")
    if abs(sum(shares.values()) - 1) > 1e-6:
        raise PlanError(f"{key}.shares sum to {sum(shares.values()):g}, not 1")
