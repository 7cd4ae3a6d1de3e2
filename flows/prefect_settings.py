"""Prefect set up before it is imported: quiet, no analytics, patient with a slow start.

The embedded API costs about 13 CPU seconds a process; a running server (PREFECT_API_URL) costs 1.8.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gristmill.corpus.errors import GristmillError

SETTINGS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",  # its heartbeat locks the SQLite file of short runs
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",  # 20 is not enough on a busy machine
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
}


def apply(home: Path, *, quiet: bool = True) -> None:
    """Set what the user has not set. Prefect's database goes under ``home``; deleting it loses nothing.

    ``quiet``: nothing of Prefect's own on the console, where the command tells a mistake in one message; its
    server keeps every log.
    """
    if quiet:
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    has_profile = (Path.home() / ".prefect" / "profiles.toml").exists()
    if not has_profile and "PREFECT_API_URL" not in os.environ:
        os.environ.setdefault("PREFECT_HOME", str(home.resolve() / "prefect"))
        Path(os.environ["PREFECT_HOME"]).mkdir(parents=True, exist_ok=True)  # Prefect makes the last folder only


@contextmanager
def told_plainly() -> Iterator[None]:
    """Turn Prefect's failure to start its API into one message that says what else there is."""
    try:
        yield
    except RuntimeError as error:
        if "API server" not in str(error):
            raise
        raise GristmillError(
            f"Prefect did not start: {error} Run again, start a server yourself (`prefect server start`, "
            "PREFECT_API_URL), or leave Prefect out with --direct."
        ) from None
