"""Compiling a curriculum into a plan. Whoever trains reads the plan with ``gristmill.handoff.plan``, never this."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from gristmill.corpus.files import file_sha256, read_json
from gristmill.corpus.receipt import Outcome
from gristmill.handoff.buckets import Buckets
from gristmill.handoff.piece_index import write_pieces
from gristmill.handoff.plan import Domain, Plan
from gristmill.handoff.shards import INDEX, buckets_in
from gristmill.mixing.baselines import proportional
from gristmill.mixing.bucket_draws import TOGETHER, BucketDraw, PackedBucket, bucket_draws, buckets_of
from gristmill.mixing.curriculum import Phase, drawn_domains, segments
from gristmill.mixing.feasibility import EpochCaps, check, demand
from gristmill.mixing.named_shares import Stock, resolve
from gristmill.mixing.stage import DomainDraw, PlanFacts


@dataclass(frozen=True, slots=True)
class Packed:
    """What was packed of one domain: rows, tokens of documents in them, of these predicted ones that count, digest.

    ``index`` is the sha256 of the shards' ``index.json``.
    """

    rows: int
    tokens: int
    targets: int
    index: str = ""
    buckets: tuple[PackedBucket, ...] = ()

    @classmethod
    def of(cls, shards: Path) -> "Packed":
        """From a domain's folder of shards; without a count of targets all its tokens count."""
        index = read_json(shards / INDEX)
        buckets = tuple(PackedBucket(**one) for one in buckets_in(index))
        targets = index.get("targets", index["tokens"])
        return cls(index["rows"], index["tokens"], targets, file_sha256(shards / INDEX), buckets)


@dataclass(frozen=True, slots=True)
class RowsInOrder:
    """The order inside domains: the pace of each ordered one, and neighbours that are drawn together (0 = none)."""

    paces: Mapping[str, str] = field(default_factory=dict)
    window_rows: int = 0

    def buckets(self, name: str, packed: Packed) -> Buckets | None:
        """What an epoch of a domain draws of its buckets; None where its rows lie in one."""
        return buckets_of(packed.buckets, self.paces.get(name, TOGETHER)) if packed.buckets else None

    def draws(self, name: str, packed: Packed) -> tuple[BucketDraw, ...]:
        """The same for people."""
        return bucket_draws(packed.buckets, self.paces.get(name, TOGETHER))


IN_ANY_ORDER = RowsInOrder()


def compile_plan(
    phases: Sequence[Phase],
    packed: Mapping[str, Packed],
    *,
    row_tokens: int,
    seed: int,
    caps: EpochCaps,
    order: RowsInOrder = IN_ANY_ORDER,
) -> Plan:
    """The plan of a curriculum over what was packed.

    Parameters
    ----------
    phases : the curriculum; empty: every row once, in proportion (``one_epoch``)
    packed : by domain, rows of ``row_tokens`` tokens
    seed : of the plan
    order : of rows inside domains

    Returns
    -------
    a plan over the domains that a phase gives a share, in order of name

    Raises
    ------
    PlanError : the curriculum is wrong or asks for more than there is
    """
    phases = given_shares(phases, packed, row_tokens, caps)
    rows, fill = {name: one.rows for name, one in packed.items()}, fills(packed, row_tokens)
    check(phases, rows, row_tokens, caps, fill)
    names = drawn_domains(phases)
    domains = tuple(Domain(name, rows[name], packed[name].index, order.buckets(name, packed[name])) for name in names)
    schedule = segments(phases, names, row_tokens, fill)
    return Plan.build(domains, row_tokens=row_tokens, seed=seed, segments=schedule, window_rows=order.window_rows)


def phase_stops(
    phases: Sequence[Phase], packed: Mapping[str, Packed], row_tokens: int, caps: EpochCaps
) -> tuple[int, ...]:
    """Samples of the plan at which each phase of the curriculum ends; a ramp may be several segments of the plan."""
    phases = given_shares(phases, packed, row_tokens, caps)
    names, fill = drawn_domains(phases), fills(packed, row_tokens)
    parts = (phases[: number + 1] for number in range(len(phases)))
    return tuple(segments(part, names, row_tokens, fill)[-1].stop for part in parts)


