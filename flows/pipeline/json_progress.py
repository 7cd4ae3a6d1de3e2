"""Progress of a run as JSON lines on standard error, one per event, for a collector of logs.

``GRISTMILL_LOG_FORMAT=json`` or ``gristmill run --log-format json``. Every line has ``time``, ``event`` (stage_begins,
part_done, stage_ends, stage_fails, note) and what the event is about; credentials in addresses are left out.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from gristmill.corpus.credentials import redact
from gristmill.corpus.errors import first_line
from gristmill.flows.pipeline.progress import ConsoleReporter, Reporter, StageProgress
from gristmill.flows.pipeline.run_state import now

VARIABLE = "GRISTMILL_LOG_FORMAT"
_LOCK = threading.Lock()  # parts end in several threads


def chosen_reporter(log_format: str | None = None) -> Reporter:
    """The reporter of a command: JSON lines where they are asked for, else bars and lines for people."""
    return JsonReporter() if (log_format or os.environ.get(VARIABLE)) == "json" else ConsoleReporter()


def write_event(event: str, **fields: Any) -> None:
    """One line."""
    line = json.dumps({"time": now(), "event": event, **redact(fields)}, ensure_ascii=False)
    with _LOCK:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


class _StageEvents:
    def __init__(self, name: str, total: int):
        self._name, self._total, self._done = name, total, 0

    def advance(self, note: str = "", done: int | None = None) -> None:
        self._done = self._done + 1 if done is None else done
        write_event("part_done", stage=self._name, done=self._done, parts=self._total, note=note)

    def part(self, n_bytes: int) -> AbstractContextManager[None]:  # noqa: ARG002
        return nullcontext()


class JsonReporter:
    """A line where a stage begins, where a part or step of it is done, and where it ends."""

    def note(self, line: str) -> None:
        """A line that belongs to no stage."""
        write_event("note", text=line)

    @contextmanager
    def stage(self, name: str, total: int, n_bytes: int = 0) -> Iterator[StageProgress]:
        """One stage, with its seconds at the end; an error is named by its kind and first line."""
        begin = time.monotonic()
        write_event("stage_begins", stage=name, parts=total, bytes=n_bytes)
        try:
            yield _StageEvents(name, total)
        except BaseException as error:
            write_event("stage_fails", stage=name, error=type(error).__name__, text=first_line(error))
            raise
        write_event("stage_ends", stage=name, seconds=round(time.monotonic() - begin, 3))
