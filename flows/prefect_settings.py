"""Prefect set up before it is imported: quiet, no analytics, patient with a slow start.

The embedded API costs about 13 CPU seconds a process; a running server (PREFECT_API_URL) costs 1.8.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from gristmill.corpus.errors import GristmillError

SETTINGS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",  # its heartbeat locks the SQLite file of short runs
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",  # 20 is not enough on a busy machine
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
}


def apply(home: Path) -> None:
    """Set what the user has not set. Prefect's database goes under ``home``; deleting it loses nothing.

    Nothing of Prefect's own is on the console, where a command tells a mistake in one message; its server keeps every
    log.
    """
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    has_profile = (Path.home() / ".prefect" / "profiles.toml").exists()
    if not has_profile and "PREFECT_API_URL" not in os.environ:
        os.environ.setdefault("PREFECT_HOME", str(home.resolve() / "prefect"))
    if "PREFECT_HOME" in os.environ:
        _expect_folder(Path(os.environ["PREFECT_HOME"]))


def _expect_folder(folder: Path) -> None:
    """Prefect makes the last folder of its home only, and ends with a traceback where it cannot write there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise GristmillError(
            f"Prefect cannot write into {folder}: {error.strerror}. Set PREFECT_HOME to a folder that is yours, or "
            "leave Prefect out with --direct."
        ) from None


def api_address() -> str | None:
    """The API that the user named, in PREFECT_API_URL or in a profile; Prefect itself reads both."""
    from prefect.settings import PREFECT_API_URL

    return PREFECT_API_URL.value()


@contextmanager
def told_plainly() -> Iterator[None]:
    """Turn Prefect's failure to reach or to start its API into one message that says what else there is."""
    try:
        yield
    except Exception as error:
        why = _of_prefect(error)
        if why is None:
            raise
        raise unusable(why) from None


def unusable(why: str) -> GristmillError:
    """What is wrong with Prefect's API, and what else there is."""
    return GristmillError(
        f"{why}. Start a Prefect server (`prefect server start`) and set PREFECT_API_URL to its address, unset "
        "PREFECT_API_URL or choose another profile (`prefect profile use`), or leave Prefect out with --direct."
    )


def no_answer(address: str) -> GristmillError:
    """The error for an API that the user named and where no server answers."""
    return unusable(f"Prefect's API is to be at {_plain(address)}, but no Prefect server answers there")


def _plain(address: str) -> str:
    return re.sub("//[^/@]*@", "//", address)  # credentials are not printed


def _of_prefect(error: Exception) -> str | None:
    """What is wrong with Prefect's API; None for an error of anything else."""
    text = str(error).strip().rstrip(".").split("\n")[0]
    if found := re.match("Failed to reach API at (.+?)/?$", text):
        return f"Prefect's API is to be at {found[1]}, but no Prefect server answers there"
    if type(error).__module__.partition(".")[0] in {"httpx", "httpcore"}:
        address = _plain(api_address() or "its own address")
        return f"Prefect's API at {address} does not answer: {text or type(error).__name__}"
    if re.search("API server|No Prefect API URL|Found incompatible versions", text):
        return f"Prefect's API cannot be used: {text}"
    return None
