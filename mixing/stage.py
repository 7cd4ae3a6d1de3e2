"""What the stage of the plan reports. Nothing heavy is imported."""

from dataclasses import dataclass


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
