"""A reader from outside: what its function yields becomes documents and rejects, under the laws of every format.

Its text is brought to NFC, its limits are those of the source, its locators are ``path#n``, from 0. Whatever it
does wrong (raises, yields something else, gives a wrong type) is one SourceError that names it.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gristmill.corpus.errors import GristmillError, SourceError, first_line
from gristmill.sources.fields import columns_of
from gristmill.sources.listing import InputFile
from gristmill.sources.opening import Stream, open_raw, open_stream
from gristmill.sources.part import Part
from gristmill.sources.reader import Reader, Record, Reject, RejectError
from gristmill.sources.spec import ReadSpec

_REASON = re.compile(r"[a-z0-9][a-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """How much of a hostile input is read; ``[limits]`` of the recipe."""

    document_bytes: int  # of UTF-8 text; larger texts are rejected behind the reader
    record_bytes: int  # of raw input
    expanded_ratio: int  # kept by SourceFile.open
    json_depth: int


class SourceFile:
    """A file as a reader from outside sees it. What it opens is closed behind it, and a damaged archive counted."""

    def __init__(self, file: InputFile, source: ReadSpec):
        self.path = file.path
        self.bytes = file.bytes
        self.streams: list[Stream] = []
        self._file = file
        self._source = source

    def open(self) -> Stream:
        """The unpacked bytes; they end early where the archive is damaged or unpacks beyond its limit."""
        self.streams.append(open_stream(self._file, self._source))
        return self.streams[-1]

    def open_raw(self) -> Any:
        """The bytes as they lie; for formats that are read by seeking."""
        return open_raw(self._file, self._source)


def read_with(reader: Reader, function: Callable[..., Any], file: InputFile, part: Part) -> None:
    """Add every record that ``function`` yields for ``file`` to ``part``."""
    spec = part.spec
    opened = SourceFile(file, spec)
    limits = ReadLimits(spec.document_bytes, spec.record_bytes, spec.expanded_ratio, spec.json_depth)
    row = -1
    try:
        for row, item in enumerate(_items(reader, file, lambda: function(opened, spec, limits))):
            _add(item, f"{file.path}#{row}", part, lambda why: _wrong(reader, file, why))
        damage = next((stream for stream in opened.streams if stream.damage), None)
        if damage is not None:
            part.reject_damage(damage, f"{file.path}#{row + 1}")
    finally:
        for stream in opened.streams:
            stream.close()


def _items(reader: Reader, file: InputFile, start: Callable[[], Iterable[object]]) -> Iterator[object]:
    """What the function yields; anything it raises but an error of ours is a SourceError."""
    try:
        yield from iter(start())
    except GristmillError:
        raise
    except (Exception, SystemExit) as error:
        raise _wrong(reader, file, f"raised {type(error).__name__}: {error}") from error


def _add(item: object, locator: str, part: Part, wrong: Callable[[str], SourceError]) -> None:
    if type(item) is Reject:
        if type(item.reason) is not str or not _REASON.fullmatch(item.reason):
            raise wrong(f"gives the reason {item.reason!r}, not a slug such as not_json")
        if type(item.n_bytes) is not int or item.n_bytes < 0 or type(item.head) is not bytes:
            raise wrong(f"gives a reject with n_bytes {item.n_bytes!r} and head {type(item.head).__name__}")
        detail = None if item.detail is None else str(item.detail)
        part.reject(locator, item.n_bytes, item.reason, detail, item.head)
    elif type(item) is Record:
        _add_record(item, locator, part, wrong)
    else:
        raise wrong(f"yields {type(item).__name__}, not Record or Reject")


def _add_record(record: Record, locator: str, part: Part, wrong: Callable[[str], SourceError]) -> None:
    if type(record.text) is not str:
        raise wrong(f"gives a text of type {type(record.text).__name__}, not str")
    if not isinstance(record.metadata, Mapping) or not all(type(name) is str for name in record.metadata):
        raise wrong("gives metadata that is no mapping with names of type str")
    n_bytes = record.n_bytes
    if n_bytes is not None and (type(n_bytes) is not int or n_bytes < 0):
        raise wrong(f"gives a record of {n_bytes!r} bytes")
    try:
        size = len(record.text.encode()) if n_bytes is None else n_bytes
        record.text.encode()
        more = {} if record.id is None else {"id": record.id}
        part.add(locator, size, *columns_of(record.text, {**record.metadata, **more}))
    except UnicodeEncodeError as error:
        part.reject(locator, n_bytes or len(record.text), "lone_surrogate", str(error))
    except RejectError as error:
        part.reject(locator, size, error.reason, error.detail)
    except TypeError as error:
        raise wrong(f"gives metadata with {error}") from None


def _wrong(reader: Reader, file: InputFile, why: str) -> SourceError:
    return SourceError(f"reader {reader.name!r} ({reader.read}) {first_line(why)}, in {file.path}")
