"""How far the work on one part is, counted where it is done and read by the progress display.

A room counts documents and bytes without knowing who reads them; outside of ``metered`` nothing is counted. Whether
bytes are packed input or text depends on the stage: they are compared with what the stage announces for a part.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Meter:
    """Documents and bytes of one part that are done."""

    documents: int = 0
    n_bytes: int = 0


_METER: ContextVar[Meter | None] = ContextVar("meter", default=None)


@contextmanager
def metered(meter: Meter) -> Iterator[None]:
    """What this thread counts until the context ends goes to ``meter``."""
    before = _METER.set(meter)
    try:
        yield
    finally:
        _METER.reset(before)


def count(documents: int = 0, n_bytes: int = 0) -> None:
    """Add what was done since the last call.

    >>> with metered(meter := Meter()):
    ...     count(n_bytes=5)
    >>> meter.n_bytes
    5
    """
    meter = _METER.get()
    if meter is not None:
        meter.documents += documents
        meter.n_bytes += n_bytes


@contextmanager
def counted_whole(n_bytes: int) -> Iterator[None]:
    """Work on so many bytes: what is not counted inside, or counted beyond them, is set right at the end."""
    meter = _METER.get() or Meter()
    end = meter.n_bytes + n_bytes
    yield
    meter.n_bytes = end
