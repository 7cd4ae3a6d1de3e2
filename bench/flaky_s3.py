"""An S3 of moto on loopback that fails as often as it is asked to: half before a request is carried out, half after.

Answered after it was carried out, a failed request has had its effect, and its sender does not know. ``set_errors``
changes the share while it runs; the server is a process of its own, since the bench forks.
"""

import random
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

BUCKET = "mill"
CONTROL = "/_errors/"  # PATH/SHARE sets the share; answers with the number of requests and of failures since
BUSY = b"<Error><Code>SlowDown</Code><Message>planted</Message></Error>"
App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Flaky:
    """A WSGI application in front of another."""

    def __init__(self, app: App, seed: int):
        self.app, self.rng, self.share = app, random.Random(seed), 0.0
        self.requests = self.failures = 0

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path.startswith(CONTROL):
            return self._control(float(path.removeprefix(CONTROL)), start)
        self.requests += 1
        drawn = self.rng.random()
        if drawn >= self.share:
            return self.app(environ, start)
        self.failures += 1
        if drawn < self.share / 2:
            b"".join(self.app(environ, lambda *_: None))
        start("503 Slow Down", [("Content-Type", "application/xml"), ("Content-Length", str(len(BUSY)))])
        return [BUSY]

    def _control(self, share: float, start: Callable[..., Any]) -> Iterable[bytes]:
        answer = f"{self.requests} {self.failures}".encode()
        self.share, self.requests, self.failures = share, 0, 0
        start("200 OK", [("Content-Length", str(len(answer)))])
        return [answer]


def set_errors(url: str, share: float) -> tuple[int, int]:
    """From now on so many requests fail; returns requests and failures since the last call."""
    with urllib.request.urlopen(f"{url}{CONTROL}{share}") as answer:
        requests, failures = answer.read().split()
    return int(requests), int(failures)


@contextmanager
def serving(seed: int) -> Iterator[str]:
    """Inside, the server runs without errors and has an empty bucket; its address."""
    server = subprocess.Popen([sys.executable, __file__, str(seed)], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        urllib.request.urlopen(urllib.request.Request(f"{url}/{BUCKET}", method="PUT")).close()
        yield url
    finally:
        server.kill()
        server.wait()


def _serve(seed: int) -> None:
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    app = Flaky(DomainDispatcherApplication(create_backend_app), seed)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    import logging

    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    _serve(int(sys.argv[1]))
