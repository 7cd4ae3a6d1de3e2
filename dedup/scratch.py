"""Arrays on disk: appended to piece by piece, then read through a map whose pages can be let go of."""

import mmap
import tempfile
import weakref
from pathlib import Path

import numpy as np


class ScratchArray:
    """A one-dimensional array in a nameless file, which is gone with the object.

    The map counts into the memory of the process page by page as it is read; ``release`` takes that back, and the
    system keeps or drops the file's pages as it has room.
    """

    def __init__(self, folder: Path | None, dtype: np.dtype | type):
        self._dtype = np.dtype(dtype)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  lives as long as the object
        self._close = weakref.finalize(self, self._file.close)
        self._length = 0
        self._map: mmap.mmap | None = None

    def __len__(self) -> int:
        return self._length

    def append(self, values: np.ndarray) -> None:
        """Write ``values`` behind those that are there; arrays handed out before do not grow."""
        self._file.write(np.ascontiguousarray(values, self._dtype).view(np.uint8).data)
        self._length += len(values)
        self._map = None

    def array(self) -> np.ndarray:
        """Everything that was appended, mapped."""
        if not self._length:
            return np.empty(0, self._dtype)
        if self._map is None:
            self._file.flush()
            self._map = mmap.mmap(self._file.fileno(), 0)
        return np.frombuffer(self._map, self._dtype)

    def release(self) -> None:
        """Let go of the pages read so far; arrays stay valid and read them again."""
        if self._map is not None:
            self._map.madvise(mmap.MADV_DONTNEED)
