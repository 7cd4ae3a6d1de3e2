"""The readers there are: a name, the file names it is known by, and where its function stands.

Importing this module imports no library: a reader's function is looked up when the first file is read. Every other
module of the room (listing, reading, the recipe's formats) goes over ``readers()``; there is no second table.
"""

import importlib
import importlib.util
import pkgutil
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from gristmill.corpus.errors import SourceError, nearest

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_FUNCTION = re.compile(r"(?P<module>[^:]+|.+\.py):(?P<function>[A-Za-z_]\w*)")


@dataclass(frozen=True, slots=True)
class Reader:
    """One format. ``read`` is "module:function" or "folder/file.py:function".

    The function takes ``(file, source, limits)`` and yields a ``Record`` or a ``Reject`` for each record of the file
    (``gristmill.sources.outside``). With ``fills_part`` it takes ``(file, source, part)`` and adds to the ``Part``
    itself, in columns: the built-in readers. A Record for each document costs JSON Lines 7 to 16 % more CPU time.
    """

    name: str  # format = "NAME" in a recipe
    suffixes: tuple[str, ...]  # ".jsonl"; they tell the format of a file, behind .gz, .zst, .bz2 or .xz
    version: str  # raised when the same file gives other documents
    read: str
    names: str | None = None  # pattern of whole file names, without case: LICENSE, README-de
    packed: bool = True  # False: the file is read by seeking in it, so it cannot lie behind .gz
    fills_part: bool = False
    split: str | None = None  # "module:function" that finds pieces of a big file; see ``gristmill.sources.splitting``

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise SourceError(f"reader {self.name!r}: a name holds a to z, 0 to 9, _ and - alone")
        if not _FUNCTION.fullmatch(self.read):
            raise SourceError(f"reader {self.name!r}: read = {self.read!r} is not module:function")
        wrong = next((end for end in self.suffixes if not end.startswith(".") or end != end.lower()), None)
        if wrong is not None:
            raise SourceError(f"reader {self.name!r}: suffix {wrong!r} does not begin with a dot, or has capitals")

    def match(self, name: str) -> int:
        """How much of a file's name, without .gz and its like, tells this format, in characters; 0 for none of it.

        >>> Reader("wet", (".wet",), "1", "m:read").match("a.warc.wet")
        4
        """
        ends = [len(end) for end in self.suffixes if name.lower().endswith(end) and len(name) > len(end)]
        whole = self.names is not None and re.fullmatch(self.names, name, re.IGNORECASE) is not None
        return max(ends, default=int(whole))


@dataclass(frozen=True, slots=True)
class Record:
    """One document as a reader from outside gives it."""

    text: str
    id: str | None = None  # the input's own identifier; stands in meta
    metadata: Mapping[str, Any] = field(default_factory=dict)  # url, lang, license, created fill columns; else meta
    n_bytes: int | None = None  # raw size of the record; the UTF-8 bytes of the text when left out


@dataclass(frozen=True, slots=True)
class Reject:
    """One record that is no document. ``reason`` is a short slug such as not_json, ``detail`` is for a person."""

    reason: str
    detail: str | None = None
    n_bytes: int = 0  # raw size of the record
    head: bytes = b""  # its first bytes


class RejectError(Exception):
    """Says why a record is no document; never leaves the room."""

    def __init__(self, reason: str, detail: str | None = None, n_bytes: int = 0):
        super().__init__(reason)
        self.reason = reason
        self.detail = detail
        self.n_bytes = n_bytes  # size of the record where the caller does not hold it whole


@cache
def readers() -> tuple[Reader, ...]:
    """Every reader that a module of ``gristmill.sources.readers`` declares, in the order of the modules' names."""
    from gristmill.sources import readers as folder

    names = sorted(module.name for module in pkgutil.iter_modules(folder.__path__))
    modules = [importlib.import_module(f"{folder.__name__}.{name}") for name in names]
    return _checked(reader for module in modules for reader in module.READERS)


def with_readers(extra: Iterable[Reader]) -> tuple[Reader, ...]:
    """All readers, with those of plug-ins; SourceError when two have one name or one suffix.

    >>> [reader.name for reader in with_readers([Reader("rtf", (".rtf",), "1", "my_rtf:read")])][-1]
    'rtf'
    """
    return _checked([*readers(), *extra])


def reader_names(extra: Iterable[Reader] = ()) -> tuple[str, ...]:
    """What ``format`` of a source may be, beside "graph".

    >>> reader_names()
    ('jsonl', 'parquet', 'csv', 'text', 'html', 'warc', 'wet', 'arrow')
    """
    return tuple(reader.name for reader in with_readers(extra))


def find_reader(name: str, source: str, extra: Iterable[Reader] = ()) -> Reader:
    """The reader of a format; SourceError that names the nearest when there is none."""
    known = {reader.name: reader for reader in with_readers(extra)}
    if name not in known:
        raise SourceError(f"sources.{source}.format: no reader for {name!r}{nearest(name, known)}")
    return known[name]


def load_function(reader: Reader) -> Callable[..., Any]:
    """The function that ``reader.read`` names; SourceError when it cannot be imported."""
    module, _, name = reader.read.rpartition(":")
    try:
        found = getattr(_load_file(module) if module.endswith(".py") else importlib.import_module(module), name)
    except Exception as error:  # a plug-in may raise anything
        raise SourceError(f"reader {reader.name!r}: cannot import {reader.read}: {error}") from error
    if not callable(found):
        raise SourceError(f"reader {reader.name!r}: {reader.read} is no function")
    return found


@cache
def _load_file(path: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"gristmill_reader_{Path(path).stem}", path)
    assert spec is not None  # the name ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _checked(found: Iterable[Reader]) -> tuple[Reader, ...]:
    owners: dict[str, Reader] = {}
    all_readers = tuple(found)
    for reader in all_readers:
        for what in (reader.name, *reader.suffixes):
            other = owners.setdefault(what, reader)
            if other is not reader:
                raise SourceError(f"readers {other.name!r} ({other.read}) and {reader.read!r} both claim {what!r}")
    return all_readers
