"""What a person sees of a result on a terminal. ``--json`` shows the same in full."""

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gristmill.data_cards.wording import counted as counted


def console() -> Console:
    """Standard output, without guesses at what to colour."""
    return Console(highlight=False)


WIDE = 8  # columns of numbers


def table(title: str, first: str, *numbers: str) -> Table:
    """A plain table: one column of names, the others of numbers."""
    gap = 2 if len(numbers) < WIDE else 1  # nine columns of the sources fit into 80 characters
    made = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, gap, 0, 0))
    made.add_column(first, overflow="fold")  # a stage is known by the end of its name too
    for name in numbers:
        made.add_column(name, justify="right")
    return made


def size_text(n_bytes: int) -> str:
    """Bytes for a person.

    >>> size_text(1_234_567), size_text(1234)
    ('1.23 MB', '1.2 kB')
    """
    return f"{n_bytes / 1e6:,.2f} MB" if n_bytes >= 100_000 else f"{n_bytes / 1e3:.1f} kB"


def show_run(result: dict[str, Any]) -> None:
    """Stages, sources, mixture and model of a run, and where it lies."""
    out = console()
    stages = table("stages", "stage", "computed", "reused", "seconds", "documents in", "out", "bytes in", "out")
    for name, stage in result["stages"].items():
        sizes = [f"{stage['documents_in']:,}", f"{stage['documents_out']:,}"]
        sizes += [size_text(stage["bytes_in"]), size_text(stage["bytes_out"])]
        sizes = sizes if stage["documents_in"] else [""] * 4
        stages.add_row(name, str(stage["computed"]), str(stage["reused"]), f"{stage['seconds']:.1f}", *sizes)
    out.print(stages)
    for part in (_sources_table(result), _mixture_table(result)):
        if part:
            out.print()
            out.print(part)
    if result.get("training"):
        out.print()
        show_training(result["training"])
    for domain, fit in result.get("bytes_per_token", {}).items():
        then = "none" if fit["before"] is None else f"{fit['before']:.3f}"
        out.print(f"bytes per token  {domain}: {then} before, {fit['now']:.3f} now", markup=False)
    for notice in result.get("notices", ()):
        out.print(f"\nnotice  {notice}", markup=False, soft_wrap=True)
    for one in result.get("healed", ()):
        out.print(
            f"\nhealed  {one['what']} was damaged ({one['found']}) and is made again", markup=False, soft_wrap=True
        )
    out.print(f"\nrun  {result['run']}", soft_wrap=True)
    _show_failed(result)
    show_gate(result)


def show_gate(result: dict[str, Any]) -> None:
    """Why a run is paused, and what could not be compared."""
    drift = result.get("drift", {})
    out = console()
    for one in drift.get("beyond", ()):
        name = f"{one['kind']} {one['signal']}".strip()
        out.print(f"drift  {name} of {one['of']}: {one['value']:.3g}, bound {one['bound']:g}", markup=False)
    for text in drift.get("left_out", ()):
        out.print(f"drift  {text}", markup=False, soft_wrap=True)
    if result.get("state") == "paused":
        out.print("paused: open the gate with `gristmill approve RUN --note WHY`", markup=False)


def _sources_table(result: dict[str, Any]) -> Table | None:
    if not result.get("sources"):
        return None
    emptied = ["emptied"] if any(source["emptied"] for source in result["sources"].values()) else []
    outcomes = ["rejected", "dropped", "merged", *emptied, "kept"]
    view = table("sources", "source", "read", *outcomes, "text read", "text kept")
    for name, source in result["sources"].items():
        counts = [f"{source[key]:,}" for key in ("documents", *outcomes)]
        view.add_row(name, *counts, size_text(source["bytes_in"]), size_text(source["bytes_kept"]))
    return view


