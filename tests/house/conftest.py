"""The files of the house as git lists them, and copies of them that a test may spoil."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gristmill.corpus._rooms import HOUSE

Copy = Callable[..., Path]


def list_tracked() -> list[str]:
    """Paths of all files that git has or would take, sorted; ``.git`` itself is none."""
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    listing = subprocess.run(command, cwd=HOUSE, capture_output=True, text=True, check=True)
    return sorted(
        name for name in listing.stdout.splitlines() if (HOUSE / name).is_symlink() or (HOUSE / name).exists()
    )


@pytest.fixture(scope="session")
def tracked() -> list[str]:
    """Paths of all files of the house."""
    return list_tracked()


@pytest.fixture(scope="session")
def copy_house(tracked: list[str]) -> Copy:
    """``copy_house(to, without=("samples",), links=False)``: the house in another place.

    ``links=False`` writes each link as a small text file, as git does where ``core.symlinks`` is false.
    """

    def copy(to: Path, without: tuple[str, ...] = (), *, links: bool = True) -> Path:
        for name in tracked:
            if Path(name).parts[0] in without:
                continue
            source, target = HOUSE / name, to / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if not source.is_symlink():
                shutil.copy2(source, target)
            elif links:
                target.symlink_to(source.readlink())
            else:
                target.write_text(source.readlink().as_posix())
        return to

    return copy
