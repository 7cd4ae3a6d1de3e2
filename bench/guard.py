"""Text columns that end at a page which nobody may read: a read beyond the padding is a fault, not luck."""

import ctypes
import mmap

import numpy as np
import pyarrow as pa

import gristmill.corpus.text.columns
from gristmill.corpus.text.columns import TextColumn

_libc = ctypes.CDLL(None, use_errno=True)


def guarded_bytes(n_bytes: int) -> np.ndarray:
    """uint8[n_bytes] of zeros that end where a page without any right begins, behind another such page."""
    pages = -(-n_bytes // mmap.PAGESIZE)
    arena = mmap.mmap(-1, (pages + 2) * mmap.PAGESIZE)
    first = ctypes.addressof(ctypes.c_char.from_buffer(arena))
    for page in (0, pages + 1):
        if _libc.mprotect(ctypes.c_void_p(first + page * mmap.PAGESIZE), ctypes.c_size_t(mmap.PAGESIZE), 0):
            raise OSError(ctypes.get_errno(), "mprotect")
    end = (pages + 1) * mmap.PAGESIZE
    return np.frombuffer(arena, np.uint8)[end - n_bytes : end]


def guard_texts() -> None:
    """From now on every text column of this process is such memory."""
    copy = gristmill.corpus.text.columns._copy_buffers

    def copy_guarded(column: pa.LargeStringArray) -> TextColumn:
        text = copy(column)
        data = guarded_bytes(len(text.data))
        data[:] = text.data
        return TextColumn(text.offsets, data)

    gristmill.corpus.text.columns._copy_buffers = copy_guarded
