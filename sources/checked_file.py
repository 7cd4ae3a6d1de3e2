"""Inputs are read as they were listed or not at all: every block is compared before a reader sees a byte of it.

A part is kept in the store under the digests of its files. A file that changes between its listing and its reading,
even if it is put back afterwards, would keep other text under them for good. Where an object store's ETag stands for
the content, it is asked for before and after the reading, and ``s3fs`` reads under the condition that it still holds.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, BinaryIO

from gristmill.corpus.errors import ChangedInputError
from gristmill.sources.content import BLOCK_BYTES, Content
from gristmill.sources.folders import is_remote, open_binary, server_content
from gristmill.sources.listing import InputFile

_FOUND: ContextVar[list[Exception] | None] = ContextVar("found", default=None)


def open_checked(file: InputFile) -> BinaryIO:
    """Open a listed file as it is; what is read of it is compared with its listing.

    Raises
    ------
    ChangedInputError : it is gone, or an object store says that it is another one; later: a block is another one
    OSError : it cannot be opened
    """
    if file.content is None:  # it was never listed
        return open_binary(file.lies_at)
    try:
        if file.content.by_server:
            return _ServerFile(file.lies_at, file.content)
        return io.BufferedReader(_CheckedFile(file.lies_at, file.content), BLOCK_BYTES)
    except FileNotFoundError:
        raise _noted(ChangedInputError(f"{file.lies_at} was deleted after it was listed")) from None


@contextmanager
def as_listed(file: InputFile) -> Iterator[None]:
    """Reading of ``file``: whatever a reader made of it, bytes that changed or could not be read are an error.

    Readers take a table that ends early for a damaged one, and code from outside may pass over any error.

    Raises
    ------
    ChangedInputError : the file is not what was listed
    OSError : it could not be read to the end
    """
    found: list[Exception] = []
    token = _FOUND.set(found)
    try:
        yield
    except Exception as error:
        if found:
            raise found[0] from error
        raise
    finally:
        _FOUND.reset(token)
    if found:
        raise found[0]
    _check_size(file)


def _check_size(file: InputFile) -> None:
    """What was appended is in no block."""
    content = file.content
    if content is None or content.by_server or is_remote(file.lies_at):
        return
    try:
        size = Path(file.lies_at).stat().st_size
    except FileNotFoundError:
        return  # every byte that was read was the right one
    if size != content.size:
        raise ChangedInputError(f"{file.lies_at} had {content.size} bytes when it was listed, and has {size} now")


def _noted(error: Exception) -> Exception:
    found = _FOUND.get()
    if found is not None:
        found.append(error)
    return error


def _failed(error: Exception) -> Exception:
    """Of a disk or a server; libraries of servers have kinds of their own."""
    return _noted(error if isinstance(error, OSError) else OSError(f"{type(error).__name__}: {error}"))


class _CheckedFile(io.RawIOBase):
    """Blocks of a file, each compared with its listing; whole blocks go to the caller without a copy."""

    def __init__(self, path: str, content: Content):
        self._path = path
        self._content = content
        self._source = open_binary(path)
        self._at = 0
        self._number, self._block = -1, b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._content.size}[whence]
        self._at = max(start + offset, 0)
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        number, skip = divmod(self._at, BLOCK_BYTES)
        if self._at >= self._content.size:
            return 0
        view = memoryview(buffer).cast("B")
        size = self._content.block_bytes(number)
        if not skip and len(view) >= size:
            self._read(number, view[:size])
        else:
            view, size = view[: size - skip], min(size - skip, len(view))
            view[:size] = self._kept(number)[skip : skip + size]
        self._at += size
        return size

    def _kept(self, number: int) -> bytes:
        """The block that small reads come from."""
        if number != self._number:
            block = bytearray(self._content.block_bytes(number))
            self._read(number, memoryview(block))
            self._number, self._block = number, bytes(block)
        return self._block

    def _read(self, number: int, into: memoryview) -> None:
        try:
            self._source.seek(number * BLOCK_BYTES)
            got = 0
            while got < len(into) and (n := self._source.readinto(into[got:])):  # type: ignore[attr-defined]
                got += n
        except Exception as error:
            raise _failed(error) from error
        if not self._content.has(number, into[:got]):
            raise _noted(ChangedInputError(f"{self._path} changed after it was listed"))

    def close(self) -> None:
        self._source.close()
        super().close()


class _ServerFile(io.BufferedReader):
    """A file of which an object store vouches for the content."""

    def __init__(self, path: str, content: Content):
        self._path, self._content = path, content
        self._check()
        super().__init__(_Remembering(open_binary(path)), BLOCK_BYTES)

    def _check(self) -> None:
        now = server_content(self._path)
        if now != self._content:
            raise _noted(ChangedInputError(f"{self._path} is not the object that was listed: its ETag is another one"))

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._check()


class _Remembering(io.RawIOBase):
    """A remote file whose failures are noted, so that no reader takes them for damage of the file."""

    def __init__(self, source: Any):
        self._source = source

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._source.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._source.seek(offset, whence)

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        try:
            data = self._source.read(len(view))
        except Exception as error:
            raise _failed(error) from error
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._source.close()
        super().close()
