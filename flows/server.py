"""A Prefect server of our own on loopback, for schedules where none is running.

The embedded API of a short run has no scheduler; a cron needs a server. It ends with the process that started it.
"""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from gristmill.corpus.errors import GristmillError

START_SECONDS = 180.0  # 36 s were measured on a cold database and a busy machine
STOP_SECONDS = 10.0


@contextmanager
def prefect_server(own: str | None = None) -> Iterator[str]:
    """The API address of a running server: the user's ``own``, else that of a new one."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    if own:
        yield own
        return
    port = free_port()
    address = f"http://127.0.0.1:{port}/api"
    command = [
        sys.executable,
        "-m",
        "prefect",
        "server",
        "start",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--no-ui",
    ]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.environ["PREFECT_API_URL"] = address
    try:
        wait_until_healthy(address, server)
        with temporary_settings({PREFECT_API_URL: address}):  # Prefect has read the environment by now
            yield address
    finally:
        del os.environ["PREFECT_API_URL"]
        stop(server)


def free_port() -> int:
    """A port on loopback that no process listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_healthy(address: str, server: "subprocess.Popen[bytes]") -> None:
    """Return when the server answers; GristmillError when it ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=2):
                return
        except OSError:
            time.sleep(0.5)
    raise GristmillError(
        "the Prefect server did not start. Start one yourself with `prefect server start` and set PREFECT_API_URL."
    )


def stop(server: "subprocess.Popen[bytes]") -> None:
    """End the server; kill it when it does not go by itself."""
    server.terminate()
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
