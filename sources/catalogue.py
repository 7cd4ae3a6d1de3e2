"""The readers there are: a name, the file names it is known by, and where its function stands.

Importing this module imports no library: a reader's function is looked up when the first file is read. Every other
module of the room (listing, reading, the recipe's formats) goes over ``readers()``; there is no second table.
"""

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

from gristmill.corpus.errors import SourceError, nearest
from gristmill.sources.reader import Reader, Record, Reject

__all__ = ["Reader", "Record", "Reject", "find_reader", "load_function", "reader_names", "readers", "with_readers"]


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
