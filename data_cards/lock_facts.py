"""What a card reads from a run's lock.json, of format 1 (0.1.0) and of format 2."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Lock = Mapping[str, Any]  # carried as it is


@dataclass(frozen=True, slots=True)
class InputFile:
    """One input file: its path as the recipe leads to it, and a digest of its bytes."""

    path: str
    bytes: int
    digest: str
    format: str | None


def source_files(lock: Lock) -> dict[str, tuple[InputFile, ...]]:
    """Input files by source.

    >>> file = {"path": "a", "bytes": 1, "digest": "00", "format": "jsonl"}
    >>> source_files({"format": 2, "inputs": {"web": [file]}})
    {'web': (InputFile(path='a', bytes=1, digest='00', format='jsonl'),)}
    """
    inputs = lock["inputs"]["files"] if lock["format"] == 1 else lock["inputs"]
    return {source: tuple(_input_file(file) for file in files) for source, files in inputs.items()}


def _input_file(file: Mapping[str, Any]) -> InputFile:
    return InputFile(file["path"], file["bytes"], file["digest"], file.get("format"))


def stage_version(lock: Lock, stage: str) -> str | None:
    """The version of a stage's code; None where the lock of 0.1.0 lacks it (edits, train).

    >>> stage_version({"format": 2, "stages": {"pii": "2"}}, "pii")
    '2'
    """
    versions = lock["versions"]["stages"] if lock["format"] == 1 else lock["stages"]
    return versions.get(stage, versions.get(stage.removesuffix("s")))  # 0.1.0 has classifier for classifiers


def libraries(lock: Lock) -> dict[str, str]:
    """Versions of the libraries that decide the text of a document."""
    return dict(lock["versions"]["libraries"] if lock["format"] == 1 else lock["libraries"])
