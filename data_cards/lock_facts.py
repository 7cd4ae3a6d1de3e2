"""What a card reads from a run's lock.json, which it carries as it is."""

from collections.abc import Mapping
from typing import Any

from gristmill.corpus.lock import Lock, LockedFile, LockedPlugin

LockJson = Mapping[str, Any]


def source_files(lock: LockJson) -> dict[str, tuple[LockedFile, ...]]:
    """Input files by source.

    >>> file = {"path": "a", "bytes": 1, "digest": "00", "format": "jsonl"}
    >>> nothing = {"recipe": {}, "artefacts": {}, "stages": {}, "libraries": {}, "plugins": {}}
    >>> source_files({"format": 2, "inputs": {"web": [file]}, **nothing})
    {'web': (LockedFile(path='a', bytes=1, digest='00', format='jsonl'),)}

    Of very many there is one for the list of them.
    """
    read = Lock.from_json(lock)
    found = {source: tuple(files) for source, files in read.inputs.items()}
    for source, many in read.beside.items():
        named = f"{many.files:,} files, listed in {many.listed}"
        found[source] = (LockedFile(named, many.bytes, many.sha256, ", ".join(many.formats)),)
    return {source: found[source] for source in _sources(lock, found)}


def file_counts(lock: LockJson) -> dict[str, int]:
    """How many input files each source has."""
    read = Lock.from_json(lock)
    counts = {source: len(files) for source, files in read.inputs.items()}
    return counts | {source: many.files for source, many in read.beside.items()}


def _sources(lock: LockJson, found: Mapping[str, Any]) -> list[str]:
    """In the order of the lock; that of 0.1.0 has them elsewhere."""
    return [source for source in lock["inputs"] if source in found] or list(found)


def stage_version(lock: LockJson, stage: str) -> str | None:
    """The version of a stage's code; None where the lock of 0.1.0 lacks it (edits, train)."""
    versions = Lock.from_json(lock).stages
    return versions.get(stage, versions.get(stage.split("-")[0]))  # 0.1.0 has one version for all classifiers


def libraries(lock: LockJson) -> dict[str, str]:
    """Versions of the libraries that decide what a stage writes."""
    found = Lock.from_json(lock).libraries.values()
    return {name: version for versions in found for name, version in versions.items()}


def plugins(lock: LockJson) -> Mapping[str, LockedPlugin]:
    """Code from outside by name, with its version and sha256."""
    return Lock.from_json(lock).plugins
