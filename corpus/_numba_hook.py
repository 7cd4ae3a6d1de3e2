"""The step behind numba's import that gives it our kernel cache; numba itself is not imported for it."""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

HOOKED = "numba.core.caching"


class _BesideNumba(MetaPathFinder):
    """Loads ``_kernel_cache`` right behind numba's caching, for every module that imports numba.

    An environment variable (NUMBA_CACHE_LOCATOR_CLASSES) would do the same, and break every child process that has
    numba and no gristmill.
    """

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:  # noqa: ARG002
        """The spec of numba's caching, with one more step behind its execution."""
        if name != HOOKED:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_register(module: ModuleType) -> None:
                execute(module)
                _register()

            spec.loader.exec_module = execute_and_register
        return spec


def _register() -> None:
    from gristmill.corpus import _kernel_cache

    _kernel_cache.register()


def use_kernel_cache() -> None:
    """Let numba find kernels of the house in ``cache_folder``, now or when it is imported."""
    if HOOKED in sys.modules:
        _register()
    else:
        sys.meta_path.insert(0, _BesideNumba())
