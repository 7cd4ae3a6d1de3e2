"""The front door: version and command line. The rooms stand beside this folder, once installed inside it."""

from pathlib import Path

if __name__ != "gristmill":
    raise ImportError(f"import gristmill, not {__name__}: a module has one name")
__version__ = "0.1.0"
_here = Path(__file__).parent
if (_here / "corpus").is_symlink() or not (_here / "corpus").is_dir():  # a checkout: modules bear their true paths
    __path__.insert(0, str(_here.parent))  # the links are for tools that only read: pyright, import-linter, ruff
