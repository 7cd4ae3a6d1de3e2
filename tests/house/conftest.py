"""The files of the house as git lists them, and copies of them that a test may spoil."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gristmill.corpus._rooms import HOUSE

Copy = Callable[..., Path]
# Kernels of a copy are those of the checkout, byte for byte, but numba looks for compiled ones by folder and would make
# them again: 34 CPU s. Its own stamp, a digest of the source, still refuses one that differs.
LOCATOR = """
from pathlib import Path
from numba.core.caching import UserProvidedCacheLocator

class OfTheCheckout(UserProvidedCacheLocator):
    @classmethod
    def get_suitable_cache_subpath(cls, py_file):
        inside = Path(py_file).relative_to({copy!r})
        return super().get_suitable_cache_subpath(str(Path({house!r}) / inside))
"""


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


@pytest.fixture
def borrow_kernels(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], dict[str, str]]:
    """``borrow_kernels(copy)``: environment of a process that finds the kernels of a copy compiled already."""

    def borrow(copy: Path) -> dict[str, str]:
        folder = tmp_path_factory.mktemp("locator")
        (folder / "locator_of_tests.py").write_text(LOCATOR.format(copy=str(copy), house=str(HOUSE)))
        return {"PYTHONPATH": str(folder), "NUMBA_CACHE_LOCATOR_CLASSES": "locator_of_tests.OfTheCheckout"}

    return borrow
