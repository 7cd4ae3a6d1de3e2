"""Names that people type: whole, the beginning of an id, or the id that an input gave its record."""

import re
from bisect import bisect
from collections.abc import Sequence

import pyarrow as pa

from gristmill.corpus.errors import AmbiguousNameError, UnknownNameError

PREFIX_CHARS = 4  # fewer fit too much: of 256 runs, two begin alike in two characters
_PREFIX = re.compile(f"[0-9a-f]{{{PREFIX_CHARS},32}}")
_NEAR = 2  # ids on each side that an error compares; difflib over a million of them takes a minute


def is_prefix(name: str) -> bool:
    """True for what may be the beginning of an id.

    >>> is_prefix("3f2a"), is_prefix("3f2"), is_prefix("web.jsonl:3")
    (True, False, False)
    """
    return _PREFIX.fullmatch(name) is not None


def own_ids(meta: pa.ChunkedArray) -> pa.ChunkedArray:
    """The id that the input gave each document, as text; null for one without.

    Parameters
    ----------
    meta : JSON objects, as documents have them; "id" of the object itself counts, not of one inside it

    >>> own_ids(pa.chunked_array([['{"id":12}', '{"id":"a"}', '{"user":{"id":"b"}}', None]])).to_pylist()
    ['12', 'a', None, None]
    """
    import polars as pl

    return pa.chunked_array([pl.Series(meta, dtype=pl.String).str.json_path_match("$.id").to_arrow().cast(pa.string())])


def id_named(kind: str, name: str, ids: Sequence[str]) -> str:
    """The one id that this is, or begins.

    Parameters
    ----------
    kind : what the ids name, for the message
    ids : all ids, in any order

    Raises
    ------
    UnknownNameError : none; with the nearest in the alphabet
    AmbiguousNameError : several

    >>> id_named("run", "3f2a", ["3f2a99", "77aa00"])
    '3f2a99'
    """
    ordered = sorted(set(ids))
    fits = [one for one in ordered if one.startswith(name)] if is_prefix(name) else []
    if name in ordered:
        return name
    if len(fits) > 1:
        raise AmbiguousNameError(kind, name, fits)
    if not fits:
        at = bisect(ordered, name)
        raise UnknownNameError(kind, name, ordered[max(0, at - _NEAR) : at + _NEAR])
    return fits[0]
