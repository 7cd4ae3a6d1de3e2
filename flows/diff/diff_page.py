"""Two runs side by side as one HTML page in the manner of a data card: it runs no script and fetches nothing.

The tables of the terminal, whole. Ids of documents stand in ``--json``: a page of a million would not open.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gristmill.corpus.files import write_text
from gristmill.data_cards.page import Cell, Section, Share, Table
from gristmill.data_cards.render import render_page
from gristmill.flows.diff.changed_documents import KINDS

SHOWN_GROUPS = 200  # the largest
OPEN_ROWS = 40  # of more, a table is folded
SIDES = ("before", "after")


def write_diff_page(path: Path, found: Mapping[str, Any]) -> None:
    """Write the page of what ``diff_runs`` found; OSError where the file cannot be written."""
    write_text(path, diff_page(found))


def diff_page(found: Mapping[str, Any]) -> str:
    """The page as HTML; the same answer gives the same bytes."""
    names = [Path(found[side]) for side in SIDES]
    kept = [_kept(found["by_source"][side]) for side in SIDES]
    kinds = [(f"{one['documents']:,}", name, KINDS[name]) for name, one in found["by_kind"].items()]
    glance = [(f"{kept[1]:,}", "kept documents", f"{kept[0]:,} before"), *kinds]
    changed = f"{found['documents']:,} documents are not the same in both runs." if found["documents"] else ""
    sections = [section.filled() for section in _sections(found)]
    title = f"{names[0].parent.name}: {names[0].name[:8]} to {names[1].name[:8]}"
    headline = changed or "No document changed."
    return render_page("Two runs", title, headline, glance, [one for one in sections if one is not None])


def _kept(accounts: Mapping[str, Any]) -> int:
    return sum(one["documents_kept"] for one in accounts.values())


def _sections(found: Mapping[str, Any]) -> Iterator[Section]:
    counts = [_counts(title, found[key]) for title, key in (("kind", "by_kind"), ("reason", "by_reason"))]
    note = "A document has every reason that applies, so reasons add up to more than documents."
    yield Section("changes", "Changes", [note] if found["documents"] else [], tables=counts)
    yield Section("why", "What changed and why", tables=[_groups(found["changes"])])
    yield Section("rules", "Rules", tables=[_rules(found["by_rule"])])
    yield Section("kept", "Kept documents", tables=[_kept_by_source(found["by_source"])])
    yield Section("mixture", "Shares and tokens", tables=list(_mixture(found)))
    yield Section("made", "Made differently", tables=list(_made(found)))
    yield Section("texts", "Texts", _about_texts(found["samples"]), code=[("", _text(one)) for one in found["samples"]])
    yield Section("runs", "Runs", tables=[Table(("", "run"), [(side, found[side]) for side in SIDES], left=2)])


def _counts(title: str, counted: Mapping[str, Any]) -> Table:
    rows = [(f"{one['documents']:,}", name, _by_source(one["by_source"])) for name, one in counted.items()]
    return Table(("documents", title, "by source"), rows, left=3)


def _by_source(sources: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in sources.items())


def _groups(groups: Sequence[Mapping[str, Any]]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for one in groups[:SHOWN_GROUPS]:
        verdicts = one["before"] if one["before"] == one["after"] else f"{one['before']} to {one['after']}"
        rules = [_bounds(rule) for rule in one["rules"]]
        reasons = ", ".join([*one["reasons"], *rules]) or "unexplained"
        rows.append((f"{one['documents']:,}", one["source"], one["kind"], verdicts, reasons))
    if (more := len(groups) - SHOWN_GROUPS) > 0:
        left = sum(group["documents"] for group in groups[-more:])
        rows.append((f"{left:,}", "", "", "", f"and {more:,} smaller groups"))
    return _folded(Table(("documents", "source", "kind", "verdicts", "reasons"), rows, "Groups that changed alike", 5))


def _bounds(rule: Mapping[str, Any]) -> str:
    return f"{rule['rule']}: {rule['before'] or 'none'} to {rule['after'] or 'none'}"


def _rules(rules: Sequence[Mapping[str, Any]]) -> Table:
    columns = ("documents", "rule", "signal", *SIDES, "by source")
    rows = [
        (f"{one['documents']:,}", one["rule"], one["signal"], one["before"], one["after"], _by_source(one["by_source"]))
        for one in rules
    ]
    return _folded(Table(columns, rows, "Rules that turned, with both bounds", 6))


def _kept_by_source(accounts: Mapping[str, Any]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for source in sorted({*accounts["before"], *accounts["after"]}):
        kept = [accounts[side].get(source, {}).get("documents_kept", 0) for side in SIDES]
        rows.append((source, *(f"{n:,}" for n in kept), f"{kept[1] - kept[0]:+,}" if kept[0] != kept[1] else ""))
    return Table(("source", *SIDES, "difference"), rows)


def _mixture(found: Mapping[str, Any]) -> Iterator[Table]:
    shares = [(name, *(_share(one[side]) for side in SIDES)) for name, one in found["shares"].items()]
    yield Table(("domain", *SIDES), shares, title="Shares of kept bytes")
    for title, key in (("Tokens", "tokens"), ("Plan", "plan")):
        rows = [(name, *(_figure(one[side]) for side in SIDES)) for name, one in found[key].items()]
        yield Table(("", *SIDES), rows, title=title)


def _share(value: float | None) -> Share | None:
    return None if value is None else Share(value)


def _figure(value: Any) -> Cell:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}" if isinstance(value, float) else value


def _made(found: Mapping[str, Any]) -> Iterator[Table]:
    yield _listed("Recipe", found["recipe"])
    for title, key in (("Inputs of", "inputs"), ("Code of", "code")):
        for name, differences in found[key].items():
            yield _listed(f"{title} {name}", differences)
    more = found["card"]["differences"]
    yield _listed(f"Data card, {more:,} values", found["card"]["listed"])


def _listed(title: str, differences: Sequence[Mapping[str, Any]]) -> Table:
    rows = [(one["key"], *(_value(one[side]) for side in SIDES)) for one in differences]
    return _folded(Table(("key", *SIDES), rows, title, 3))


def _value(value: Any) -> Cell:
    return value if value is None or isinstance(value, str) else str(value)


def _folded(table: Table) -> Table:
    return Table(table.columns, table.rows, table.title, table.left, folded=len(table.rows) > OPEN_ROWS)


def _about_texts(samples: Sequence[Mapping[str, Any]]) -> list[str]:
    return ["One document of each of the largest groups, around the first difference."] if samples else []


def _text(sample: Mapping[str, Any]) -> str:
    lines = [f"{sample['kind']} {sample['source']} {sample['doc_id']}", sample["locator"]]
    for sign, side in (("-", "before"), ("+", "after")):
        if sample[side] is not None:
            lines.append(f"{sign} {' '.join(sample[side].split())}")
    return "\n".join(lines)
