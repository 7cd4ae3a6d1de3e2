"""The page of a training: its sections, in reading order, and the figures at the top."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from gristmill.data_cards.page import Section, Table, share_of
from gristmill.data_cards.settled_table import settled_table
from gristmill.data_cards.training_figures import MOST_LAYERS, POINTS, loss_lines
from gristmill.data_cards.training_tables import TrainingTables
from gristmill.data_cards.wording import number, percent

Row = Mapping[str, Any]
NAMED = 12  # characters of a doc_id, and documents of an alarm, that are shown
DOCUMENTS = 6


def training_headline(tables: TrainingTables) -> str:
    """The training in a sentence."""
    done = "finished" if tables.summary else "going on, as far as its last checkpoint"
    return (
        f"{number(tables.steps)} steps over {number(tables.consumption.num_rows)} of the plan's "
        f"{number(tables.plan.samples)} rows: {done}."
    )


def training_glance(tables: TrainingTables) -> list[tuple[str, str, str]]:
    """The figures at the top: value, what it counts, and a note."""
    tokens, seconds = _sum(tables, "tokens"), _sum(tables, "seconds")
    timing = tables.timing
    parameters = [(number(tables.summary.parameters), "parameters", _active(tables))] if tables.summary else []
    return [
        (number(tables.steps), "steps", f"{number(int(tokens))} tokens"),
        *parameters,
        *_heldout(tables),
        (number(round(tokens / max(seconds, 1e-9))), "tokens a second", f"{number(round(seconds))} seconds in steps"),
        *([(percent(timing.mfu), "MFU", "of one large matmul")] if timing and timing.mfu is not None else []),
        *(
            [(number(tables.alarms.num_rows), "alarms", "with their documents below")]
            if tables.alarms is not None
            else []
        ),
    ]


def _active(tables: TrainingTables) -> str:
    return f"{number(tables.summary.active_parameters)} active" if tables.summary else ""


def _heldout(tables: TrainingTables) -> Iterator[tuple[str, str, str]]:
    """Mean over domains of held-out bits per byte, first and last."""
    steps = _evaluated(tables)
    if steps:
        first, last = (np.mean([one["bits_per_byte"] for one in steps[at].values()]) for at in (min(steps), max(steps)))
        yield f"{last:.3f}", "bits per byte", f"held out, mean of domains; {first:.3f} at first"


def _evaluated(tables: TrainingTables) -> dict[int, dict[str, Row]]:
    """Rows of the evaluation that have bits per byte, by step and domain."""
    found: dict[int, dict[str, Row]] = {}
    for row in tables.evaluation.to_pylist() if tables.evaluation is not None else ():
        if row["bits_per_byte"] is not None:
            found.setdefault(row["step"], {})[row["domain"]] = row
    return found


def training_sections(tables: TrainingTables) -> list[Section]:
    """All sections that have something to show."""
    made = (_loss(tables), _shares(tables), _load(tables), _experts(tables), _alarms(tables), _speed(tables))
    return [section for one in (*made, _rate(tables)) if one and (section := one.filled())]


def _loss(tables: TrainingTables) -> Section:
    steps = _evaluated(tables)
    first, last = steps.get(min(steps), {}) if steps else {}, steps.get(max(steps), {}) if steps else {}
    rows = [
        (name, *(f"{one['bits_per_byte']:.4f}" for one in (first[name], row)), _error(row), number(row["documents"]))
        for name, row in last.items()
    ]
    columns = ("held-out rows", f"step {min(steps, default=0)}", f"step {max(steps, default=0)}", "± s.e.", "documents")
    text = [f"What each domain costs, in {loss_lines(tables)[0]}."]
    caption = (
        f"Lines: the batches, averaged over {_part(tables)}. Dots: held-out rows, with two standard errors. "
        "Triangles: alarms."
    )
    return Section("loss", "Loss by domain", text, ("loss.svg", caption), [Table(columns, rows)])


def _part(tables: TrainingTables) -> str:
    """How many steps a point of a line stands for."""
    steps = -(-tables.steps // POINTS)
    return "each step" if steps == 1 else f"{steps} steps"


def _error(row: Row) -> str:
    return "–" if row["standard_error"] is None else f"{row['standard_error']:.4f}"


def _shares(tables: TrainingTables) -> Section:
    consumed = np.bincount(tables.consumption["domain"].to_numpy(), minlength=len(tables.domains))
    planned = tables.plan.counts(0, tables.consumption.num_rows)
    total = tables.consumption.num_rows
    rows = [
        (name, share_of(planned[name], total), share_of(int(got), total), number(planned[name]), number(int(got)))
        for name, got in zip(tables.domains, consumed, strict=True)
        if planned[name] or got
    ]
    columns = ("domain", "planned", "consumed", "rows planned", "rows consumed")
    off = [name for name, got in zip(tables.domains, consumed, strict=True) if planned[name] != got]
    text = [f"Rows consumed are not those of the plan in {', '.join(off)}." if off else "As planned, to the row."]
    caption = (
        "Areas: shares of the rows that steps consumed. Dashed: the bounds between them that the curriculum asks for."
    )
    return Section("shares", "Shares planned and consumed", text, ("shares.svg", caption), [Table(columns, rows)])


def _load(tables: TrainingTables) -> Section:
    names = ("std", "max_over_mean", "min_over_mean", "entropy", "dead")
    tail = max(tables.steps // 10, min(10, tables.steps))
    rows = [
        (str(layer), *(number(_last(tables, f"load_{name}/{layer}", tail)) for name in names))
        for layer in range(tables.layers)
    ]
    text = ["How unevenly a batch's tokens are spread over the experts of a layer, in units of their mean; even is 0."]
    caption = (
        f"Above: the last {tables.bounds.window} steps together, without what chance makes of so few choices; dashed: "
        f"the bound of the alarm, {tables.bounds.load_std:g}. Below: single steps, averaged over {_part(tables)}."
    )
    table = Table(("layer", *(name.replace("_", " ") for name in names)), rows, f"Mean of the last {tail} steps")
    settled = settled_table(tables.summary.settled) if tables.summary else []
    return Section("load", "Load of the experts", text, ("load.svg", caption), [table, *settled])


def _last(tables: TrainingTables, name: str, steps: int) -> float:
    return float(np.mean((tables.column(name) or [0.0])[-steps:]))


def _experts(tables: TrainingTables) -> Section | None:
    if tables.load is None or not tables.load.num_rows:
        return None
    text = [
        "Which experts a domain's held-out tokens go to, behind the last step: each row is a domain and adds up to 1."
    ]
    left_out = f" {MOST_LAYERS} layers are shown." if tables.layers > MOST_LAYERS else ""
    caption = f"Share of the domain's choices.{left_out}"
    return Section("experts", "Experts by domain", text, ("experts.svg", caption))


def _alarms(tables: TrainingTables) -> Section:
    bounds = tables.bounds
    rule = (
        f"Of the last {bounds.window} steps: standard deviation of a layer's load, beyond chance, above "
        f"{bounds.load_std:g}, dead experts above {bounds.dead_experts:g}, a domain's loss {bounds.domain_loss:g} nats "
        "a token above its running median. An alarm rings once, and again only when its figure was back; 0 never rings."
    )
    if tables.alarms is None:
        return Section("alarms", "Alarms", [rule, "This training was not watched."])
    rows = [
        (number(one["step"]), one["kind"].replace("_", " "), one["place"], f"{one['value']:.3f}", _named(one))
        for one in tables.alarms.to_pylist()
    ]
    columns = ("step", "alarm", "layer or domain", "value", "documents of the step")
    text = [rule] if rows else [rule, "None rang."]
    return Section("alarms", "Alarms", text, tables=[Table(columns, rows, left=5)])


def _named(alarm: Row) -> str:
    documents = alarm["documents"]
    more = f" and {len(documents) - DOCUMENTS} more" if len(documents) > DOCUMENTS else ""
    return ", ".join(one[:NAMED] for one in documents[:DOCUMENTS]) + more


def _speed(tables: TrainingTables) -> Section:
    timing = tables.timing
    text = [f"{number(round(_sum(tables, 'tokens') / max(_sum(tables, 'seconds'), 1e-9)))} tokens a second in steps."]
    if timing and timing.mfu is not None and timing.matmul_flops_per_second and timing.flops_per_second:
        text.append(
            f"The model's matrix products: {timing.flops_per_second / 1e9:.3g} GFLOP/s, {percent(timing.mfu)} of the "
            f"{timing.matmul_flops_per_second / 1e9:.3g} GFLOP/s that one large matmul reached when the training began."
        )
    return Section("speed", "Speed", text, ("speed.svg", f"Averaged over {_part(tables)}."))


def _rate(tables: TrainingTables) -> Section:
    changes = tables.summary.changes if tables.summary else ()
    rows = [(number(one.step), one.key, f"{one.before:g}", f"{one.after:g}") for one in changes]
    table = Table(("after step", "setting changed", "before", "after"), rows)
    text = ["The learning rate of every step, and the norm of its gradient before it is cut."]
    return Section("rate", "Learning rate", text, ("rate.svg", "Above: rate. Below: norm of the gradient."), [table])


def _sum(tables: TrainingTables, name: str) -> float:
    return float(np.nansum(tables.column(name) or [0.0]))
