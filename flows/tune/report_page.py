"""The report page of a tuning, in the manner of a data card: no script, and nothing fetched from elsewhere."""

from collections.abc import Iterator, Mapping
from typing import Any

from gristmill.data_cards.page import Section, Share, Table
from gristmill.data_cards.render import render_page
from gristmill.flows.tune.report_figures import Figures
from gristmill.flows.tune.report_svg import grid, line, noise, scatter, slice_of, triangle

PAGE_FILE = "report.html"


def report_page(found: Mapping[str, Any], figures: Figures) -> str:
    """The page.

    Parameters
    ----------
    found : what ``tune_recipe`` returns
    figures : of the same tuning
    """
    proposal, compared = found["proposal"], found["comparison"]
    glance = (
        (f"{proposal['predicted']:.4f}", "bits per byte", f"expected, within {proposal['half_width']:.4f} (90 %)"),
        (f"{compared['difference']:+.4f}", "from the prior", f"measured, within {compared['half_width']:.4f} (90 %)"),
        (str(len(figures.measured)), "runs", f"and {compared['pairs']} pairs against the prior"),
    )
    title, headline = found["run"].rsplit("/", 2)[-2], f"{compared['sentence'][0].upper()}{compared['sentence'][1:]}."
    return render_page("Mixture tuning", title, headline, glance, list(_sections(found, figures)), drawn(figures))


def drawn(figures: Figures) -> dict[str, str]:
    """SVG by name."""
    slices = [slice_of(one, figures) for one in figures.slices]
    found = {
        "predicted": [scatter(figures)],
        "slices": [*slices, *([triangle(figures.triangle)] if figures.triangle else [])],
        "regret": [line([(float(n + 1), value) for n, value in enumerate(figures.regret)], "runs", "bits per byte")],
        "noise": [noise(figures)],
    }
    return {name: grid(drawings, min(3, max(2, len(drawings)))) for name, drawings in found.items()}


def _sections(found: Mapping[str, Any], figures: Figures) -> Iterator[Section]:
    fit = found["fit"]
    yield Section(
        "mixture", "Mixture", tables=[_shares(found)], items=found["notices"], code=[("toml", found["curriculum"])]
    )
    yield Section(
        "fit",
        "Predicted against measured",
        ["Of each run, by a fit that did not see its mixture."],
        ("predicted", "Between the broken lines lie nine runs in ten."),
        [_kinds(fit)],
    )
    ends = ", and the shares of the three largest (the darker, the lower)" if figures.triangle else ""
    yield Section(
        "slices",
        "Slices through the simplex",
        ["One share moves, the others keep the proportions of the chosen mixture. The line ends at the cap."],
        (
            "slices",
            f"Each domain's share{ends}. The mark on the line is the chosen mixture, the orange one the prior.",
        ),
    )
    yield Section(
        "regret", "Regret", figure=("regret", "The least measured so far, less what is expected of the chosen mixture.")
    )
    yield Section(
        "noise",
        "Noise",
        [
            f"Standard deviation between runs of one mixture: {fit['noise']:.5f} bits per byte "
            f"({fit['noise_freedom']} degrees of freedom); of the swarm: {fit['swarm_deviation']:.5f}."
        ],
        ("noise", "Each mixture that was run more than once, less its mean."),
    )
    yield Section("next", "Next runs", items=[_next_run(one) for one in found["next_runs"]])


def _next_run(one: Mapping[str, Any]) -> str:
    shares = ", ".join(f"{name} {share:.3f}" for name, share in one["shares"].items())
    return f"{one['runs']} of {shares}: {one['why']}"


def _shares(found: Mapping[str, Any]) -> Table:
    rows = [
        (name, Share(share), Share(found["prior"][name]), Share(found["caps"][name]))
        for name, share in found["proposal"]["shares"].items()
    ]
    return Table(("domain", "chosen", "prior", "cap"), rows)


def _kinds(fit: Mapping[str, Any]) -> Table:
    columns = ("fit", "error", "90 % within", "rank correlation")
    keys = ("error", "half_width", "rank_correlation")
    return Table(columns, [(one["name"], *(round(one[key], 4) for key in keys)) for one in fit["kinds"]])
