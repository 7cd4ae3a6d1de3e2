"""The figures of a training's page: loss, shares, load, experts by domain, speed, rate."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from gristmill.data_cards.figures import COLOURS, svg_text
from gristmill.data_cards.training_tables import TrainingTables
from gristmill.handoff.schedule import ONE
from gristmill.trainer.alarm_bounds import beyond_chance

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS = 60  # of a line: steps are averaged to as many
BINS = 40  # of the consumed shares
RING = "#d1242f"
SHADES = 10  # few enough that the bar is drawn as lines, and not as an image that the page may not load
MOST_LAYERS = 6  # of experts by domain: cells are drawn one by one
Line = tuple[np.ndarray, np.ndarray]


def training_figures(tables: TrainingTables) -> dict[str, str]:
    """SVG text by file name, of those for which there is something to draw."""
    return {f"{name}.svg": svg_text(draw, tables, name) for name, draw, has in FIGURES if has(tables)}


def averaged(values: Sequence[float], points: int = POINTS) -> Line:
    """Steps (from 1) and means of ``values`` in at most ``points`` equal parts; parts without a value are left out.

    >>> [one.tolist() for one in averaged([1.0, 3.0, float("nan"), 5.0], 2)]
    [[1.5, 3.5], [2.0, 5.0]]
    """
    steps, parts = np.arange(1, len(values) + 1), min(points, len(values))
    found = [
        (at.mean(), np.nanmean(part))
        for at, part in zip(np.array_split(steps, parts), np.array_split(np.array(values, float), parts), strict=True)
        if not np.isnan(part).all()
    ]
    return np.array([at for at, _ in found]), np.array([mean for _, mean in found])


def colour_of(place: int) -> str:
    """Of a domain by its place in the plan, the same in all figures."""
    return COLOURS[place % len(COLOURS)]


def loss_lines(tables: TrainingTables) -> tuple[str, Mapping[str, Line]]:
    """Unit, and each domain's line: bits per byte of the batches where bytes are known, else nats a token."""
    unit = "bits_per_byte" if any(tables.column(f"bits_per_byte/{one}") for one in tables.domains) else "loss"
    columns = {name: tables.column(f"{unit}/{name}") for name in tables.domains}
    lines = {name: averaged(values) for name, values in columns.items() if values is not None}
    return "bits per byte" if unit != "loss" else "nats a token", lines


def draw_loss(tables: TrainingTables) -> "Figure":
    """Lines: what each domain's batches cost. Dots: its held-out rows, with two standard errors."""
    figure, axes = _axes(3.6)
    unit, lines = loss_lines(tables)
    for place, name in enumerate(tables.domains):
        if name in lines:
            axes.plot(*lines[name], color=colour_of(place), label=name, linewidth=1.4)
    if tables.evaluation is not None and unit == "bits per byte":
        for row in tables.evaluation.to_pylist():
            if row["bits_per_byte"] is not None:
                colour = colour_of(tables.domains.index(row["domain"]))
                error = 2 * (row["standard_error"] or 0.0)
                axes.errorbar(row["step"], row["bits_per_byte"], error, fmt="o", markersize=4, color=colour)
    _rings(axes, tables, "domain_loss")
    axes.set(xlabel="step", ylabel=unit)
    _legend(axes)
    return figure


def planned_shares(tables: TrainingTables) -> tuple[list[float], np.ndarray]:
    """Steps at which the plan's shares are known, and the shares there [knots, domains]; two at one step are a jump."""
    rows, steps, shares, begin = _step_rows(tables), [], [], 0
    for segment in tables.plan.segments:
        steps += [begin / rows, segment.stop / rows]
        shares += [segment.first, segment.last]
        begin = segment.stop
    return steps, np.array(shares) / ONE


def consumed_shares(tables: TrainingTables, bins: int = BINS) -> tuple[np.ndarray, np.ndarray]:
    """Edges in steps, and each domain's share of the rows consumed between two of them [bins, domains]."""
    domain = tables.consumption["domain"].to_numpy()
    edges = np.linspace(0, len(domain), min(bins, len(domain)) + 1).astype(int)
    counts = [np.bincount(domain[a:b], minlength=len(tables.domains)) for a, b in pairwise(edges)]
    return edges / _step_rows(tables), np.array(counts) / np.diff(edges)[:, None]


def _step_rows(tables: TrainingTables) -> int:
    """Rows of a step; the first is a whole one."""
    step = tables.consumption["step"].to_numpy()
    return int((step == step[0]).sum())


