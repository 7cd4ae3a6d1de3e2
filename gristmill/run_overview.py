"""A run at a glance: what its stages did, in JSON, in a line, and as a notebook shows it."""

from html import escape
from typing import Any

from gristmill.corpus.receipt import Manifest
from gristmill.corpus.rundir import RunDir
from gristmill.flows.pipeline.open_context import stages_of_run
from gristmill.flows.pipeline.run_report import read_report
from gristmill.flows.pipeline.run_summary import mixture, notices, sources

COSTS = ("computed", "reused", "seconds", "cpu_seconds")


def done_stages(run: RunDir) -> tuple[str, ...]:
    """Names of the stages that are done, in order."""
    return tuple(name for name in stages_of_run(run).names if run.has(name))


def overview(run: RunDir) -> dict[str, Any]:
    """What ``gristmill run --json`` prints, from the run's files.

    What the stage cost (``COSTS``) is left out for a stage that the last command did not come to.
    """
    report = read_report(run.path)
    stages = {}
    for name in done_stages(run):
        cost = report.stages.get(name, {})
        stages[name] = {key: cost[key] for key in COSTS if key in cost} | _flow(run.manifest(name))
    result = {
        "run": str(run.path),
        "stages": stages,
        "maintenance": dict(report.maintenance),
        "healed": list(report.healed),
        "came_from": report.came_from,
        "sources": sources(run) if run.has("decide") else {},
        "mixture": mixture(run) if run.has("plan") else {},
        "notices": list(notices(run)) if run.has("decide") else [],
    }
    return result | ({"training": run.manifest("train").parts[0].facts["summary"]} if run.has("train") else {})


def _flow(manifest: Manifest) -> dict[str, int]:
    total = list(manifest.accounts.values())
    return {
        "documents_in": sum(one.documents_in for one in total),
        "documents_out": sum(one.documents_kept for one in total),
        "bytes_in": sum(one.bytes_in for one in total),
        "bytes_out": sum(one.bytes_kept for one in total),
    }


def counts(run: RunDir) -> str:
    """Documents read and kept, as far as the run knows."""
    if not run.has("documents"):
        return "no documents yet"
    read = f"{run.manifest('documents').rows:,} documents"
    kept = next((run.manifest(stage).rows for stage in ("tokens", "decide") if run.has(stage)), None)
    return f"{read}, not decided" if kept is None else f"{read}, {kept:,} kept"


def overview_html(run: RunDir) -> str:
    """Name, counts, and the sources with what became of their documents."""
    head = f"<b>{escape(run.path.parent.name)}</b> <code>{escape(run.path.name)}</code>: {counts(run)}"
    names = ("documents", "rejected", "dropped", "merged", "emptied", "kept")
    body = ""
    if run.has("decide"):
        rows = [
            f"<tr><td>{escape(source)}</td>{''.join(f'<td>{row[name]:,}</td>' for name in names)}</tr>"
            for source, row in sources(run).items()
        ]
        titles = "".join(f"<th>{name}</th>" for name in ("source", *names))
        body = f"<table><tr>{titles}</tr>{''.join(rows)}</table>"
    return f"{head}{body}<div>stages: {escape(', '.join(done_stages(run)))}</div>"