def _mixture_table(result: dict[str, Any]) -> Table | None:
    if not result.get("mixture"):
        return None
    view = table("mixture", "domain", "rows", "drawn", "epochs", "target share", "realised")
    for domain, entry in result["mixture"].items():
        shares = [f"{entry['target_share']:.4f}", f"{entry['realised_share']:.4f}"]
        view.add_row(domain, f"{entry['rows']:,}", f"{entry['drawn_rows']:,}", f"{entry['epochs']:.2f}", *shares)
    return view


def show_training(summary: dict[str, Any]) -> None:
    """Loss before and after, against the unigram entropy, and how evenly the experts were used."""
    loss, load = summary["loss"], summary["load"]
    out = console()
    out.print(f"model  {summary['parameters']:,} parameters, {summary['active_parameters']:,} active a token")
    out.print(f"loss   {_heldout_text(loss)}after {summary['steps']} steps, {summary['tokens']:,} tokens")
    figures = f"max/mean {load['max_over_mean']:.2f}, std {load['std']:.3f}, entropy {load['entropy']:.3f}"
    out.print(f"load   {figures}, dead {load['dead']}")
    _show_settled(summary.get("settled"))
    for part in (_bits_table(summary), _layers_table(summary)):
        if part.row_count:
            out.print(part)
    _show_failed(summary)


def _show_settled(settled: dict[str, Any] | None) -> None:
    """Held-out loads before and after biases were settled, where they were."""
    layers = settled["layers"] if settled else []
    if layers and layers[0]["heldout_after"] is not None:
        before, after = (", ".join(f"{one[f'heldout_{when}']:.3f}" for one in layers) for when in ("before", "after"))
        console().print(f"settled  held-out std by layer {before} -> {after}")


def _heldout_text(loss: dict[str, float | None]) -> str:
    """Empty for a run without held-out rows."""
    before, after, unigram = (loss[f"heldout_{name}"] for name in ("before", "after", "unigram"))
    if before is None or after is None or unigram is None:
        return ""
    return f"held-out {before:.3f} -> {after:.3f} nats a token (unigram {unigram:.3f}) "


def _bits_table(summary: dict[str, Any]) -> Table:
    view = table("held-out rows", "domain", "documents", "bits per byte", "after", "± (standard error)")
    for domain, one in summary["loss_by_domain"].items():
        if one["bits_per_byte"] is not None:
            figures = (one["bits_per_byte_before"], one["bits_per_byte"], one["standard_error"] or float("nan"))
            view.add_row(domain, f"{one['documents']:,}", *(f"{figure:.4f}" for figure in figures))
    return view


def _layers_table(summary: dict[str, Any]) -> Table:
    names = ("max_over_mean", "min_over_mean", "std", "entropy", "dead")
    view = table("experts", "layer", *(name.replace("_over_", "/") for name in names))
    for layer, load in enumerate(summary["load_by_layer"]):
        view.add_row(str(layer), *(f"{load[name]:.3g}" for name in names))
    return view


def _show_failed(result: dict[str, Any]) -> None:
    """Checks of verify that failed at the end of a run, if any."""
    for failed in result.get("failed", ()):
        console().print(f"[red]FAIL[/] {escape(failed)}", soft_wrap=True)


def show_plan(result: dict[str, Any]) -> None:
    """Parts to compute and to reuse, CPU seconds, seconds and memory."""
    view = table("plan", "stage", "parts", "compute", "reuse", "CPU seconds (about)")
    for name, stage in result["stages"].items():
        parts = [str(stage[key]) for key in ("parts", "compute", "reuse")] if stage["known"] else ["?", "?", "?"]
        view.add_row(name, *parts, f"{stage['cpu_seconds']:.1f}")
    for name, seconds in result["beside"].items():
        view.add_row(f"({name})", "", "", "", f"{seconds:.1f}")
    out = console()
    out.print(view)
    memory = size_text(result["peak_bytes"])
    out.print(f"\n{size_text(result['input_bytes'])} of input, at most {memory} of memory")
    out.print(f"about {result['cpu_seconds']:.0f} CPU seconds, {result['seconds']:.0f} s on a quiet machine")
    for path in result["one_core"]:
        out.print(f"read by one core, whole: {path}", markup=False, soft_wrap=True)
    out.print(f"run  {result['run']}", soft_wrap=True)


