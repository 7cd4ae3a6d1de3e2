"""What Prefect's page shows of a run: its stages, mixture, where its card lies, and what changed since the last night.

Plain tables and Markdown; ``flows.schedule`` hands them to Prefect.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gristmill.corpus.errors import GristmillError
from gristmill.flows.diff.diff_runs import diff_runs

Rows = list[dict[str, Any]]
_FUNNEL = ("computed", "reused", "seconds", "documents_in", "documents_out", "bytes_in", "bytes_out")


@dataclass(frozen=True, slots=True)
class NightPage:
    """Artifacts of one run; ``mixture`` is empty before a plan, ``changes`` where there was no run before."""

    funnel: Rows
    mixture: Rows
    card: str  # Markdown
    changes: str  # Markdown


def night_page(result: dict[str, Any]) -> NightPage:
    """The page of what ``gristmill run --json`` prints."""
    run = Path(result["run"])
    mixture = [{"domain": name, **one} for name, one in result.get("mixture", {}).items()]
    return NightPage(funnel(result), mixture, _card(run, result), _changes(run, result.get("came_from")))


def funnel(result: dict[str, Any]) -> Rows:
    """A row per stage: parts computed and reused, and documents and bytes in and out."""
    return [{"stage": name, **{key: one[key] for key in _FUNNEL}} for name, one in result["stages"].items()]


def _card(run: Path, result: dict[str, Any]) -> str:
    card = (run / "card" / "card.html").resolve()
    lines = [f"# {run.parent.name} {run.name}", f"state: **{result.get('state', 'unknown')}**"]
    for one in result.get("drift", {}).get("beyond", ()):
        lines.append(f"- drift: {one['kind']} {one['signal']} of {one['of']}: {one['value']:.3g} > {one['bound']:g}")
    lines.append(f"[data card]({card.as_uri()})" if card.exists() else "no card")
    return "\n\n".join(lines)


def _changes(run: Path, came_from: str | None) -> str:
    before = run.parent / (came_from or run.name)
    if came_from is None or not before.is_dir() or came_from == run.name:
        return ""
    try:
        found = diff_runs(before, run, samples=0)
    except GristmillError as error:
        return f"no difference to {came_from}: {error}"
    documents = found["documents"]
    lines = [f"# {before.name[:8]} to {run.name[:8]}", f"{documents:,} document{'s' * (documents != 1)} changed"]
    for key in ("by_kind", "by_reason"):
        rows = [f"| {name} | {one['documents']:,} |" for name, one in found[key].items()]
        lines.append("\n".join([f"| {key.removeprefix('by_')} | documents |", "|---|---|", *rows]))
    command = f"gristmill diff {before.name} {run.name}"
    return "\n\n".join([*lines, f"`{command}` has every document, and `--html FILE` writes it as a page"])
