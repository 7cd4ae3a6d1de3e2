"""Durable files: write aside, fsync, rename, fsync the folder; digests; canonical JSON."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from gristmill.handoff.asides import beside
from gristmill.handoff.failures import DamagedFileError

CHUNK_BYTES = 1 << 20


def canonical_json(value: Any) -> str:
    """One text per value: sorted keys, no spaces, no NaN.

    >>> canonical_json({"b": 1, "a": [1.5, None]})
    '{"a":[1.5,null],"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def content_key(value: Any) -> str:
    """32 hex characters naming ``value``: the first half of the sha256 of its canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:32]


def file_sha256(path: Path) -> str:
    """sha256 of a file, read in blocks of 1 MiB."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fsync_path(path: Path) -> None:
    """Flush a file or a folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` so that a reader sees the old file or the new one, never a part.

    An error leaves nothing aside; what a writer of the file left that was killed, the next one deletes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with beside(path) as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())
        Path(file.name).replace(path)
    fsync_path(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Write readable JSON with sorted keys, durably."""
    write_text(path, json_text(value))


def json_text(value: Any) -> str:
    """Readable JSON with sorted keys, as it stands in a file."""
    return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def read_json(path: Path) -> dict[str, Any]:
    """Read one JSON object.

    Raises
    ------
    DamagedFileError : what stands in the file is no JSON: it is torn, empty, or not text
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(f"{path} is no JSON: {error}") from None
