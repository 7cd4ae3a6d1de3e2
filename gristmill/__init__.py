"""The front door: version, command line, Python interface.

The rooms stand beside this folder, once installed inside it.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gristmill.corpus import errors as errors
    from gristmill.finished_run import Run as Run
    from gristmill.interface import open as open  # noqa: A004  its name in notebooks
    from gristmill.interface import run as run
    from gristmill.part_table import PartTable as PartTable

if __name__ != "gristmill":
    raise ImportError(f"import gristmill, not {__name__}: a module has one name")
__version__ = "0.1.0"
_here = Path(__file__).parent
if (_here / "corpus").is_symlink() or not (_here / "corpus").is_dir():  # a checkout: modules bear their true paths
    __path__.insert(0, str(_here.parent))  # the links are for tools that only read: pyright, import-linter, ruff

from gristmill import corpus as _corpus  # noqa: E402, F401  before any room imports numba: it says where kernels are kept

_INTERFACE = {
    "PartTable": "gristmill.part_table:PartTable",
    "Run": "gristmill.finished_run:Run",
    "errors": "gristmill.corpus.errors:",
    "open": "gristmill.interface:open",
    "run": "gristmill.interface:run",
}


def __getattr__(name: str) -> Any:
    """The Python interface, loaded when it is first used: ``import gristmill`` alone brings no library."""
    if name not in _INTERFACE:
        raise AttributeError(f"module 'gristmill' has no attribute {name!r}")
    module, _, attribute = _INTERFACE[name].partition(":")
    found = import_module(module)
    globals()[name] = getattr(found, attribute) if attribute else found
    return globals()[name]


def __dir__() -> list[str]:
    """Names of the interface, for completion in a notebook."""
    return sorted({*globals(), *_INTERFACE})
