"""CPU seconds of whole runs of the mill, children and Prefect's server included, each in a home of its own."""

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HOUSE = Path(__file__).resolve().parent.parent
SPIN = "while True: pass"


@dataclass(frozen=True, slots=True)
class RunCost:
    """One command: what it took, what it printed as JSON, and how many processes wanted a core when it ended."""

    cpu_seconds: float
    seconds: float
    result: dict[str, Any]
    load: float
    peak_mb: float = 0.0  # of the largest child so far, in this process


@dataclass(frozen=True, slots=True)
class Place:
    """A home and a kernel cache under one folder."""

    folder: Path

    def command(self, *arguments: str) -> RunCost:
        """``gristmill ARGUMENTS --json`` of this checkout; its output goes to log.txt in the folder when it fails."""
        home, kernels = str(self.folder / "home"), str(self.folder / "kernels")
        environment = {**os.environ, "GRISTMILL_HOME": home, "NUMBA_CACHE_DIR": kernels, "PYTHONPATH": str(HOUSE)}
        before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        command = [sys.executable, "-m", "gristmill", *arguments, "--json"]
        done = subprocess.run(command, cwd=HOUSE, env=environment, capture_output=True, text=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            sys.exit(f"gristmill {' '.join(arguments)} failed:\n{done.stderr[-4000:]}")
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        peak_mb = after.ru_maxrss * 1024 / 1e6
        return RunCost(spent, time.perf_counter() - begin, json.loads(done.stdout), os.getloadavg()[0], peak_mb)

    def forget(self, *, rates: bool = True) -> None:
        """Delete runs and store, and the rates that were measured; kernels stay."""
        for name in ("runs", "store"):
            shutil.rmtree(self.folder / "home" / name, ignore_errors=True)
        if rates:
            (self.folder / "home" / "rates.json").unlink(missing_ok=True)


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Processes that keep a core busy each."""
    spinning = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(count)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()
