"""``gristmill schedule``: a server and the process that serves a recipe's cron, watched and started again.

This process runs no flow and keeps no state: what was due and what became of it stands in files. SIGTERM and Ctrl-C
end both processes and what they have started; a run that is stopped so goes on at the next firing.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from gristmill.corpus.errors import GristmillError
from gristmill.flows.prefect_settings import no_answer
from gristmill.flows.server import START_SECONDS, Process, free_port, is_healthy, server_command, start_with_us, stop

LOOK_SECONDS = 2.0
DEAF_SECONDS = 60.0  # a server that does not answer for so long is started again; a busy one took 12
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 300.0
STEADY_SECONDS = 600.0  # a process that ran for so long failed for a new reason: the pauses begin anew
SERVES = "from pathlib import Path; from gristmill.flows.schedule import serve_recipe; serve_recipe(Path({path!r}))"
WORDS: dict[int, str] = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


@dataclass(slots=True)
class Watched:
    """A process that is started again when it ends, with growing pauses."""

    name: str
    start: Callable[[], Process]
    process: Process | None = None
    began: float = 0.0
    pause: float = FIRST_PAUSE_SECONDS
    starts: int = 0

    @property
    def runs(self) -> bool:
        """Whether the process is there."""
        return self.process is not None and self.process.poll() is None

    def keep(self, stopped: threading.Event) -> bool:
        """Start it where it does not run; True where it was started."""
        if self.runs:
            return False
        if self.process is not None:
            self._pause(stopped, self.process.returncode)
        if stopped.is_set():
            return False
        self.process, self.began, self.starts = self.start(), time.monotonic(), self.starts + 1
        return True

    def _pause(self, stopped: threading.Event, status: int) -> None:
        steady = time.monotonic() - self.began > STEADY_SECONDS
        self.pause = FIRST_PAUSE_SECONDS if steady else min(2 * self.pause, LONGEST_PAUSE_SECONDS)
        sys.stderr.write(f"gristmill: {self.name} ended with status {status}; again in {self.pause:.0f} s\n")
        stopped.wait(self.pause)

    def end(self) -> None:
        """Stop it."""
        if self.process is not None:
            stop(self.process)


@dataclass(slots=True)
class Supervision:
    """The processes of one schedule.

    Parameters
    ----------
    recipe : its file
    own : the address of the API of a server that is kept elsewhere; None starts one, and keeps it
    """

    recipe: Path
    own: str | None = None
    port: int = field(default_factory=free_port)  # the same after each start, so that the page stays where it was
    stopped: threading.Event = field(default_factory=threading.Event)
    sign: int = signal.SIGTERM
    watched: list[Watched] = field(default_factory=list)

    @property
    def address(self) -> str:
        """The address of the API."""
        return self.own or f"http://127.0.0.1:{self.port}/api"

    def run(self) -> int:
        """Serve until a signal; the exit status says which.

        Raises
        ------
        GristmillError : the server did not start, or the one that is kept elsewhere does not answer
        """
        if self.own is not None and not is_healthy(self.own):
            raise no_answer(self.own)
        before = {sign: signal.signal(sign, self._stop) for sign in WORDS}
        try:
            self._serve()
        finally:
            for one in reversed(self.watched):
                one.end()
            for sign, handler in before.items():
                signal.signal(sign, handler)
        sys.stderr.write(f"gristmill: the schedule was stopped by {WORDS[signal.Signals(self.sign)]}\n")
        return 128 + self.sign

    def _stop(self, sign: int, _: FrameType | None) -> None:
        self.sign = sign
        self.stopped.set()

    def _serve(self) -> None:
        parent = os.getpid()
        environment = {**os.environ, "PREFECT_API_URL": self.address}
        server = Watched("the Prefect server", lambda: start_with_us(parent, server_command(self.port), environment))
        serves = ["-c", SERVES.format(path=str(self.recipe.resolve()))]
        runner = Watched("the process that serves the schedule", lambda: start_with_us(parent, serves, environment))
        self.watched = [runner] if self.own else [server, runner]
        heard = time.monotonic()
        while not self.stopped.is_set():
            if not self.own:
                if server.keep(self.stopped):
                    self._wait_for(server)
                    heard = time.monotonic()
                elif is_healthy(self.address):
                    heard = time.monotonic()
                elif time.monotonic() - heard > DEAF_SECONDS:
                    server.end()
            runner.keep(self.stopped)
            self.stopped.wait(LOOK_SECONDS)

    def _wait_for(self, server: Watched) -> None:
        """Until it answers. A first start that fails is a mistake of the set-up; a later one is tried again."""
        deadline = time.monotonic() + START_SECONDS
        while not self.stopped.is_set() and server.runs and time.monotonic() < deadline:
            if is_healthy(self.address):
                word = "is at" if server.starts == 1 else "is back at"
                sys.stderr.write(f"gristmill: the page of the schedule {word} {self.address.removesuffix('/api')}\n")
                return
            self.stopped.wait(0.5)
        if not self.stopped.is_set() and server.starts == 1:
            raise GristmillError(
                "the Prefect server did not start. Start one yourself with `prefect server start` and set "
                "PREFECT_API_URL to its address."
            )
