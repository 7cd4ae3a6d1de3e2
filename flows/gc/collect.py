"""``gristmill gc``: runs beyond their retention, entries that no kept run names, and what dead writers left.

It has store and cache alone, so that no run is between making an entry and naming it; runs wait, and where one is at
work nothing is deleted. Whatever is deleted is renamed first: a reader sees all of it or nothing.
"""

import shutil
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from gristmill.corpus.rundir import RunDir
from gristmill.corpus.store import LocalStore
from gristmill.corpus.store_use import alone, written_by_none
from gristmill.corpus.unfinished import END
from gristmill.flows.gc.kept_runs import Retention, kept
from gristmill.flows.pipeline.home_contents import Home, Place, entries_of, place_of, tuned_entries
from gristmill.flows.pipeline.open_context import home as home_folder


def collect(retention: Retention, *, dry_run: bool = False, now: float | None = None) -> dict[str, Any]:
    """Delete what nothing in the home needs any more; with ``dry_run`` only say what that is.

    Returns
    -------
    home, dry_run
    runs_removed : paths of the runs that go; by default none
    runs_kept : why each of the others stays, by its path
    entries_removed : entries that no kept run names, by stage
    unfinished_removed : what dead writers left
    bytes_before, bytes_after : on the disk, a file with several names once

    Raises
    ------
    LockedError : a run uses the store
    StoreError : a manifest of a kept run is damaged, so that what it names is unknown
    """
    home = Home(home_folder().resolve())
    if dry_run or not home.root.exists():
        return _collected(home, retention, now or time.time(), dry_run=True) | {"dry_run": dry_run}
    with ExitStack() as held:
        for store in dict.fromkeys((home.root / "store", *home.stores)):  # a run with a store elsewhere uses the cache
            held.enter_context(alone(store))
        return _collected(home, retention, now or time.time(), dry_run=False) | {"dry_run": False}


def _collected(home: Home, retention: Retention, now: float, *, dry_run: bool) -> dict[str, Any]:
    stays = kept(home.runs, retention, now)
    runs = [run.path for run in home.runs if run.path not in stays]
    named = _named([run for run in home.runs if run.path in stays])
    entries = [entry for entry in home.entries() if place_of(entry) not in named]
    unfinished = list(home.left_behind(now))
    before = disk_bytes(home.root)
    after = before - _freed([*runs, *entries, *unfinished], home.root)
    if not dry_run:
        _delete(runs, entries, unfinished)
        after = disk_bytes(home.root)
    return {
        "home": str(home.root),
        "runs_removed": [str(path) for path in runs],
        "runs_kept": {str(path): reason for path, reason in stays.items()},
        "entries_removed": dict(sorted(Counter(entry.parent.name for entry in entries).items())),
        "unfinished_removed": len(unfinished),
        "bytes_before": before,
        "bytes_after": after,
    }


def _named(runs: list[RunDir]) -> set[Place]:
    """What the runs need: what their manifests name, and proxy runs, so that a tuning that was stopped goes on."""
    return entries_of(runs) | tuned_entries(runs)


def _delete(runs: Iterable[Path], entries: Iterable[Path], unfinished: Iterable[Path]) -> None:
    for run in runs:
        aside = run.with_name(f".{run.name}.{uuid.uuid4().hex}{END}")
        with written_by_none(run) as free:
            if free:
                run.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
    for entry in entries:
        LocalStore(entry.parents[1]).discard(*place_of(entry))
    for path in unfinished:
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def disk_bytes(root: Path) -> int:
    """Bytes of all files below a folder; one with several names counts once."""
    return sum({place: size for place, size, _ in _files(root)}.values())


def _freed(gone: list[Path], root: Path) -> int:
    """Bytes of the files all of whose names lie in ``gone``."""
    inside = Counter(place for path in gone for place, *_ in _files(path))
    sizes = {place: (size, links) for place, size, links in _files(root)}
    return sum(sizes[place][0] for place, names in inside.items() if place in sizes and names >= sizes[place][1])


def _files(root: Path) -> Iterator[tuple[tuple[int, int], int, int]]:
    """Device and inode, bytes, and number of names of every file."""
    for path in root.rglob("*") if root.is_dir() else [root]:
        if path.is_file() and not path.is_symlink():
            status = path.stat()
            yield (status.st_dev, status.st_ino), status.st_size, status.st_nlink
