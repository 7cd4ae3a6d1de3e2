"""What the compact model made of it: losses against a model without context, and the load of its experts."""

from dataclasses import asdict

from gristmill.data_cards.card import Card
from gristmill.data_cards.page import Section, Table
from gristmill.data_cards.wording import number


def section(card: Card) -> Section | None:
    """None where the run did not train."""
    summary = card.training
    if summary is None:
        return None
    losses = [(name.replace("_", " "), number(value)) for name, value in asdict(summary.loss).items()]
    load = [(name.replace("_", " "), number(value)) for name, value in asdict(summary.load).items()]
    domains = [
        (name, number(one.before), number(one.after), number(one.unigram))
        for name, one in summary.loss_by_domain.items()
    ]
    columns = ("domain", "before", "after", "unigram")
    tables = [
        Table(("loss", "nats a token"), losses),
        Table(columns, domains, title="Held-out loss by domain, nats a token"),
        Table(("load of the experts", "value"), load),
    ]
    text = [
        f"A mixture-of-experts model of {number(summary.parameters)} parameters "
        f"({number(summary.active_parameters)} active a token) read {number(summary.tokens)} tokens of the plan "
        f"in {number(summary.steps)} steps. It shows that the hand-over works, not how good a model can be."
    ]
    return Section("training", "Training on it", text, tables=tables)
