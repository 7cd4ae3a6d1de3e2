"""What a person sees of what-if, mix, sweep, ranking, speed and takedown on a terminal."""

from typing import Any

from rich.console import Console
from rich.markup import escape

from gristmill.show import console, counted, size_text, table

VERDICTS = ("kept", "dropped", "merged")


def show_whatif(result: dict[str, Any]) -> None:
    """Documents by verdict before and after, by source, and how many flipped."""
    view = table("what if", "source", "kept", "", "dropped", "", "merged", "")
    rows = {**result["by_source"], "all": {"before": result["before"], "after": result["after"]}}
    for source, change in rows.items():
        cells = []
        for verdict in VERDICTS:
            before, after = (change[when][f"documents_{verdict}"] for when in ("before", "after"))
            cells += [f"{after:,}", f"{after - before:+,}" if after != before else ""]
        view.add_row(source, *cells)
    out = console()
    out.print(view)
    counts = result["flipped"]["counts"].items()
    out.print("flipped: " + ", ".join(f"{count:,} {verdict.replace('_', ' ')}" for verdict, count in counts))
    if result["budget"]:
        out.print(f"this would stop the run: {result['budget']}", markup=False)


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
    _show_buckets(result["domains"], out)
    _show_quotas(result["quotas"], out)
    out.print(f"\n{counted(result['samples'], 'row')}, {counted(result['tokens'], 'token')} of documents")
    out.print(result["advice"] or "feasible", markup=False, soft_wrap=True)


def _show_buckets(domains: list[dict[str, Any]], out: Console) -> None:
    """Rows of ordered domains, from which share of an epoch on they come, and how often in one."""
    if any(one["buckets"] for one in domains):
        view = table("order inside domains", "domain", "rows", "signal", "from share", "times per epoch")
        for one in domains:
            for part in one["buckets"]:
                values = "" if part["low"] is None else f"{part['low']:.4g} to {part['high']:.4g}"
                view.add_row(one["domain"], f"{part['rows']:,}", values, f"{part['opens']:.3f}", f"{part['times']:.3f}")
        out.print()
        out.print(view)


def _show_quotas(quotas: list[dict[str, Any]], out: Console) -> None:
    """Documents of each type with a quota, in a pass over the corpus and in the whole curriculum."""
    if quotas:
        view = table("quotas", "type", "asked", "documents", "in a pass", "drawn", "reached")
        for one in quotas:
            numbers = [f"{one['asked']:,}", f"{one['documents']:,}", f"{one['in_a_pass']:,.1f}", f"{one['drawn']:,.1f}"]
            view.add_row(one["type"], *numbers, "yes" if one["reached"] else "no")
        out.print()
        out.print(view)


def show_sweep(result: dict[str, Any]) -> None:
    """One row a bound."""
    view = table(f"sweep of {result['key']}", "bound", "documents kept", "text kept")
    for bound, documents, n_bytes in zip(result["bounds"], result["kept_documents"], result["kept_bytes"], strict=True):
        view.add_row(f"{bound:g}", f"{documents:,}", size_text(n_bytes))
    console().print(view)


def show_ranking(result: dict[str, Any]) -> None:
    """Signals, the most telling first."""
    view = table("signals that tell better from worse", "signal", "distance", "keep", "lost better", "lost worse")
    for row in result["ranking"]:
        bound = f"{'>=' if row['side'] == 'at_least' else '<='} {row['threshold']:.4g}"
        losses = (f"{row[key]:.1%}" for key in ("lost_better", "lost_worse"))
        view.add_row(row["signal"], f"{row['distance']:.3f}", bound, *losses)
    console().print(view)


def show_speed(result: dict[str, Any]) -> None:
    """Tokens per second of each number format."""
    out = console()
    for name, speed in result["tokens_per_second"].items():
        out.print(f"{name:8}  {speed:,.0f} tokens per second")
    out.print(f"faster on {result['device']} with trainer.threads = {result['threads']}: {result['faster']}")
    out.print(f"trainer.precision gives {result['used']}; write another into the recipe: it decides the weights")


def show_takedown(result: dict[str, Any]) -> None:
    """What was removed, what took its place, and what is left."""
    out: Console = console()
    out.print(f"removed {counted(len(result['removed']), 'document')}, re-elected {len(result['reelected'])}")
    rows, entries = (
        counted(result["rows_rewritten"], "row"),
        counted(result["entries_deleted"], "store entry", "store entries"),
    )
    out.print(f"rewrote {rows}, deleted {entries}")
    if result["train"]:
        out.print("the training was stale and is deleted; run the recipe or `gristmill train` again")
    if certificate := result.get("certificate"):
        copies, steps = counted(len(certificate["closure"]), "document"), counted(certificate["replayed_steps"], "step")
        out.print(
            f"with every copy {copies}; first seen in step {certificate['first_step']}, "
            f"trained again from step {certificate['base_checkpoint']}: {steps}"
        )
        for sentence in certificate["not_covered"]:
            out.print(f"not covered: {sentence}", markup=False, soft_wrap=True)
    for folder in result["exports"]:
        out.print(f"[yellow]exported before[/], and may hold the text: {escape(folder)}", soft_wrap=True)
    for path in result["deleted_from_home"]:
        out.print(f"deleted, since no run needs it: {escape(path)}", soft_wrap=True)
    for path, done in result.get("other_runs", {}).items():
        problem = f": {done['problem']}" if "problem" in done else ""
        out.print(
            f"removed {counted(done['removed'], 'document')} from {escape(path)}{escape(problem)}", soft_wrap=True
        )
    for path, n in result["entries_of_others"].items():
        entries = counted(n, "store entry", "store entries")
        out.print(f"[yellow]the text stays[/] in {entries} that another run names: {escape(path)}", soft_wrap=True)
    for place in result["left"]:
        out.print(f"[red]left[/] {escape(str(place))}", soft_wrap=True)
    if not result["left"]:
        others = ", but other runs hold it: take it down there too" if result["entries_of_others"] else ""
        out.print(f"no byte of the text is left in the home{others}", soft_wrap=True)
