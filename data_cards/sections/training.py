"""What the compact model made of it: losses against a model without context, and the load of its experts."""

from collections.abc import Iterator
from dataclasses import asdict, fields

from gristmill.data_cards.card import Card
from gristmill.data_cards.page import Section, Table
from gristmill.data_cards.settled_table import settled_table
from gristmill.data_cards.wording import number
from gristmill.trainer.heldout_summary import Load
from gristmill.trainer.training_summary import DomainChange, TrainSummary


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
        *_bits_and_layers(summary),
        *settled_table(summary.settled),
        *_changes(summary),
    ]
    text = [
        f"A mixture-of-experts model of {number(summary.parameters)} parameters "
        f"({number(summary.active_parameters)} active a token, {number(summary.layer_shared_parameters)} shared by "
        f"layers, {number(summary.shared_expert_parameters)} of shared experts) read {number(summary.tokens)} tokens "
        f"of the plan in {number(summary.steps)} steps. It shows that the hand-over works, not how good a model can be."
    ]
    return Section("training", "Training on it", text, tables=tables)


def _bits_and_layers(summary: TrainSummary) -> Iterator[Table]:
    """Bits per byte by domain; the load of each layer; how far a domain's tokens gather at one expert."""
    measured = {name: one for name, one in summary.loss_by_domain.items() if one.bits_per_byte is not None}
    columns = ("domain", "before", "after", "standard error", "documents", "bytes")
    bits = [
        (name, *map(number, (one.bits_per_byte_before, one.bits_per_byte, one.standard_error)), *_size(one))
        for name, one in measured.items()
    ]
    if bits:
        yield Table(columns, bits, title="Held-out loss by domain, bits per byte; standard error by document")
    figures = [field.name for field in fields(Load)]
    for title, layers in (("training", summary.load_by_layer), ("held-out rows", summary.heldout_load_by_layer)):
        rows = [(str(place), *(number(getattr(load, name)) for name in figures)) for place, load in enumerate(layers)]
        if rows:
            columns = ("layer", *(name.replace("_", " ") for name in figures))
            yield Table(columns, rows, title=f"Load of the experts by layer, {title}")
    shares = {name: one.busiest_share for name, one in summary.loss_by_domain.items() if one.busiest_share}
    rows = [(name, number(max(share)), str(share.index(max(share)))) for name, share in shares.items()]
    if rows:
        title = "Largest share of a domain's held-out tokens that one expert takes"
        yield Table(("domain", "share", "in layer"), rows, title=title)


def _changes(summary: TrainSummary) -> Iterator[Table]:
    """Settings that did not stay what the recipe gives."""
    rows = [(str(one.step), one.key, f"{one.before:g}", f"{one.after:g}") for one in summary.changes]
    if rows:
        title = "Settings changed at a checkpoint, on request; the recipe holds the first value"
        yield Table(("after step", "setting", "before", "after"), rows, title=title)


def _size(one: DomainChange) -> tuple[str, str]:
    return number(one.documents), number(one.bytes)
