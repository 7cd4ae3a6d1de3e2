"""``gristmill card``: write a run's data card, or check the one it has."""

from pathlib import Path
from typing import Any

from gristmill.corpus.errors import CardError
from gristmill.flows.pipeline.context import reopen_mill
from gristmill.flows.pipeline.publish import publish_card


def write_run_card(run: Path) -> dict[str, Any]:
    """Write the card from the run's manifests, and check it."""
    from gristmill.data_cards.check import check_card

    with reopen_mill(run) as mill:
        publish_card(mill)
        folder = mill.run.path / "card"
        return {"files": _files(folder), "problems": check_card(folder, mill.run, mill.store.folder)}


def check_run_card(run: Path) -> dict[str, Any]:
    """Check the card against the standards and against the run's own numbers."""
    from gristmill.data_cards.check import check_card

    with reopen_mill(run) as mill:
        folder = mill.run.path / "card"
        if not folder.is_dir():
            raise CardError(f"{run} has no card yet; `gristmill card {run}` writes it")
        return {"files": _files(folder), "problems": check_card(folder, mill.run, mill.store.folder)}


def _files(folder: Path) -> list[str]:
    return [str(path) for path in sorted(folder.rglob("*")) if path.is_file()]
