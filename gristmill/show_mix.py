"""What a person sees of a curriculum under edit on a terminal."""

from typing import Any

from gristmill.show import console, table


def show_mix(result: dict[str, Any]) -> None:
    """Each domain with its epochs and cap, tokens by phase, and what is wrong."""
    out = console()
    view = table("domains", "domain", "rows", "tokens", "drawn", "targets", "share", "epochs", "cap")
    for one in result["domains"]:
        epochs = "no rows" if one["epochs"] is None else f"{one['epochs']:.3f}"
        numbers = [f"{one[key]:,}" for key in ("rows", "tokens", "drawn_tokens", "targets")]
        view.add_row(one["domain"], *numbers, f"{one['share']:.4f}", epochs, f"{one['cap']:g}")
    out.print(view)
    out.print()
    heads = [f"to {phase['until_tokens']:,} ({phase['shape']})" for phase in result["phases"]]
    phases = table("tokens by phase", "domain", *heads)
    for one in result["domains"]:
        phases.add_row(one["domain"], *(f"{phase['tokens'][one['domain']]:,}" for phase in result["phases"]))
    out.print(phases)
    out.print(f"\n{result['samples']:,} rows, {result['tokens']:,} tokens of documents")
    out.print(result["advice"] or "feasible", markup=False, soft_wrap=True)
