"""Digests of local inputs from earlier runs, believed while device, inode, size and both times of a file are the same.

The time of change (ctime) is set by the system alone, so other bytes under an old time of writing are seen. What is
believed is the file system: one that keeps no ctime, or a clock that was put back, can hide a change. Therefore a file
that was touched within ``RACY_SECONDS`` of being read is read again, as git does; so are every run the files that were
read longest ago, for about so many bytes; and whatever a reader reads is compared with its digest in any case.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import xxhash

from gristmill.corpus.files import write_text
from gristmill.sources.content import Content, content_of

RACY_SECONDS = 2.0  # FAT's clock ticks so far apart, and no file system's farther
KEPT_SECONDS = 90 * 86_400.0  # files that no run has listed for so long are forgotten
Identity = tuple[int, int]  # device and inode


@dataclass(slots=True)
class Known:
    """A file as it was read."""

    size: int
    mtime_ns: int
    ctime_ns: int
    read_at: float  # seconds since 1970
    digest: str
    blocks: bytes

    @property
    def content(self) -> Content:
        """What its listing needs."""
        return Content(self.size, self.digest, self.blocks)

    def is_settled(self) -> bool:
        """Whether it was touched long enough before it was read."""
        return max(self.mtime_ns, self.ctime_ns) < (self.read_at - RACY_SECONDS) * 1e9


class DigestCache:
    """A file of digests; ``save`` writes it. One that ``is_damaged`` knows nothing.

    Parameters
    ----------
    path : the file
    reread_bytes : so many bytes of known files are read again, those first that were read longest ago
    """

    def __init__(self, path: Path, reread_bytes: int = 0, clock: Callable[[], float] = time.time):
        self._path, self._clock = path, clock
        self._known, self.is_damaged = _load(path)
        self._doubted = self._oldest(reread_bytes)
        self.believed = 0  # files that were not read
        self.differing: list[str] = []  # files with other bytes than before under the same size and times

    def _oldest(self, n_bytes: int) -> set[Identity]:
        found = set()
        for identity, known in sorted(self._known.items(), key=lambda item: item[1].read_at):
            if n_bytes <= 0:
                break
            found.add(identity)
            n_bytes -= known.size
        return found

    def content(self, path: Path) -> Content:
        """The content of a file: known, or read and then known; OSError where it cannot be read."""
        status, begin = path.stat(), self._clock()
        known = self._known.get(_identity(status))
        same = known is not None and _times(known) == _times_of(status)
        if known is not None and same and _identity(status) not in self._doubted:
            self.believed += 1
            return known.content
        with path.open("rb") as file:
            before = os.fstat(file.fileno())  # the file under this name may be another one by now
            found = content_of(file)
            after = os.fstat(file.fileno())
        if known is not None and same and _times_of(before) == _times(known) and found.digest != known.digest:
            self.differing.append(str(path))
        self._keep(before, after, begin, found)
        return found

    def _keep(self, before: os.stat_result, after: os.stat_result, begin: float, found: Content) -> None:
        new = Known(found.size, before.st_mtime_ns, before.st_ctime_ns, begin, found.digest, found.blocks)
        self._known.pop(_identity(before), None)
        if new.is_settled() and _times(new) == _times_of(after):
            self._known[_identity(before)] = new

    def save(self) -> None:
        """Write what is known, durably; other runs of the home may have added theirs, which stay.

        It stands in the file then, and no more in memory: 45 MB of 100,000 files.
        """
        oldest = self._clock() - KEPT_SECONDS
        rows = [
            _line(*item) for item in sorted((_load(self._path)[0] | self._known).items()) if item[1].read_at > oldest
        ]
        text = "".join(rows)
        write_text(self._path, f"{_sum(text)}\n{text}")
        self._known.clear()

    def forget(self) -> None:
        """Know nothing any more: a file was found to be another one than it was listed as."""
        self._path.unlink(missing_ok=True)


def _identity(status: os.stat_result) -> Identity:
    return status.st_dev, status.st_ino


def _times_of(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _times(known: Known) -> tuple[int, int, int]:
    return known.size, known.mtime_ns, known.ctime_ns


def _line(identity: Identity, known: Known) -> str:
    fields = (*identity, *_times(known), known.read_at, known.digest, known.blocks.hex() or "-")
    return " ".join(map(str, fields)) + "\n"


def _sum(text: str) -> str:
    return xxhash.xxh3_128_hexdigest(text.encode())


def _load(path: Path) -> tuple[dict[Identity, Known], bool]:
    """What the file knows, and whether it is there and is not what was written."""
    found: dict[Identity, Known] = {}
    is_damaged = False
    with suppress(OSError):
        head, _, text = path.read_bytes().decode(errors="replace").partition("\n")
        is_damaged = head != _sum(text)
        for line in text.split("\n")[:-1] if head == _sum(text) else ():
            device, inode, size, mtime, ctime, read_at, digest, blocks = line.split(" ")
            kept = b"" if blocks == "-" else bytes.fromhex(blocks)
            known = Known(int(size), int(mtime), int(ctime), float(read_at), digest, kept)
            found[int(device), int(inode)] = known
    return found, is_damaged
