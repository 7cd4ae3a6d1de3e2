"""What a person sees of a tuning: its cost, the mixture, how sure it is, and a curriculum to paste."""

from collections.abc import Mapping
from typing import Any

from gristmill.show import console, table


def budget_text(budget: Mapping[str, Any]) -> str:
    """What a tuning costs, in one line."""
    full = f"{budget['full_tokens']:,} tokens" if budget["full_tokens"] else "one epoch"
    return (
        f"tune: {budget['runs']} proxy runs of {budget['tokens_per_run']:,} tokens, preset {budget['preset']} "
        f"({budget['swarm_runs']} for the fit, {budget['paired_runs']} against the prior), for a run of {full}; "
        f"about {budget['cpu_minutes']:g} CPU minutes beside the mill"
    )


def show_budget(result: Mapping[str, Any]) -> None:
    """The cost alone."""
    console().print(budget_text(result["budget"]), markup=False, soft_wrap=True)


def show_tuning(result: Mapping[str, Any]) -> None:
    """Shares beside the prior's, what the fit and the paired runs say, next runs, the curriculum."""
    out, proposal, fit = console(), result["proposal"], result["fit"]
    view = table("mixture", "domain", "prior", "proposal", "cap")
    for name, share in proposal["shares"].items():
        cap = result["caps"][name]
        view.add_row(name, f"{result['prior'][name]:.4f}", f"{share:.4f}", f"{cap:.4f}" if cap < 1 else "")
    out.print(view)
    kinds = table("fits, cross-validated", "fit", "error", "90 % within", "rank correlation")
    for one in fit["kinds"]:
        row = f"{one['error']:.4f}", f"{one['half_width']:.4f}", f"{one['rank_correlation']:.3f}"
        kinds.add_row(one["name"], *row)
    out.print()
    out.print(kinds)
    lines = [
        f"\nbits per byte: noise of a run {fit['noise']:.4f} ({fit['noise_freedom']} repeats), the swarm moves it by "
        f"{fit['swarm_deviation']:.4f}",
        f"predicted {proposal['predicted']:.4f} +- {proposal['half_width']:.4f} (90 %), "
        f"{proposal['difference_from_prior']:+.4f} from the prior",
        result["comparison"]["sentence"],
        *(f"next: {one['runs']} x {_mixture(one['shares'])}: {one['why']}" for one in result["next_runs"]),
        *(f"notice  {notice}" for notice in result["notices"]),
        f"\n{result['curriculum']}",
        f'or shares = "tuned:{result["file"]}"',
    ]
    for line in lines:
        out.print(line, markup=False, soft_wrap=True)


def _mixture(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {share:.3f}" for name, share in shares.items() if share >= 0.0005)
