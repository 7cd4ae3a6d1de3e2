"""Shares as asked and as planned, and the curriculum that asks for them."""

from collections.abc import Mapping

from gristmill.data_cards.card import Card
from gristmill.data_cards.page import Section, Share, Table
from gristmill.data_cards.parts.mixture import DomainShare
from gristmill.data_cards.wording import counted, number, percent

OPEN_PHASES = 6  # a curve is dozens of straight pieces, and drawn above
COLUMNS = ("domain", "rows", "drawn", "epochs", "target", "realised", "difference, points")


def section(card: Card) -> Section:
    """By domain, and over the tokens of the plan."""
    plan = card.mixture
    rows = [_row(domain, entry) for domain, entry in plan.by_domain.items()]
    phases = [(number(phase.until_tokens), _shares(phase.first), _shares(phase.last)) for phase in plan.schedule]
    text = [
        f"The plan fixes the order of {counted(plan.samples, 'sample')} ({counted(plan.tokens, 'token')}): which row "
        "of which domain stands at each place, for any number of ranks."
    ]
    columns, folded = ("until token", "shares from", "shares to"), len(phases) > OPEN_PHASES
    schedule = Table(columns, phases, "Schedule", 3, folded)
    caption = "Shares over the tokens of the plan; beside each domain the share that the whole plan realises"
    tables = [Table(COLUMNS, rows), schedule, *_orders(card)]
    if plan.window_rows:
        text.append(
            f"Rows are drawn in windows of {number(plan.window_rows)} neighbours in the shards; windows and the rows "
            "in them are shuffled."
        )
    return Section("mixture", "Mixture and schedule", text, ("mixture.svg", caption), tables)


def _orders(card: Card) -> list[Table]:
    """What an epoch draws inside domains that have an order or weights."""
    heads = ("domain", "rows", "ordered by", "values", "weighted by", "from share of epoch", "times per epoch")
    rows = [
        (
            domain,
            number(one.rows),
            f"{order.by} ({order.pace})" if order.by else "",
            "" if one.low is None else f"{one.low:.4g} to {one.high:.4g}",
            order.weighted_by,
            f"{one.opens:.3f}",
            f"{one.times:.3f}",
        )
        for domain, order in card.mixture.orders.items()
        for one in order.buckets
    ]
    return [Table(heads, rows, "Order inside domains")] if rows else []


def _row(domain: str, entry: DomainShare) -> tuple:
    return (
        domain,
        number(entry.rows),
        number(entry.drawn),
        f"{entry.epochs:.2f}",
        Share(entry.target_share),
        Share(entry.realised_share),
        f"{100 * (entry.realised_share - entry.target_share):+.4f}",
    )


def _shares(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{domain} {percent(share)}" for domain, share in shares.items() if share)
