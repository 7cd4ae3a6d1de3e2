"""Folders that a writer is still filling, and which of them are left behind.

A writer holds a lock of the operating system on its folder, which ends with the writer, however it ends. Host names and
process numbers decide nothing: two containers may have the same, and a container that starts again has those of the
dead one.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gristmill.handoff.asides import END as END
from gristmill.handoff.asides import aside_name, locks, unheld
from gristmill.handoff.asides import sweep as sweep


@contextmanager
def filling(parent: Path, name: str) -> Iterator[Path]:
    """A new folder ``parent/.NAME.UNIQUE.tmp``, empty, which ``sweep`` leaves alone until the block ends.

    What the block has not renamed by then is deleted.
    """
    while True:
        aside = aside_name(parent / name)
        aside.mkdir(parents=True)
        handle = os.open(aside, os.O_RDONLY | os.O_CLOEXEC)
        if locks(handle, aside):
            break
        os.close(handle)
    try:
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        os.close(handle)


def is_held(folder: Path) -> bool:
    """True while a writer fills the folder."""
    with unheld(folder) as free:
        return not free and folder.exists()
