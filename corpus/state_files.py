"""Small JSON files that stand by themselves in a home, a run or an export: each is read by its type, or it is damaged.

A file that is torn, empty or of another shape is never taken for one that is not there: what it held is unknown, and
the caller heals it or stops. Tables, receipts and cards are not read here; they have checks of their own.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from gristmill.corpus.errors import DamagedFileError
from gristmill.corpus.typed_json import from_json

T = TypeVar("T")
AGAIN = "run the recipe again, which writes it anew"
Record = Mapping[str, Any]


def read_typed(kind: type[T], path: Path, remedy: str = AGAIN) -> T:
    """What a file says.

    Parameters
    ----------
    kind : what ``typed_json`` can read: a dataclass, a mapping, a tuple
    remedy : what a person can do where it is damaged; the end of the error's sentence

    Raises
    ------
    DamagedFileError : it is no JSON, or JSON of another shape
    FileNotFoundError : it is not there
    """
    try:
        return from_json(kind, json.loads(path.read_text(encoding="utf-8")), path.name)
    except (ValueError, RecursionError) as error:
        raise damaged(path, error, remedy) from None


def read_records(path: Path, name: str, needs: Mapping[str, Any], remedy: str) -> list[Record]:
    """The objects of a list under ``name`` in a file; each holds at least ``needs``, by key and kind of value.

    Raises
    ------
    DamagedFileError : it is no JSON, has no such list, or one of its objects lacks what it needs
    """
    found = read_typed(Mapping[str, tuple[Record, ...]], path, remedy)
    if name not in found:
        raise damaged(path, f"it has no {name}", remedy)
    for place, record in enumerate(found[name]):
        _expect(record, needs, path, f"{name}[{place}]", remedy)
    return list(found[name])


def read_record(path: Path, needs: Mapping[str, Any], remedy: str = AGAIN) -> Record:
    """One object that holds at least ``needs``; errors as ``read_records``."""
    record = read_typed(Record, path, remedy)
    _expect(record, needs, path, path.name, remedy)
    return record


def _expect(record: Record, needs: Mapping[str, Any], path: Path, where: str, remedy: str) -> None:
    try:
        for key, kind in needs.items():
            from_json(kind, record.get(key), f"{where}.{key}")
    except ValueError as error:
        raise damaged(path, error, remedy) from None


def missing(path: Path, witness: str, remedy: str = AGAIN) -> DamagedFileError:
    """The error of a file that was there: ``witness`` says how that is known.

    >>> str(missing(Path("RUN/state.json"), "the run is whole"))
    'RUN/state.json is missing, though the run is whole; run the recipe again, which writes it anew'
    """
    return DamagedFileError(f"{path} is missing, though {witness}; {remedy}")


def damaged(path: Path, problem: object, remedy: str = AGAIN) -> DamagedFileError:
    """The error of a file, with what is wrong and what can be done.

    >>> str(damaged(Path("RUN/lock.json"), KeyError("recipe")))
    "RUN/lock.json is damaged (it has no 'recipe'); run the recipe again, which writes it anew"
    """
    wrong = f"it has no {problem}" if isinstance(problem, KeyError) else str(problem)
    return DamagedFileError(f"{path} is damaged ({wrong}); {remedy}")
