"""What a reader is, and what one from outside yields: the types, and nothing that imports a library."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gristmill.corpus.errors import SourceError

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_FUNCTION = re.compile(r"(?P<module>[^:]*|.+\.py):(?P<function>[A-Za-z_]\w*)")


@dataclass(frozen=True, slots=True)
class Reader:
    """One format. ``read`` is "module:function" or "folder/file.py:function", in a plug-in ":function" is of its own.

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
