"""``gristmill verify``: does a run hold what it promises? Every check looks at the files again."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from gristmill.corpus.errors import ReadOnlyError
from gristmill.corpus.files import content_key, write_json
from gristmill.corpus.rundir import RunDir
from gristmill.flows.inspect.run_check import Check
from gristmill.flows.inspect.verify_facts import check_facts
from gristmill.flows.inspect.verify_neighbours import check_neighbours
from gristmill.flows.inspect.verify_replay import Replay, check_replay
from gristmill.flows.inspect.verify_settled import check_settled
from gristmill.flows.inspect.verify_stages import (
    check_accounts,
    check_alignment,
    check_card,
    check_chain,
    check_edits,
    check_finished,
    check_lock,
    check_plan,
    check_plugins,
    check_receipts,
    check_shards,
    check_tokenizer,
    check_use,
)
from gristmill.flows.inspect.verify_training import check_consumption, check_labels, check_train_files
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.open_context import read_run, reopen_run

VERIFIED = "verified.json"


def verify_run(run_path: Path, replay: Replay | None = None) -> dict[str, Any]:
    """Check conservation, receipts, alignment, shards, plan, labels, consumption and card of a run.

    It is done under the run's lock; on a disk that is only read, where no writer is, without one, and nothing is noted.

    Parameters
    ----------
    replay : also train one interval between two checkpoints again
    """
    try:
        with reopen_run(run_path, first_format=True) as context:
            return verify_open(context, replay) | {"run": str(run_path)}
    except ReadOnlyError:
        return _verified(read_run(run_path, first_format=True), replay) | {"run": str(run_path)}


def verify_open(context: RunContext, replay: Replay | None = None) -> dict[str, Any]:
    """The same of an open run. What came of it is kept in the run, with the state that it was found of.

    Raises
    ------
    StoreError : lock.json is damaged, or of a format that this version does not know
    """
    found = _verified(replace(context, store=context.store.watched(None)), replay)
    noted = {"ok": found["ok"], "checks": len(found["checks"]), "digest": state_of(context.run)}
    write_json(context.run.path / VERIFIED, noted)
    return found


def _verified(context: RunContext, replay: Replay | None) -> dict[str, Any]:
    _ = context.run.brief_lock
    checks = [check for group in CHECKS for check in _guarded(group, context)]
    checks += check_replay(context, replay) if replay else []
    ok = all(check.ok for check in checks)
    return {"run": str(context.run.path), "ok": ok, "checks": [asdict(check) for check in checks]}


def state_of(run: RunDir) -> str:
    """32 hex characters that name what a run has done: they change with every stage that gives something else."""
    names = sorted(path.stem for path in (run.path / "manifests").glob("*.json"))
    return content_key([_key_of(run, name) for name in names])


def _key_of(run: RunDir, stage: str) -> str:
    try:
        return run.manifest(stage).key
    except (ValueError, KeyError, TypeError, AttributeError):
        return "damaged"


def _guarded(group: Callable[[RunContext], Iterator[Check]], context: RunContext) -> Iterator[Check]:
    """The checks of a group. A file that is so damaged that its reader fails is one failed check, and no traceback."""
    try:
        yield from group(context)
    except Exception as error:  # noqa: BLE001  pyarrow, numpy and json each raise their own
        yield Check(group.__name__.removeprefix("check_"), False, f"cannot be read: {error!r}")


CHECKS = (
    check_lock,
    check_finished,
    check_accounts,
    check_use,
    check_chain,
    check_edits,
    check_receipts,
    check_alignment,
    check_tokenizer,
    check_shards,
    check_neighbours,
    check_plan,
    check_labels,
    check_train_files,
    check_consumption,
    check_settled,
    check_facts,
    check_plugins,
    check_card,
)