def fills(packed: Mapping[str, Packed], row_tokens: int) -> dict[str, float]:
    """Share of each domain's rows that documents fill, above 0 to 1; a domain without rows is left out."""
    return {name: one.tokens / (one.rows * row_tokens) for name, one in packed.items() if one.tokens}


def given_shares(
    phases: Sequence[Phase], packed: Mapping[str, Packed], row_tokens: int, caps: EpochCaps
) -> Sequence[Phase]:
    """The phases with shares in numbers. Of a cap a phase has the part that its tokens are of the curriculum's."""
    if not phases:
        return one_epoch(packed, row_tokens, caps)
    found, begin = [], 0
    for phase in phases:
        part = (phase.until_tokens - begin) / phases[-1].until_tokens
        capacity = {name: one.tokens * caps.of(name) * part for name, one in packed.items() if one.tokens}
        stock = Stock({name: one.tokens for name, one in packed.items()}, capacity, phase.until_tokens - begin)
        found.append(replace(phase, shares=resolve(phase.named, stock), named="") if phase.named else phase)
        begin = phase.until_tokens
    return found


def one_epoch(packed: Mapping[str, Packed], row_tokens: int, caps: EpochCaps) -> list[Phase]:
    """The curriculum of a recipe without one: one epoch of everything (less where a cap says so), each row once."""
    fill = fills(packed, row_tokens)
    tokens = {
        name: int(one.rows * min(1.0, caps.of(name))) * row_tokens * fill.get(name, 0.0) for name, one in packed.items()
    }
    return [Phase(int(sum(tokens.values())), proportional(tokens))]


def plan_stage(
    folder: Path,
    shards: Mapping[str, Path],
    phases: Sequence[Phase],
    **options: Any,
) -> Outcome:
    """Write the plan into ``folder``.

    Parameters
    ----------
    folder : an empty folder
    shards : folder of each domain's packed rows
    options : of ``compile_plan``

    Returns
    -------
    rows = samples of the plan; facts: ``PlanFacts``
    """
    packed = {name: Packed.of(path) for name, path in sorted(shards.items())}
    plan = compile_plan(phases, packed, **options)
    plan.save(folder)
    draws = draws_by_domain(plan, packed)
    tokens = sum(draw.tokens for draw in draws.values())
    stops = phase_stops(phases, packed, options["row_tokens"], options["caps"])
    facts = PlanFacts(plan.samples, plan.tokens, tokens, plan.digest, len(plan.segments), draws, stops)
    return Outcome(plan.samples, facts=asdict(facts))


def pieces_stage(folder: Path, shards: Path, domain: str) -> Outcome:
    """Index the pieces of one domain's packed rows in ``folder``; rows = pieces."""
    return Outcome(write_pieces(shards, folder / f"{domain}.arrow"))


def draws_by_domain(plan: Plan, packed: Mapping[str, Packed]) -> dict[str, DomainDraw]:
    """What each domain was meant to give and what it gives, domains left out of the plan included."""
    drawn, wanted = plan.counts(0, plan.samples), demand(plan.segments, plan.names)
    per_row = {name: one.tokens / max(one.rows, 1) for name, one in packed.items()}
    total, meant = (sum(rows * per_row[name] for name, rows in found.items()) for found in (drawn, wanted))
    return {
        name: DomainDraw(
            rows=packed[name].rows,
            drawn_rows=drawn.get(name, 0),
            tokens=round(drawn.get(name, 0) * per_row[name]),
            target_tokens=round(drawn.get(name, 0) * packed[name].targets / max(packed[name].rows, 1)),
            target_share=wanted.get(name, 0.0) * per_row[name] / meant,
            realised_share=drawn.get(name, 0) * per_row[name] / total,
            epochs=drawn.get(name, 0) / max(packed[name].rows, 1),
        )
        for name in sorted(packed)
    }
