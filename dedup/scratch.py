"""Arrays, strings and tables on disk: appended to piece by piece, then read through a map whose pages can be let go of.

A map counts into the memory of the process page by page as it is read; ``release`` takes that back, and the system
keeps or drops the file's pages as it has room.
"""

import itertools
import mmap
import tempfile
import weakref
from pathlib import Path

import numpy as np
import pyarrow as pa


class ScratchArray:
    """A one-dimensional array in a nameless file, which is gone with the object."""

    def __init__(self, folder: Path | None, dtype: np.dtype | type):
        self._folder, self._dtype = folder, np.dtype(dtype)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  lives as long as the object
        self._close = weakref.finalize(self, self._file.close)
        self._length = 0
        self._map: mmap.mmap | None = None

    def __len__(self) -> int:
        return self._length

    def empty_like(self) -> "ScratchArray":
        """Another array of that kind in that folder."""
        return ScratchArray(self._folder, self._dtype)

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


class ScratchStrings:
    """Strings in nameless files, taken by their number."""

    def __init__(self, folder: Path | None):
        self._data, self._ends = ScratchArray(folder, np.uint8), ScratchArray(folder, np.int64)
        self._ends.append(np.zeros(1, np.int64))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def append(self, strings: pa.Array) -> None:
        """Write ``strings`` behind those that are there."""
        strings = strings.cast(pa.large_string())
        if len(strings):
            _, offsets, data = strings.buffers()
            ends = np.frombuffer(offsets, np.int64)[strings.offset : strings.offset + len(strings) + 1]
            self._ends.append(ends[1:] - ends[0] + len(self._data))
            if data is not None:
                self._data.append(np.frombuffer(data, np.uint8)[ends[0] : ends[-1]])

    def take(self, numbers: np.ndarray) -> pa.Array:
        """The strings of those numbers, as ``string[n]`` in memory."""
        buffers = [pa.py_buffer(self._ends.array()), pa.py_buffer(self._data.array())]
        found = pa.LargeStringArray.from_buffers(len(self), *buffers).take(pa.array(numbers))
        self._data.release()
        self._ends.release()
        return found.cast(pa.string())


class ScratchTable:
    """Record batches in a nameless file."""

    def __init__(self, folder: Path | None, schema: pa.Schema):
        self._bytes, self._schema = ScratchArray(folder, np.uint8), schema
        self._starts = [0]

    def append(self, batch: pa.RecordBatch) -> None:
        """Write ``batch`` behind those that are there."""
        self._bytes.append(np.frombuffer(batch.serialize(), np.uint8))
        self._starts.append(len(self._bytes))

    def batches(self) -> list[pa.RecordBatch]:
        """All batches, mapped."""
        stored = self._bytes.array()
        places = itertools.pairwise(self._starts)
        return [pa.ipc.read_record_batch(pa.py_buffer(stored[at:end]), self._schema) for at, end in places]

    def release(self) -> None:
        """Let go of the pages read so far; batches stay valid and read them again."""
        self._bytes.release()
