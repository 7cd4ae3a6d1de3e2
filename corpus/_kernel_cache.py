"""numba's side of the kernel cache: where a kernel is kept, and one writer at a time. See ``_jit``."""

import fcntl
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from numba.core import caching, config

from gristmill.corpus._jit import HOUSE, cache_folder, kernel_sources

_SOURCES = {str(path) for path in kernel_sources()}


@lru_cache
def _resolved(py_file: str) -> Path:
    """Once a file: a module has up to 40 kernels."""
    return Path(py_file).resolve()


class KernelLocator(caching._CacheLocator):
    """Kernels of the house, by their place in it; every other function is left to numba."""

    def __init__(self, py_func: Callable[..., Any], py_file: str, folder: Path):
        self._py_file, self._lineno = py_file, py_func.__code__.co_firstlineno
        self._folder = folder

    def get_cache_path(self) -> str:
        """``<cache>/<digest>/corpus.text._kernels``."""
        place = _resolved(self._py_file).relative_to(HOUSE).with_suffix("")
        return str(self._folder / ".".join(place.parts))

    def get_source_stamp(self) -> str:
        """The digest in the folder's name: all that decides the kernel."""
        return self._folder.name

    def get_disambiguator(self) -> str:
        """The line, as numba does."""
        return str(self._lineno)

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> "KernelLocator | None":
        """None for what is no kernel of the house, or when nothing can be written."""
        folder = cache_folder() if str(_resolved(py_file)) in _SOURCES else None
        return cls(py_func, py_file, folder) if folder else None


class OneWriter(caching.IndexDataCacheFile):
    """One process writes a function at a time.

    Two that compile different signatures of it at once would give their code the same file name: an index could then
    lead to the code of the other signature, which runs on the wrong types.
    """

    def save(self, key: Any, data: Any) -> None:
        """Save one compiled signature."""
        folder = Path(self._cache_path)
        if cache_folder() not in folder.parents:
            super().save(key, data)
            return
        with (folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # ends with the file
            super().save(key, data)


def register() -> None:
    """Put the locator before numba's own; functions outside the house, of plug-ins say, are cached beside kernels."""
    if KernelLocator in caching.CacheImpl._locator_classes:
        return
    caching.CacheImpl._locator_classes.insert(0, KernelLocator)
    caching.IndexDataCacheFile = OneWriter
    if not config.CACHE_DIR and (folder := cache_folder()):
        config.CACHE_DIR = str(folder / "elsewhere")
