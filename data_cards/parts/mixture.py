"""The plan as it lies in the run: its schedule, and each domain's share as asked and as given."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gristmill.data_cards.parts.handover import indexes, packed
from gristmill.data_cards.reading import Reading
from gristmill.handoff.plan import Plan
from gristmill.handoff.schedule import ONE, Segment
from gristmill.mixing.bucket_draws import TOGETHER, BucketDraw, PackedBucket, bucket_draws


@dataclass(frozen=True, slots=True)
class Caps:
    """How often a domain may be repeated."""

    max_epochs: float
    domains: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of the schedule, with its shares at its first sample and at its last, equal where they are constant."""

    until_sample: int
    until_tokens: int
    first: Mapping[str, float]
    last: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class DomainShare:
    """``target_share`` is the mean of the schedule over all samples, ``realised_share`` what the order amounts to."""

    rows: int
    drawn: int
    epochs: float
    target_share: float
    realised_share: float


@dataclass(frozen=True, slots=True)
class RowOrder:
    """A domain that is drawn in an order, or with weights: by which signals ("" = by none), and what an epoch draws."""

    by: str
    pace: str
    weighted_by: str
    buckets: tuple[BucketDraw, ...]


@dataclass(frozen=True, slots=True)
class Mixture:
    """The plan, by domain and over its tokens."""

    digest: str
    seed: int
    samples: int
    tokens: int
    caps: Caps
    schedule: tuple[Phase, ...]
    by_domain: Mapping[str, DomainShare]
    orders: Mapping[str, RowOrder] = field(default_factory=dict)
    window_rows: int = 0


def mixture(reading: Reading) -> Mixture:
    """From the plan's own file, and the rows that each domain has."""
    plan = Plan.load(reading.run.path / "plan")
    caps = reading.recipe["mixing"]["caps"]
    return Mixture(
        digest=plan.digest,
        seed=plan.seed,
        samples=plan.samples,
        tokens=plan.tokens,
        caps=Caps(caps["max_epochs"], caps["domains"]),
        schedule=tuple(_phase(segment, plan) for segment in plan.segments),
        by_domain=_by_domain(plan, {domain: one.rows for domain, one in packed(reading, "shards").items()}),
        orders=_orders(reading),
        window_rows=plan.window_rows,
    )


def _orders(reading: Reading) -> dict[str, RowOrder]:
    asked, weighted = (reading.recipe["mixing"].get(table, {}) for table in ("order", "upsample"))
    found = {}
    for domain, index in indexes(reading, "shards").items():
        buckets = [PackedBucket(**one) for one in index.get("buckets", [])]
        if buckets:
            order = asked.get(domain, {})
            draws = bucket_draws(buckets, order.get("pace", TOGETHER))
            by = weighted.get(domain, {}).get("by", "")
            found[domain] = RowOrder(order.get("by", ""), order.get("pace", TOGETHER), by, draws)
    return found


def _by_domain(plan: Plan, rows: Mapping[str, int]) -> dict[str, DomainShare]:
    asked, drawn = _mean_shares(plan), plan.counts(0, plan.samples)
    return {
        domain: DomainShare(
            rows=n,
            drawn=drawn.get(domain, 0),
            epochs=drawn.get(domain, 0) / max(n, 1),
            target_share=asked.get(domain, 0.0),
            realised_share=drawn.get(domain, 0) / plan.samples,
        )
        for domain, n in rows.items()
    }


def _phase(segment: Segment, plan: Plan) -> Phase:
    first, last = (
        {name: share / ONE for name, share in zip(plan.names, at, strict=True)} for at in (segment.first, segment.last)
    )
    return Phase(segment.stop, segment.stop * plan.row_tokens, first, last)


def _mean_shares(plan: Plan) -> dict[str, float]:
    total, begin = [0] * len(plan.names), 0
    for segment in plan.segments:
        both = zip(total, segment.first, segment.last, strict=True)
        total = [sum_ + (first + last) * (segment.stop - begin) for sum_, first, last in both]
        begin = segment.stop
    return {name: share / (2 * ONE * plan.samples) for name, share in zip(plan.names, total, strict=True)}
