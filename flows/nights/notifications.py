"""Who is informed of what became of a scheduled run: a command, a webhook, and a monitor after each success.

Addresses hold secrets, so a recipe names environment variables and not addresses. A message names run, state and
reason; credentials in addresses are taken out. A hook that fails is reported and ends no run.
"""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from gristmill.corpus.credentials import redact
from gristmill.corpus.errors import RecipeError
from gristmill.flows.pipeline.unattended import Event, Notify, Schedule

WAIT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Message:
    """What became of a run."""

    event: Event
    recipe: str
    run: str | None  # its directory; None where it did not come to one
    state: str  # of RUN/state.json
    reason: str
    when: str  # ISO 8601


def check_addresses(schedule: Schedule, environment: Mapping[str, str]) -> None:
    """RecipeError for an environment variable that the recipe names and that holds no http address."""
    named = {"schedule.success_url_env": schedule.success_url_env}
    named |= {"schedule.notify.webhook_env": schedule.notify.webhook_env} if schedule.notify else {}
    for key, name in named.items():
        if name is not None and not environment.get(name, "").startswith(("http://", "https://")):
            raise RecipeError(f"{key} = {name!r}: the environment variable {name} holds no http or https address")


def inform(notify: Notify | None, message: Message) -> list[str]:
    """Call every hook that wants the event; what went wrong with them, one sentence each."""
    if notify is None or message.event not in notify.on:
        return []
    text = json.dumps(redact(asdict(message)))
    found = [_guarded("notify.command", lambda: _call(notify.command, text))] if notify.command else []
    if notify.webhook_env is not None:
        found.append(_guarded("notify.webhook_env", lambda: _post(str(notify.webhook_env), text)))
    return [problem for problem in found if problem]


def sign_of_life(schedule: Schedule) -> list[str]:
    """Touch the file and ask for the address that a monitor watches; what went wrong, one sentence each."""
    found = []
    if schedule.success_file is not None:
        path = Path(schedule.success_file)
        found.append(_guarded("success_file", lambda: _touch(path)))
    if schedule.success_url_env is not None:
        found.append(_guarded("success_url_env", lambda: _post(str(schedule.success_url_env), None)))
    return [problem for problem in found if problem]


def _guarded(key: str, work: Callable[[], None]) -> str | None:
    """The kind of an error alone: its text may hold the address."""
    try:
        work()
    except (OSError, subprocess.SubprocessError, KeyError, ValueError) as error:
        problem = f"schedule.{key} failed: {type(error).__name__}{_status(error)}"
        sys.stderr.write(f"gristmill: {problem}\n")
        return problem
    return None


def _status(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f" {error.code}"
    return f" {error.returncode}" if isinstance(error, subprocess.CalledProcessError) else ""


def _call(command: tuple[str, ...], text: str) -> None:
    subprocess.run(command, input=text.encode(), timeout=WAIT_SECONDS, check=True, stdout=subprocess.DEVNULL)


def _post(variable: str, text: str | None) -> None:
    data = None if text is None else text.encode()
    request = urllib.request.Request(os.environ[variable], data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=WAIT_SECONDS):
        pass


def _touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
