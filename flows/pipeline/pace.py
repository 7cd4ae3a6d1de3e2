"""How far a stage is, how fast it goes and how long it will take, inside a part as well."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from gristmill.corpus.meter import Meter, metered

_MINUTE, _HOUR = 60, 3600
_ENOUGH = 10  # parts that have ended, before they tell how long the others take: those of kernels are 1 to 25 s long


@dataclass(slots=True)
class Pace:
    """Parts that have ended, and bytes and documents of all that were worked on. Clock readings are seconds."""

    parts: int  # of the stage; 0 = it has none to count
    n_bytes: int = 0  # of all parts that are not found in the store; 0 = unknown
    clock: Callable[[], float] = time.monotonic
    ended: int = 0
    _done_bytes: int = 0
    _done_documents: int = 0
    _working: list[tuple[Meter, int]] = field(default_factory=list)
    _begin: float = 0.0

    def __post_init__(self) -> None:
        self._begin = self.clock()

    @contextmanager
    def part(self, n_bytes: int) -> Iterator[None]:
        """Work on one part in this thread. A part that counts nothing was found, and takes no time."""
        meter = Meter()
        entry = (meter, n_bytes)
        self._working.append(entry)
        try:
            with metered(meter):
                yield
        finally:
            self._done_documents += meter.documents
            if meter.n_bytes or meter.documents:
                self._done_bytes += n_bytes
            else:
                self.n_bytes -= n_bytes
            self._working.remove(entry)

    @property
    def bytes_done(self) -> int:
        """Bytes worked through, those of parts that are not finished among them."""
        return self._done_bytes + sum(min(meter.n_bytes, most) for meter, most in tuple(self._working))

    @property
    def documents_done(self) -> int:
        """Documents, likewise."""
        return self._done_documents + sum(meter.documents for meter, _ in tuple(self._working))

    @property
    def parts_done(self) -> float:
        """Parts, with what is done of the unfinished ones as a fraction."""
        return self.ended + sum(min(meter.n_bytes / most, 1) for meter, most in tuple(self._working) if most)

    @property
    def _done_by_bytes(self) -> bool:
        return self.n_bytes > 0 and self.bytes_done > 0

    @property
    def share(self) -> float:
        """What is done of the whole stage, 0 to 1."""
        if self._done_by_bytes:
            return min(self.bytes_done / self.n_bytes, 1.0)
        return self.ended / self.parts if self.parts else 0.0

    def text(self) -> str:
        """Share, rates and time left, as far as they are known; else how long it has taken so far."""
        seconds = max(self.clock() - self._begin, 1e-9)
        found = [f"{self.share:.0%}"] if self.share else []
        if self.bytes_done:
            found.append(f"{self.bytes_done / seconds / 1e6:,.2f} MB/s")
        if self.documents_done:
            found.append(f"{self.documents_done / seconds:,.0f} documents/s")
        if not self.share or not (self._done_by_bytes or self.ended >= _ENOUGH):
            return ", ".join([*found, f"{duration(seconds)} so far"])
        return ", ".join([*found, f"{duration(seconds * (1 - self.share) / self.share)} left"])


def duration(seconds: float) -> str:
    """A length of time for a person.

    >>> duration(8.2), duration(75), duration(7300)
    ('8 s', '1 min 15 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