def draw_shares(tables: TrainingTables) -> "Figure":
    """Areas: shares of the rows that were consumed. Dashed: where the plan has the bounds between them."""
    figure, axes = _axes(3.4)
    edges, shares = consumed_shares(tables)
    steps, planned = planned_shares(tables)
    used = [place for place in range(len(tables.domains)) if planned[:, place].any()]
    stacked = np.repeat(shares[:, used].T, 2, axis=1)  # steps of a staircase
    axes.stackplot(
        np.repeat(edges, 2)[1:-1],
        stacked,
        colors=[colour_of(place) for place in used],
        labels=[tables.domains[place] for place in used],
        linewidth=0,
        alpha=0.8,
    )
    for line in planned[:, used].cumsum(1).T[:-1]:
        axes.plot(steps, line, color="#010203", linewidth=1, linestyle=(0, (4, 3)))
    axes.set(ylim=(0, 1), xlim=(0, max(edges[-1], 1e-9)), xlabel="step", yticks=np.linspace(0, 1, 5))
    axes.set_yticklabels(["0", "25 %", "50 %", "75 %", "100 %"])
    _legend(axes, backwards=True)
    return figure


def recent_load(tables: TrainingTables, layer: int) -> tuple[np.ndarray, np.ndarray]:
    """What the alarm of a layer's load looks at: steps, and the deviation of the load of the last ``window`` of them.

    Of a training of a version that did not count choices: the mean deviation of single steps.
    """
    name = f"choices/{layer}"
    if name not in tables.metrics.column_names:
        return averaged(tables.column(f"load_std/{layer}") or [])
    window, chosen = tables.bounds.window, np.array(tables.metrics[name].to_pylist())
    upto = np.concatenate((np.zeros_like(chosen[:1]), chosen.cumsum(0)))
    steps = np.arange(min(window, len(chosen)), len(chosen) + 1)
    return steps, np.array([beyond_chance(upto[stop] - upto[max(stop - window, 0)]) for stop in steps])


def draw_load(tables: TrainingTables) -> "Figure":
    """Above: standard deviation of the experts' load in units of their mean, by layer. Below: largest and smallest."""
    figure, (above, below) = _two(4.4)
    for layer in range(tables.layers):
        colour, label = colour_of(layer), f"layer {layer}"
        above.plot(*recent_load(tables, layer), color=colour, label=label, linewidth=1.4)
        for name in ("max_over_mean", "min_over_mean"):
            below.plot(*averaged(tables.column(f"load_{name}/{layer}") or []), color=colour, linewidth=1.2)
    if tables.bounds.load_std:
        above.axhline(tables.bounds.load_std, color=RING, linewidth=1, linestyle=(0, (4, 3)))
    _rings(above, tables, "load_std")
    _rings(below, tables, "dead_experts")
    above.set(ylabel="standard deviation", ylim=(0, None))
    below.set(ylabel="largest, smallest", ylim=(0, None), xlabel="step")
    _legend(above)
    return figure


def expert_shares(tables: TrainingTables) -> Mapping[int, np.ndarray]:
    """By layer: of each domain's held-out tokens the share that each expert took, behind the last step [domains, E]."""
    assert tables.load is not None
    last = pc.equal(tables.load["step"], pc.max(tables.load["step"]))
    rows = tables.load.filter(last).to_pylist()
    layers = max(row["layer"] for row in rows) + 1
    counts = np.zeros((layers, len(tables.domains), max(row["expert"] for row in rows) + 1))
    for row in rows:
        counts[row["layer"], tables.domains.index(row["domain"]), row["expert"]] = row["tokens"]
    shown = sorted({round(at) for at in np.linspace(0, layers - 1, min(layers, MOST_LAYERS))})
    return {layer: counts[layer] / np.maximum(counts[layer].sum(1, keepdims=True), 1) for layer in shown}


