"""What a person sees of two runs side by side on a terminal."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from rich.markup import escape

from gristmill.show import console, counted, table

MOST_KEYS = 3  # of a section that one run has alone, shown key by key
_ONLY = {"after": "only in the run before", "before": "only in the run after"}  # by the side that lacks it
SHOWN_GROUPS = 20  # the largest; --json has all, with the ids


def show_diff(result: dict[str, Any]) -> None:
    """Counts by kind and reason, kept documents by source, the largest groups of changes, and texts of some."""
    out = console()
    out.print(f"before  {result['before']}\nafter   {result['after']}", markup=False, soft_wrap=True)
    if not result["documents"]:
        out.print("no document changed")
    for title, key in (("changes", "by_kind"), ("reasons", "by_reason")):
        view = table(f"\n{title}", title, "documents", "by source")
        for name, one in result[key].items():
            view.add_row(name, f"{one['documents']:,}", ", ".join(f"{s} {n:,}" for s, n in one["by_source"].items()))
        if result[key]:
            out.print(view)
    _show_kept(result)
    _show_groups(result)
    _show_figures(result)
    for sample in result["samples"]:
        out.print(f"\n[bold]{sample['kind']}[/] {sample['doc_id']} {escape(sample['locator'])}", soft_wrap=True)
        same = sample["before"] == sample["after"]  # of another verdict
        for sign, name in ((" ", "before"),) if same else (("-", "before"), ("+", "after")):
            if sample[name] is not None:
                out.print(f"{sign} {sample[name]!r}", markup=False, soft_wrap=True)


def _show_kept(result: dict[str, Any]) -> None:
    view = table("\nkept documents", "source", "before", "after", "")
    sides = [result["by_source"][name] for name in ("before", "after")]
    for source in sorted({*sides[0], *sides[1]}):
        kept = [side.get(source, {}).get("documents_kept", 0) for side in sides]
        view.add_row(source, *(f"{n:,}" for n in kept), f"{kept[1] - kept[0]:+,}" if kept[0] != kept[1] else "")
    console().print(view)


def _show_groups(result: dict[str, Any]) -> None:
    view = table("\nwhat changed and why", "documents", "source", "kind", "verdicts", "reasons")
    for group in result["changes"][:SHOWN_GROUPS]:
        verdicts = group["before"] if group["before"] == group["after"] else f"{group['before']} to {group['after']}"
        rules = [f"{one['rule']}: {one['before'] or 'none'} to {one['after'] or 'none'}" for one in group["rules"]]
        reasons = ", ".join([*group["reasons"], *rules]) or "unexplained"
        view.add_row(f"{group['documents']:,}", group["source"], group["kind"], verdicts, reasons)
    if result["changes"]:
        console().print(view)
    if (more := len(result["changes"]) - SHOWN_GROUPS) > 0:
        console().print(f"and {more} smaller groups; --json has them, and every doc_id")


def _show_figures(result: dict[str, Any]) -> None:
    out = console()
    for name, digits in (("shares", ".4f"), ("tokens", ",")):
        for domain, one in result[name].items():
            if one["before"] != one["after"]:
                pair = ["none" if one[side] is None else f"{one[side]:{digits}}" for side in ("before", "after")]
                out.print(f"{name}  {domain}: {pair[0]} to {pair[1]}", markup=False)
    for key, one in result["plan"].items():
        if one["before"] != one["after"]:
            out.print(f"plan  {key}: {one['before']} to {one['after']}", markup=False, soft_wrap=True)
    for text in _recipe_lines(result["recipe"]):
        out.print(f"recipe  {text}", markup=False, soft_wrap=True)
    for stage, found in result["code"].items():
        out.print(f"code  {stage}: {_code_text(found)}", markup=False, soft_wrap=True)
    if n := result["card"]["differences"]:
        out.print(f"card  {counted(n, 'value')} differ{'s' if n == 1 else ''}")


def _recipe_lines(found: list[dict[str, Any]]) -> Iterator[str]:
    """A line per key; one for a section of which a single run has all the keys that differ."""
    for section, listed in groupby(found, key=lambda one: one["key"].split(".")[0].split("[")[0]):
        ones = list(listed)
        lacking = [side for side in ("before", "after") if all(one[side] is None for one in ones)]
        if len(ones) > MOST_KEYS and lacking:
            yield f"{section}: {len(ones)} keys {_ONLY[lacking[0]]}"
        else:
            yield from (f"{one['key']}: {one['before']} to {one['after']}" for one in ones)


def _code_text(found: list[dict[str, Any]]) -> str:
    for one in found:
        if one["key"] == "version" and None in (one["before"], one["after"]):
            return _ONLY["before" if one["before"] is None else "after"]
    return ", ".join(f"{one['key']} {one['before']} to {one['after']}" for one in found)
