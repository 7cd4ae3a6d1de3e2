"""One scheduled run: tried again after errors of input and output alone, its outcome noted, and people informed."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from gristmill.corpus.credentials import without_credentials
from gristmill.corpus.errors import GristmillError, first_line
from gristmill.flows.nights.firings import note_firing, read_firings
from gristmill.flows.nights.notifications import Message, inform, sign_of_life
from gristmill.flows.pipeline.recipe_reading import load_scheduled
from gristmill.flows.pipeline.run_state import now
from gristmill.flows.pipeline.unattended import Event, Schedule

REMOTE = {"aiohttp", "botocore", "httpx", "httpcore", "requests", "urllib3"}  # whose errors are not all OSError
Outcome = Literal["complete", "paused", "failed"]
Result = dict[str, Any]


def night_run(recipe: Path, mill: Callable[[], Result], wait: Callable[[float], None] = time.sleep) -> Result:
    """Run a recipe as its schedule does.

    Parameters
    ----------
    mill : runs the recipe and returns what ``gristmill run --json`` prints
    wait : waits so many seconds

    A run that is stopped is no failure: hooks are not called, and the outcome stays that of the run before.

    Raises
    ------
    GristmillError : the run came to an end and did not pass verify
    """
    name, schedule = load_scheduled(recipe)
    before = read_firings(name).outcome
    note_firing(name)
    try:
        result = _passed(_tried(mill, schedule, wait))
    except Exception as error:
        why = f"{type(error).__name__}: {first_line(without_credentials(str(error)))}"
        message = Message("failure", name, None, "failed", why, now())
        sys.stderr.write(f"gristmill: the run of {name} failed: {message.reason}\n")
        _ended(name, schedule, "failed", message)
        raise
    except BaseException:  # a signal, or a run cancelled on the page: nothing has failed, so that no one is called
        sys.stderr.write(f"gristmill: the run of {name} was stopped; the next one goes on from here\n")
        raise
    paused = result.get("state") == "paused"
    sys.stderr.write(f"gristmill: {result['run']} {'is paused' if paused else 'is complete'}\n")
    state: Outcome = "paused" if paused else "complete"
    event: Event = "drift" if paused else "recovery"
    reason = _beyond(result) if paused else f"the run before was {before or 'the first'}"
    message = Message(event, name, result["run"], state, reason, now())
    _ended(name, schedule, state, message if paused or before in ("failed", "paused") else None)
    return result


def _passed(result: Result) -> Result:
    if not result.get("verified", True):
        raise GristmillError(f"{result['run']} did not pass verify: {result['failed'][0]}")
    return result


def _ended(name: str, schedule: Schedule, state: Outcome, message: Message | None) -> None:
    note_firing(name, state)
    if state == "complete":
        sign_of_life(schedule)
    if message is not None:
        inform(schedule.notify, message)


def _beyond(result: Result) -> str:
    beyond = result.get("drift", {}).get("beyond", ())
    return "; ".join(
        f"{one['kind']} {one['signal']}".strip() + f" of {one['of']}: {one['value']:.3g}" for one in beyond
    )


def _tried(mill: Callable[[], Result], schedule: Schedule, wait: Callable[[float], None]) -> Result:
    for pause in _pauses(schedule):
        try:
            return mill()
        except Exception as error:
            if pause is None or not is_io_error(error):
                raise
            sys.stderr.write(
                f"gristmill: {type(error).__name__}, an error of input or output: again in {pause:.0f} s\n"
            )
            wait(pause)
    raise AssertionError("the last pause is None")


def _pauses(schedule: Schedule) -> Iterator[float | None]:
    """Seconds to wait after each try, each twice the one before; None after the last."""
    yield from (schedule.io_retry_seconds * 2**n for n in range(schedule.io_retries))
    yield None


def is_io_error(error: BaseException) -> bool:
    """True for what a disk or a network did: worth another try, as a mistake of a recipe or a full budget is not.

    >>> is_io_error(TimeoutError()), is_io_error(ValueError()), is_io_error(GristmillError())
    (True, False, False)
    """
    if isinstance(error, GristmillError):
        return False
    return isinstance(error, OSError) or type(error).__module__.partition(".")[0] in REMOTE
