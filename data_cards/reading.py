"""What a card is gathered from: a run's receipts, its tables in the store, and the files that it hands over."""

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from gristmill.corpus.files import read_json
from gristmill.corpus.receipt import Manifest, Receipt
from gristmill.corpus.rundir import RunDir
from gristmill.corpus.typed_json import from_json

CARD_STAGE = "card"
FolderOf = Callable[[Receipt], Path]
F = TypeVar("F")


class Reading:
    """A run as a card reads it: each manifest and its facts once, nothing that writing a card left behind."""

    def __init__(self, run: RunDir, folder_of: FolderOf):
        self.run, self._folder_of = run, folder_of
        self._manifests: dict[str, Manifest] = {}
        self._facts: dict[tuple[str, type], list[Any]] = {}

    @cached_property
    def lock(self) -> dict[str, Any]:
        """lock.json, carried as it is."""
        return read_json(self.run.path / "lock.json")

    @property
    def recipe(self) -> Mapping[str, Any]:
        """The recipe that the lock holds."""
        return self.lock["recipe"]

    def has(self, stage: str) -> bool:
        """True when the stage is done in this run."""
        return self.run.has(stage)

    def manifest(self, stage: str) -> Manifest:
        """The manifest of a stage; StoreError when the run has not come that far."""
        if stage not in self._manifests:
            self._manifests[stage] = self.run.manifest(stage)
        return self._manifests[stage]

    def finished(self) -> list[Manifest]:
        """The manifests that the run has, in the order of the stages; the card itself is not among them."""
        return [self.manifest(name) for name in self.run.stages.names if name != CARD_STAGE and self.has(name)]

    def facts(self, stage: str, kind: type[F]) -> list[F]:
        """What the receipts of a stage say, part by part; empty when the stage did not run."""
        if not self.has(stage):
            return []
        if (stage, kind) not in self._facts:
            parts = enumerate(self.manifest(stage).parts)
            found = [from_json(kind, part.facts, f"receipt of {stage}, part {place}") for place, part in parts]
            self._facts[stage, kind] = found
        return self._facts[stage, kind]

    def fact(self, stage: str, kind: type[F]) -> F | None:
        """What the one receipt of a stage says; None when the stage did not run."""
        return next(iter(self.facts(stage, kind)), None)

    def tables(self, stage: str, file: str) -> list[Path]:
        """A file of every part of a stage, in order."""
        return [self._folder_of(part) / file for part in self.manifest(stage).parts]

    def table(self, stage: str, file: str) -> Path:
        """A file of a stage that has one part."""
        return self.tables(stage, file)[0]
