"""Whether the disk has room for what a run is going to write, as far as that is known before it is written."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from gristmill.corpus.errors import DamagedEntryError, StoreError
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.jobs import Job

BYTES_PER_INPUT = 3.0  # of store and runs, to one of input: 2.3 for 120 MB of JSONL with every stage but the trainer
PACKED = 3.0  # what an archive unpacks to, and more of it is written
LEAST_BYTES = 64 << 20  # tokenizer, card, checkpoints of a small model


def refuse_full_disk(context: RunContext, jobs: Sequence[Job]) -> None:
    """Compare the free bytes of the disk with what reading ``jobs`` that the store lacks will lead to.

    Raises
    ------
    StoreError : too few; names both figures and the key that lets the run begin all the same
    """
    needed = sum(job.n_bytes * _packed(job) for job in jobs if _is_new(context, job)) * BYTES_PER_INPUT
    if not needed or not context.recipe.store.check_space:
        return
    needed, free = int(needed) + LEAST_BYTES, free_bytes(context.store.root)
    if needed > free:
        raise StoreError(
            f"{context.store.root} has {free / 1e9:.2f} GB free, and about {needed / 1e9:.2f} GB would be written. "
            "Make room (`gristmill gc`), or set store.check_space = false to begin all the same"
        )


def _packed(job: Job) -> float:
    files = job.arguments.get("files", ())
    return PACKED if any(file.path.endswith((".gz", ".zst", ".bz2", ".xz", ".parquet")) for file in files) else 1.0


def _is_new(context: RunContext, job: Job) -> bool:
    try:
        return context.store.find(job.stage, job.key) is None
    except DamagedEntryError:
        return True


def free_bytes(folder: Path) -> int:
    """Free bytes of the disk that a folder is on, or will be on."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
