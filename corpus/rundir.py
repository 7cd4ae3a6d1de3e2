"""A run directory: one recipe's lock, the manifests that name its store entries, and what a trainer is handed.

``<runs>/<recipe name>/<run id>/``: recipe.toml lock.json manifests/*.json shards/ heldout/ plan/ card/ train/ rejects/
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from gristmill.corpus.entry_check import RECEIPT
from gristmill.corpus.errors import StoreError
from gristmill.corpus.files import read_json, write_json, write_text
from gristmill.corpus.lock import Lock
from gristmill.corpus.receipt import Manifest
from gristmill.corpus.run_stages import STAGES_FILE, RunStages
from gristmill.corpus.stage import Plugin
from gristmill.corpus.state_files import Record, damaged, missing, read_records
from gristmill.corpus.unfinished import END, sweep

RECIPE_FILE = "recipe.toml"
PLUGINS = "plugins"  # files of plug-ins, so that the run can be made again
EXPORTS = "exports.json"  # where text of the run was exported to
EXPORTS_LOST = "put it back from a copy, or write each folder with an export into it: no takedown reaches them"
TAKEDOWN = "takedown.json"  # the record of documents removed from a run
JOURNAL = ".takedown"  # folder of a takedown that is at work, or was stopped
TAKEN_DOWN = "takedown"  # the reason under which receipts of documents count what was removed
OF_TAKEDOWN = {"date": str, "removed": tuple[str, ...]}  # keys that each record has
TAKEDOWNS_LOST = "put it back from a copy: it alone says what was taken down from this run"
SHAPE = (ValueError, KeyError, TypeError, AttributeError)  # of JSON that is not as it was written


class RunDir:
    """Paths and manifests of one run."""

    def __init__(self, path: Path):
        self.path = path

    @classmethod
    def create(cls, runs: Path, name: str, recipe_text: str, lock: Lock, plugins: Sequence[Plugin] = ()) -> "RunDir":
        """Make, or find again, the directory of this recipe on these inputs. Files of plug-ins are kept in it."""
        run = cls(runs / name / lock.run_id)
        run.path.mkdir(parents=True, exist_ok=True)
        run.describe({RECIPE_FILE: recipe_text})
        for listed, text in lock.lists.items():
            write_text(run.path / listed, text)
        write_json(run.path / "lock.json", lock.to_json())
        for plugin in plugins:
            if plugin.source is not None:
                write_text(run.path / PLUGINS / f"{plugin.name}.py", plugin.source)
        return run

    def describe(self, files: Mapping[str, str], *, with_card: bool = False) -> None:
        """Write files that decide nothing of the corpus and that its card repeats; by name, with their text.

        While the run has a card they stay as they are, also where the text is another one by now: the card would be of
        another run then. ``with_card``: the caller writes the card next, and until that is done there is none.
        """
        changed = {name: text for name, text in files.items() if self._text_of(name) != text}
        if changed and with_card:
            self.forget("card")
        for name, text in changed.items():
            if with_card or not self.has("card") or self._text_of(name) is None:
                write_text(self.path / name, text)

    def _text_of(self, name: str) -> str | None:
        try:
            return (self.path / name).read_text(encoding="utf-8")
        except (FileNotFoundError, UnicodeDecodeError):
            return None

    @classmethod
    def open(cls, path: Path) -> "RunDir":
        """An existing run; StoreError when ``path`` is none."""
        if not (path / "lock.json").exists():
            raise StoreError(
                f"{path} is not a run directory: it has no lock.json. `gristmill run RECIPE` prints its run's path."
            )
        return cls(path)

    @property
    def lock(self) -> Lock:
        """The lock: recipe, digests of inputs and artefacts, versions; StoreError when the file is damaged."""
        return self._read_lock(self.path)

    @property
    def brief_lock(self) -> Lock:
        """The same without the files of sources that have very many: their lists are compared, and not read.

        100,000 files are 90 MB of objects, which few who ask for a version or a digest need.
        """
        lock = self._read_lock(None)
        for many in lock.beside.values():
            many.expect_list(self.path)
        return lock

    def _read_lock(self, lists: Path | None) -> Lock:
        path = self.path / "lock.json"
        try:
            return Lock.from_json(read_json(path), lists)
        except SHAPE as error:
            raise damaged(path, error) from error

    @property
    def exports(self) -> list[str]:
        """Folders that text of the run was exported to and that are still there: copies, which no takedown reaches."""
        return [one["folder"] for one in self.export_records if Path(one["folder"]).exists()]

    @property
    def export_records(self) -> list[Record]:
        """What ``gristmill export`` recorded, oldest first; DamagedFileError where that cannot be known."""
        path = self.path / EXPORTS
        return read_records(path, "exports", {"folder": str}, EXPORTS_LOST) if path.exists() else []

    @property
    def stages(self) -> RunStages:
        """The stages of the run, in order; StoreError when the file is damaged."""
        path = self.path / STAGES_FILE
        try:
            return RunStages.from_json(read_json(path))
        except SHAPE as error:
            raise damaged(path, error) from None

    @property
    def takedowns(self) -> list[Record]:
        """What ``gristmill takedown`` recorded, oldest first; empty for a run that had none.

        Raises
        ------
        DamagedFileError : the file does not say what was taken down, or is gone while receipts count it
        """
        path = self.path / TAKEDOWN
        if path.exists():
            return read_records(path, "takedowns", OF_TAKEDOWN, TAKEDOWNS_LOST)
        if self._counts_removed() and not (self.path / JOURNAL).exists():
            raise missing(path, "receipts of documents count what was taken down", TAKEDOWNS_LOST)
        return []

    @property
    def was_taken_down(self) -> bool:
        """True where documents were removed, or are about to be: its inputs may hold them still."""
        return (self.path / TAKEDOWN).exists() or (self.path / JOURNAL).exists() or self._counts_removed()

    def _counts_removed(self) -> bool:
        """Whether a receipt of documents counts some under TAKEN_DOWN; False where the manifest is damaged."""
        with suppress(StoreError):
            parts = self.manifest("documents").parts if self.has("documents") else ()
            return any(TAKEN_DOWN in part.facts.get("skipped", {}) for part in parts)
        return False

    def write_manifest(self, manifest: Manifest) -> None:
        """Record a finished stage."""
        write_json(self.manifest_path(manifest.stage), manifest.to_json())

    def manifest_path(self, stage: str) -> Path:
        """Where the manifest of a stage stands, once it is done."""
        return self.path / "manifests" / f"{stage}.json"

    def manifest(self, stage: str) -> Manifest:
        """The manifest of a finished stage; StoreError when the run has not come that far, or it is damaged."""
        path = self.manifest_path(stage)
        if not path.exists():
            raise StoreError(f"{self.path} has no {stage} yet; `gristmill run` its recipe first")
        try:
            return Manifest.from_json(read_json(path))
        except SHAPE as error:
            raise damaged(path, error) from None

    def has(self, stage: str) -> bool:
        """True when the stage is done in this run."""
        return self.manifest_path(stage).exists()

    def forget(self, stage: str) -> None:
        """The stage is not done in this run any more."""
        self.manifest_path(stage).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Delete what dead writers left aside, at any depth; only for the holder of the run's lock."""
        sweep(list(self.path.rglob(f".*{END}")))

    def place(self, entry: Path, name: str, *others: Path) -> Path:
        """Give the run the files of a store entry, and of others beside them, under ``name``.

        They are hard links, or copies across devices, and no symbolic link: the directory can be copied away and the
        store deleted.
        """
        final, aside = self.path / name, self.path / f".{name.replace('/', '~')}.{os.getpid()}.tmp"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        for one in (entry, *others):
            for path in sorted(path for path in one.rglob("*") if path.is_file() and path.name != RECEIPT):
                target = aside / path.relative_to(one)
                target.parent.mkdir(parents=True, exist_ok=True)
                _link_or_copy(path, target)  # one error, and the system's; copytree gathers texts
        shutil.rmtree(final, ignore_errors=True)
        final.parent.mkdir(parents=True, exist_ok=True)
        aside.rename(final)
        return final


def _link_or_copy(source: Path, target: Path) -> None:
    """A later file replaces one of its name: copied over, it would change the entry that the first is a link to."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
