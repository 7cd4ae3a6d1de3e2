"""A Prefect server of our own on loopback, with its page, for schedules where none is running.

The embedded API of a short run has no scheduler; a cron needs a server. It ends with the process that started it, also
where that is killed: the system sends it a signal then (Linux).
"""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress

START_SECONDS = 180.0  # 36 s were measured on a cold database and a busy machine
STOP_SECONDS = 10.0
SIGNAL_OF_DEATH = """
import os, sys
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, 15)  # PR_SET_PDEATHSIG, SIGTERM: it outlasts exec
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""
_SERVER = ("-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port")

Process = subprocess.Popen[bytes]


def start_with_us(parent: int, command: Sequence[str], environment: Mapping[str, str]) -> Process:
    """Start a Python process that ends when ``parent``, this process, does."""
    program = [sys.executable, "-c", SIGNAL_OF_DEATH, str(parent), sys.executable, *command]
    return subprocess.Popen(
        program, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=dict(environment), start_new_session=True
    )


def server_command(port: int) -> list[str]:
    """The arguments of Python that start a server with its page."""
    return [*_SERVER, str(port)]


def free_port() -> int:
    """A port on loopback that no process listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_healthy(address: str, seconds: float = 5.0) -> bool:
    """Whether a server answers at the address of its API."""
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=seconds):
            return True
    except (OSError, ValueError):
        return False


def stop(process: Process) -> None:
    """End a process and what it has started; kill them when they do not go by themselves."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
            break
