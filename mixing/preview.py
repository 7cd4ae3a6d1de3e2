"""A curriculum before it is planned: epochs, feasibility, tokens by domain and phase, from the integral of its shares.

No sample is walked, so it answers during an edit. What the plan then gives differs by two rows at most.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gristmill.corpus.errors import PlanError
from gristmill.mixing.bucket_draws import BucketDraw
from gristmill.mixing.compile import IN_ANY_ORDER, Packed, RowsInOrder, fills, given_shares
from gristmill.mixing.curriculum import Phase, segments
from gristmill.mixing.feasibility import EpochCaps, check, demand


@dataclass(frozen=True, slots=True)
class DomainPreview:
    """One domain: what there is, and what the curriculum takes of it; ``share`` is of the documents' tokens.

    ``epochs`` is None for a domain that has a share and no row. ``targets`` are the tokens of ``drawn_tokens`` that are
    predicted and count.
    """

    domain: str
    rows: int
    tokens: int
    fill: float
    cap: float
    drawn_rows: float
    drawn_tokens: int
    targets: int
    share: float
    epochs: float | None
    buckets: tuple[BucketDraw, ...] = ()


@dataclass(frozen=True, slots=True)
class PhasePreview:
    """One phase: where it ends, in tokens of documents and in samples, and the tokens of each domain in it."""

    until_tokens: int
    until_sample: int
    shape: str
    tokens: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Preview:
    """A curriculum in figures. ``advice`` says why it is not feasible, and what would be."""

    feasible: bool
    advice: str
    samples: int
    tokens: int
    domains: tuple[DomainPreview, ...]
    phases: tuple[PhasePreview, ...]


def preview(
    phases: Sequence[Phase],
    packed: Mapping[str, Packed],
    row_tokens: int,
    caps: EpochCaps,
    order: RowsInOrder = IN_ANY_ORDER,
) -> Preview:
    """What a curriculum would draw.

    Parameters
    ----------
    phases : the curriculum; empty: every row once
    packed : by domain, rows of ``row_tokens`` tokens

    Raises
    ------
    PlanError : the curriculum is wrong; one that asks for too much is not: it is not ``feasible``
    """
    phases, fill, names = given_shares(phases, packed, row_tokens, caps), fills(packed, row_tokens), sorted(packed)
    until = [segments(phases[: n + 1], names, row_tokens, fill) for n in range(len(phases))]
    reached = [dict.fromkeys(names, 0.0), *(demand(part, names) for part in until)]
    per_row = {name: row_tokens * fill.get(name, 0.0) for name in names}
    parts = [
        PhasePreview(
            phase.until_tokens,
            until[n][-1].stop,
            phase.shape,
            {name: round((reached[n + 1][name] - reached[n][name]) * per_row[name]) for name in names},
        )
        for n, phase in enumerate(phases)
    ]
    tokens = sum(reached[-1][name] * per_row[name] for name in names)
    advice = _advice(phases, packed, row_tokens, caps)
    domains = tuple(
        replace(
            _domain(name, packed[name], caps.of(name), reached[-1][name], row_tokens, tokens),
            buckets=order.draws(name, packed[name]),
        )
        for name in names
    )
    return Preview(not advice, advice, until[-1][-1].stop, round(tokens), domains, tuple(parts))


def _advice(phases: Sequence[Phase], packed: Mapping[str, Packed], row_tokens: int, caps: EpochCaps) -> str:
    try:
        check(phases, {name: one.rows for name, one in packed.items()}, row_tokens, caps, fills(packed, row_tokens))
    except PlanError as error:
        return str(error)
    return ""


def _domain(name: str, one: Packed, cap: float, drawn: float, row_tokens: int, total: float) -> DomainPreview:
    tokens = drawn * one.tokens / one.rows if one.rows else 0.0
    return DomainPreview(
        domain=name,
        rows=one.rows,
        tokens=one.tokens,
        fill=one.tokens / (one.rows * row_tokens) if one.rows else 0.0,
        cap=cap,
        drawn_rows=drawn,
        drawn_tokens=round(tokens),
        targets=round(drawn * one.targets / one.rows) if one.rows else 0,
        share=tokens / total if total else 0.0,
        epochs=drawn / one.rows if one.rows else None if drawn else 0.0,
    )
