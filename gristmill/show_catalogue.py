"""What a person sees of the catalogue: signals, profiles, readers, stages."""

from typing import Any

from rich.table import Table

from gristmill.show import console, counted
from gristmill.sources.listing import some_names

USED = {True: "yes", False: "", None: ""}


def _words(title: str, *columns: str) -> Table:
    """A plain table of texts, whose first column holds names that are never cut."""
    made = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for place, name in enumerate(columns):
        made.add_column(name, overflow="fold", no_wrap=place == 0)
    return made


def _print(view: Table, rows: list[dict[str, Any]], cells: list[list[str]]) -> None:
    """Print rows, with a column for what a recipe uses where a recipe was asked about."""
    asked = any(row.get("used") is not None for row in rows)
    if asked:
        view.add_column("used")
    for row, texts in zip(rows, cells, strict=True):
        view.add_row(*texts, *([USED[row["used"]]] if asked else []))
    console().print(view, markup=False)


def span_text(low: float | None, high: float | None) -> str:
    """A range for a person, ends included.

    >>> span_text(0.0, 1.0), span_text(0.0, None), span_text(None, None)
    ('0 to 1', '0 or more', 'any')
    """
    if low is None and high is None:
        return "any"
    if high is None:
        return f"{low:g} or more"
    return f"{high:g} or less" if low is None else f"{low:g} to {high:g}"


def show_signals(result: dict[str, Any]) -> None:
    """One line for each signal."""
    rows = result["rows"]
    view = _words(counted(len(rows), "signal"), "signal", "unit", "range", "stage", "what it is")
    cells = [[row["name"], row["unit"], span_text(row["low"], row["high"]), _stage(row), _sourced(row)] for row in rows]
    _print(view, rows, cells)


def _stage(row: dict[str, Any]) -> str:
    return row["stage"] if row["origin"] == "gristmill" else f"{row['stage']} ({row['origin']})"


def _sourced(row: dict[str, Any]) -> str:
    return f"{row['text']}; {row['source']}" if row["source"] else row["text"]


def show_profiles(result: dict[str, Any]) -> None:
    """One line for each profile; the rules where there is one profile alone."""
    rows = result["rows"]
    view = _words(counted(len(rows), "profile"), "profile", "version", "rules", "source")
    _print(view, rows, [[row["name"], row["version"], str(len(row["rules"])), row["source"]] for row in rows])
    if len(rows) == 1:
        _show_rules(rows[0])


def _show_rules(profile: dict[str, Any]) -> None:
    view = _words("\nkeeps documents with", "rule", "signal", "bounds", "languages", "source")
    for rule in profile["rules"]:
        bounds = span_text(rule["at_least"], rule["at_most"])
        view.add_row(rule["name"], rule["signal"], bounds, " ".join(rule["languages"]) or "all", rule["source"])
    console().print(view, markup=False)
    if profile["differences"]:
        console().print(f"\n{profile['differences']}", markup=False)


def show_readers(result: dict[str, Any]) -> None:
    """One line for each reader."""
    rows = result["rows"]
    view = _words(counted(len(rows), "reader"), "format", "version", "packed", "known by")
    cells = [[row["name"], row["version"], "yes" if row["packed"] else "no", " ".join(row["suffixes"])] for row in rows]
    _print(view, rows, cells)


def show_stages(result: dict[str, Any]) -> None:
    """One line for each stage, in running order."""
    rows = result["rows"]
    view = _words(counted(len(rows), "stage"), "stage", "version", "asked for by", "what it does", "reads")
    cells = [[_name(row), row["version"], _asked(row), row["title"], ", ".join(row["reads"])] for row in rows]
    _print(view, rows, cells)


def _name(row: dict[str, Any]) -> str:
    return row["name"] if row["origin"] == "gristmill" else f"{row['name']} ({row['origin']})"


def _asked(row: dict[str, Any]) -> str:
    asked = "always" if row["always"] else f"[{row['section']}]" if row["section"] else f"plugins ({row['origin']})"
    return f"{asked}, extra {row['extra']}" if row["extra"] else asked


def show_compiled(result: dict[str, Any]) -> None:
    """Which stages had kernels to compile."""
    text = f"compiled: {', '.join(result['compiled'])}" if result["compiled"] else "every kernel is compiled already"
    console().print(text, markup=False)


def show_first_recipe(found: dict[str, Any]) -> None:
    """The sources of a new recipe, and what to call next."""
    view = _words("sources", "source", "files", "keys")
    for one in found["sources"]:
        files = ", ".join(f"{count} {format_}" for format_, count in one["files"].items())
        keys = ", ".join(f"{key} = {value!r}" for key, value in one["keys"].items())
        view.add_row(one["name"], files, keys)
    console().print(view, markup=False)
    if left_out := found["left_out"]:
        names = some_names([repr(one) for one in left_out])
        console().print(f"\nleft out, since no reader knows them by name or can open them: {names}", markup=False)
    recipe = found["recipe"]
    console().print(f"\nwrote {recipe}; next: gristmill plan {recipe}, then gristmill run {recipe}", markup=False)
