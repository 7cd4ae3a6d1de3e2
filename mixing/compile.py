"""Compiling a curriculum into a plan. Whoever trains reads the plan with ``gristmill.handoff.plan``, never this."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from gristmill.corpus.files import file_sha256, read_json
from gristmill.corpus.receipt import Outcome
from gristmill.handoff.piece_index import write_pieces
from gristmill.handoff.plan import Domain, Plan
from gristmill.handoff.shards import INDEX
from gristmill.mixing.baselines import unimax
from gristmill.mixing.curriculum import Phase, drawn_domains, segments
from gristmill.mixing.feasibility import EpochCaps, check, demand
from gristmill.mixing.stage import DomainDraw, PlanFacts

VERSION = "1"


def compile_plan(
    phases: Sequence[Phase],
    rows: Mapping[str, int],
    *,
    row_tokens: int,
    seed: int,
    caps: EpochCaps,
    index_digests: Mapping[str, str],
) -> Plan:
    """The plan of a curriculum over what was packed.

    Parameters
    ----------
    phases : the curriculum; empty: every row once, in proportion (``one_epoch``)
    rows : packed rows of each domain, each of ``row_tokens`` tokens
    seed : of the plan
    index_digests : sha256 of each domain's ``index.json``

    Returns
    -------
    a plan over the domains that a phase gives a share, in order of name

    Raises
    ------
    PlanError : the curriculum is wrong or asks for more than there is
    """
    phases = phases or one_epoch(rows, row_tokens, caps)
    check(phases, rows, row_tokens, caps)
    names = drawn_domains(phases)
    domains = tuple(Domain(name, rows[name], index_digests[name]) for name in names)
    return Plan.build(domains, row_tokens=row_tokens, seed=seed, segments=segments(phases, names, row_tokens))


def one_epoch(rows: Mapping[str, int], row_tokens: int, caps: EpochCaps) -> list[Phase]:
    """The curriculum of a recipe without one: UniMax over one epoch (less where a cap says so), each row once."""
    capacity = {name: int(n * min(1.0, caps.of(name))) for name, n in rows.items()}
    budget = sum(capacity.values())
    return [Phase(budget * row_tokens, unimax(capacity, budget, 1.0))]


def plan_stage(
    folder: Path,
    shards: Mapping[str, Path],
    phases: Sequence[Phase],
    *,
    row_tokens: int,
    seed: int,
    caps: EpochCaps,
) -> Outcome:
    """Write the plan into ``folder``.

    Parameters
    ----------
    folder : an empty folder
    shards : folder of each domain's packed rows

    Returns
    -------
    rows = samples of the plan; facts: ``PlanFacts``
    """
    rows = {name: read_json(path / INDEX)["rows"] for name, path in sorted(shards.items())}
    digests = {name: file_sha256(path / INDEX) for name, path in sorted(shards.items())}
    plan = compile_plan(phases, rows, row_tokens=row_tokens, seed=seed, caps=caps, index_digests=digests)
    plan.save(folder)
    facts = PlanFacts(plan.samples, plan.tokens, plan.digest, len(plan.segments), draws_by_domain(plan, rows))
    return Outcome(plan.samples, facts=asdict(facts))


def pieces_stage(folder: Path, shards: Path, domain: str) -> Outcome:
    """Index the pieces of one domain's packed rows in ``folder``; rows = pieces."""
    return Outcome(write_pieces(shards, folder / f"{domain}.arrow"))


def draws_by_domain(plan: Plan, rows: Mapping[str, int]) -> dict[str, DomainDraw]:
    """What each domain was meant to give and what it gives, domains left out of the plan included."""
    drawn, wanted = plan.counts(0, plan.samples), demand(plan.segments, plan.names)
    return {
        name: DomainDraw(
            rows=rows[name],
            drawn_rows=drawn.get(name, 0),
            target_share=wanted.get(name, 0.0) / plan.samples,
            realised_share=drawn.get(name, 0) / plan.samples,
            epochs=drawn.get(name, 0) / max(rows[name], 1),
        )
        for name in sorted(rows)
    }