def show_checks(result: dict[str, Any]) -> None:
    """One line a check, failures last."""
    out = console()
    for check in sorted(result["checks"], key=lambda check: not check["ok"]):
        mark = "[green]ok  [/]" if check["ok"] else "[red]FAIL[/]"
        out.print(f"{mark} {check['name']}: ", end="")
        out.print(check["detail"], markup=False, soft_wrap=True)
    failed = sum(not check["ok"] for check in result["checks"])
    out.print(f"\n{len(result['checks'])} checks, {failed} failed")


def show_document(history: dict[str, Any]) -> None:
    """A document's stages, verdicts, cluster and rows."""
    out = console()
    out.print(f"{history['doc_id']}  {history['source']}  {history['verdict']}")
    for stage in history["stages"]:
        out.print(f"\n[bold]{stage['stage']}[/] {stage['verdict']}")
        for key, value in stage.items():
            if key not in ("stage", "verdict", "doc_id", "cut") and value not in (None, [], ""):
                out.print(f"  {key:<28} {_short(value)}", markup=False, soft_wrap=True)
        for cut in stage.get("cut", ()):  # lines and pieces that line rules take out
            out.print(f"  {cut['reason']:<28} {_short(cut.get('text', '(masked)'))}", markup=False, soft_wrap=True)
    for verdict in history["verdicts"]:
        if verdict["rule"]:
            lost = (
                f" {'holds' if verdict['verdict'] == 'dropped' else 'lost to'} {verdict['other']}"
                if verdict["other"]
                else ""
            )
            bound = (
                f" {verdict['signal']} = {verdict['value']:g}, must be {verdict['bound']}" if verdict["signal"] else ""
            )
            out.print(f"  {verdict['rule']}{bound}{lost}", markup=False)
    if history["cluster"]:
        out.print(f"\n[bold]cluster[/] {history['cluster']['cluster']} of {history['cluster']['size']}")
    for row in history["rows"]:
        out.print(
            f"  row {row['row']} of {row['stage']}/{row['domain']}: {row['length']} tokens from {row['start']}"
            f"{_steps_text(row.get('steps', []))}"
        )


def _steps_text(steps: list[dict[str, Any]]) -> str:
    """The first of the steps that train on a row.

    >>> _steps_text([{"step": 4}, {"step": 9}])
    ', trained on in steps 4, 9'
    """
    shown = ", ".join(str(one["step"]) for one in steps[:5]) + (", ..." if len(steps) > 5 else "")
    return f", trained on in step{'s' if len(steps) > 1 else ''} {shown}" if steps else ""


def _short(value: Any) -> str:
    text = (
        f"{value:.4f}".rstrip("0").rstrip(".")
        if isinstance(value, float)
        else repr(value)
        if isinstance(value, str)
        else str(value)
    )
    return text if len(text) <= 160 else text[:157] + "..."


def show_card(result: dict[str, Any]) -> None:
    """Files of a card and its problems."""
    out = console()
    for name in result["files"]:
        out.print(name, markup=False, soft_wrap=True)
    for problem in result["problems"]:
        out.print(f"[red]problem[/] {problem}", soft_wrap=True)
    if not result["problems"]:
        out.print("no problems")


def show_page(result: dict[str, Any]) -> None:
    """Where a page was written."""
    console().print(result["page"], markup=False, soft_wrap=True)


def show_rebuild(result: dict[str, Any]) -> None:
    """Whether the corpus is the same."""
    out = console()
    if result["checked"]:
        same = "identical shards" if result["identical"] else f"first difference: {result['first_difference']}"
        out.print(same)
    out.print(f"run  {result['run']}", soft_wrap=True)