def draw_experts(tables: TrainingTables) -> "Figure":
    """Each layer a field of domains by experts; the darker, the larger an expert's share of the domain's tokens."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    shares = expert_shares(tables)
    measured = [place for place in range(len(tables.domains)) if next(iter(shares.values()))[place].any()]
    columns = min(len(shares), 2)
    rows = -(-len(shares) // columns)
    figure = Figure(figsize=(8, rows * (0.7 + 0.24 * len(measured))), layout="constrained")
    fields = figure.subplots(rows, columns, squeeze=False).flat
    largest = max(field.max() for field in shares.values())
    shades = colormaps["viridis_r"].resampled(SHADES)
    for axes, (layer, field) in zip(fields, shares.items(), strict=False):
        drawn = axes.pcolormesh(field[measured], cmap=shades, vmin=0, vmax=largest, linewidth=0)
        axes.set_yticks(np.arange(len(measured)) + 0.5, [tables.domains[place] for place in measured], fontsize=9)
        experts = range(0, field.shape[1], max(field.shape[1] // 8, 1))
        axes.set_xticks([one + 0.5 for one in experts], [str(one) for one in experts], fontsize=9)
        axes.set_title(f"layer {layer}", fontsize=10)
        axes.invert_yaxis()
        axes.tick_params(length=0)
    for axes in list(fields):
        axes.set_visible(False)
    ticks = np.linspace(0, largest, 3)
    bar = figure.colorbar(drawn, ax=figure.axes, ticks=ticks, aspect=30)
    bar.ax.set_yticklabels([f"{100 * tick:.0f} %" for tick in ticks])
    return figure


def draw_speed(tables: TrainingTables) -> "Figure":
    """Tokens a second; and, where it is known, the share that this is of one large matmul's arithmetic."""
    speed, share = tables.column("tokens_per_second") or [], utilisation(tables)
    figure, panels = _two(3.6) if share is not None else _one(2.4)
    panels[0].plot(*averaged(speed), color=colour_of(0), linewidth=1.4)
    panels[0].set(ylabel="tokens a second", ylim=(0, None))
    if share is not None:
        panels[1].plot(*averaged(share), color=colour_of(2), linewidth=1.4)
        panels[1].set(ylabel="MFU", ylim=(0, None))
        panels[1].yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g} %")
    panels[-1].set_xlabel("step")
    return figure


def utilisation(tables: TrainingTables) -> list[float] | None:
    """Model FLOPs utilisation of each step; None where arithmetic or the matmul were not measured."""
    flops, seconds = tables.column("flops"), tables.column("seconds")
    peak = tables.timing.matmul_flops_per_second if tables.timing else None
    if flops is None or seconds is None or not peak:
        return None
    return [one / max(time, 1e-9) / peak for one, time in zip(flops, seconds, strict=True)]


def draw_rate(tables: TrainingTables) -> "Figure":
    """Learning rate, as it was step by step, and the norm of the gradient before it was cut."""
    figure, (above, below) = _two(3.6)
    rate = tables.column("learning_rate") or []
    above.plot(np.arange(1, len(rate) + 1), rate, color=colour_of(0), linewidth=1.4)
    below.plot(*averaged(tables.column("grad_norm") or []), color=colour_of(1), linewidth=1.4)
    above.set(ylabel="learning rate", ylim=(0, None))
    below.set(ylabel="gradient norm", ylim=(0, None), xlabel="step")
    return figure


def _axes(height: float) -> "tuple[Figure, Axes]":
    figure, (axes,) = _one(height)
    return figure, axes


def _one(height: float) -> "tuple[Figure, list[Axes]]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, height))
    return figure, [figure.add_subplot()]


def _two(height: float) -> "tuple[Figure, list[Axes]]":
    """Two panels, one above the other, over the same steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, height))
    return figure, list(figure.subplots(2, 1, sharex=True))


def _rings(axes: "Axes", tables: TrainingTables, kind: str) -> None:
    """A mark at the bottom for each alarm of a kind."""
    rows = tables.alarms.to_pylist() if tables.alarms is not None else []
    steps = [row["step"] for row in rows if row["kind"] == kind]
    axes.plot(steps, [0.02] * len(steps), "^", color=RING, markersize=4, transform=axes.get_xaxis_transform())


def _legend(axes: "Axes", *, backwards: bool = False) -> None:
    handles, labels = axes.get_legend_handles_labels()
    order = slice(None, None, -1 if backwards else 1)
    place = {"loc": "lower left", "bbox_to_anchor": (0, 1.01), "ncols": 4}  # above: a phone shows the left half first
    axes.legend(handles[order], labels[order], fontsize=9, handlelength=1, handleheight=1, **place)


def _always(_: TrainingTables) -> bool:
    return True


def _has_load(tables: TrainingTables) -> bool:
    return tables.load is not None and tables.load.num_rows > 0


FIGURES: "tuple[tuple[str, Callable[[TrainingTables], Figure], Callable[[TrainingTables], bool]], ...]" = (
    ("loss", draw_loss, _always),
    ("shares", draw_shares, _always),
    ("load", draw_load, _always),
    ("experts", draw_experts, _has_load),
    ("speed", draw_speed, _always),
    ("rate", draw_rate, _always),
)
