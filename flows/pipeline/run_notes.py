"""The small files that a run keeps for people and for the next run: where one is damaged, it is written anew.

No stage reads them, so nothing that is made can be wrong by them. What stood in a report alone, the ancestor, is lost;
a damaged approval opens no gate, so that a person has to look again.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from gristmill.corpus.errors import DamagedFileError
from gristmill.corpus.files import json_text, write_json
from gristmill.corpus.lock import Lock
from gristmill.corpus.run_stages import STAGES_FILE
from gristmill.corpus.rundir import PLUGINS, RunDir
from gristmill.corpus.stage import Plugin
from gristmill.flows.pipeline.estimate import RATES_FILE, measured_costs
from gristmill.flows.pipeline.run_report import REPORT_FILE, came_from
from gristmill.flows.pipeline.run_state import (
    APPROVAL_FILE,
    LATEST_FILE,
    STATE_FILE,
    latest_id,
    named_latest,
    read_approval,
    read_state,
)


def drop_damaged(run: RunDir) -> Iterator[tuple[str, str]]:
    """Delete the damaged ones, for the holder of the run's lock; names each with what is wrong.

    ``latest.json`` beside the run names the run that was complete last from now on.
    """
    readers: dict[Path, Callable[[], Any]] = {
        run.path / STATE_FILE: lambda: read_state(run),
        run.path / REPORT_FILE: lambda: came_from(run.path),
        run.path / STAGES_FILE: lambda: run.stages,
        run.path / APPROVAL_FILE: lambda: read_approval(run),
        run.path.parents[2] / RATES_FILE: lambda: measured_costs(run.path.parents[2]),
        run.path.parent / LATEST_FILE: lambda: named_latest(run.path.parent),
    }
    for path, read in readers.items():
        problem = _problem(path, read)
        if problem is None:
            continue
        latest = latest_id(path.parent) if path.name == LATEST_FILE else None
        path.unlink()
        if latest is not None:
            write_json(path, {"run": latest, "verified": True})
        yield path.name, problem


def other_than_locked(run: RunDir, lock: Lock, plugins: Sequence[Plugin]) -> Iterator[tuple[str, str]]:
    """The files that name a run, where a run that is there has others: its lock, long lists beside it, its plug-ins.

    They follow from recipe and inputs, and are written anew each time that the recipe is run.
    """
    written = {"lock.json": json_text(lock.to_json()), **lock.lists}
    written |= {f"{PLUGINS}/{one.name}.py": one.source for one in plugins if one.source is not None}
    for name, text in written.items() if any((run.path / "manifests").glob("*.json")) else ():
        path = run.path / name
        if not path.exists():
            yield name, "it was missing"
        elif path.read_bytes() != text.encode():
            yield name, "it was not what the run is named by"


def _problem(path: Path, read: Callable[[], Any]) -> str | None:
    try:
        _ = path.exists() and read()
    except DamagedFileError as error:
        return str(error)
    return None
