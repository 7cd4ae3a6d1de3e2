"""``gristmill card``: write a run's data card, or check the one it has."""

from pathlib import Path
from typing import Any

from gristmill.corpus.errors import CardError
from gristmill.flows.pipeline.damage import names_damage
from gristmill.flows.pipeline.open_context import read_run, reopen_run
from gristmill.flows.pipeline.publish import publish_card
from gristmill.flows.pipeline.stages import stage_named


@names_damage
def write_run_card(run: Path) -> dict[str, Any]:
    """Write the card from the run's manifests, and check it."""
    from gristmill.data_cards.check import check_card

    with reopen_run(run) as context:
        publish_card(context, stage_named(context.stages, "card"))
        folder = context.run.path / "card"
        return {"files": _files(folder), "problems": check_card(folder, context.run, context.store.folder)}


def check_run_card(run: Path) -> dict[str, Any]:
    """Check the card against the standards and against the run's own numbers."""
    from gristmill.data_cards.check import check_card

    context = read_run(run)
    folder = context.run.path / "card"
    if not folder.is_dir():
        raise CardError(f"{run} has no card yet; `gristmill card {run}` writes it")
    return {"files": _files(folder), "problems": check_card(folder, context.run, context.store.folder)}


def _files(folder: Path) -> list[str]:
    return [str(path) for path in sorted(folder.rglob("*")) if path.is_file()]
