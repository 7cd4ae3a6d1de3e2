"""Code from outside: a file or an installed package that declares stages and readers, named and digested.

A file travels as text with the jobs that need it, so that a worker elsewhere runs exactly what the recipe named; a
package must be installed there, in the same bytes. Which plug-ins a recipe names is said in flows.
"""

import hashlib
import linecache
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from gristmill.corpus.errors import GristmillError, StageError
from gristmill.corpus.stage import Plugin, StageSpec, load

_LOADING = threading.RLock()


def plugin_from_file(path: Path) -> Plugin:
    """A plug-in file; its name is the file's. OSError or UnicodeDecodeError where it cannot be read."""
    data = path.read_bytes()
    return Plugin(path.stem, "", hashlib.sha256(data).hexdigest(), data.decode())


def plugin_from_package(module: str) -> Plugin:
    """An installed module or package; digested with all files of its top-level package.

    Raises
    ------
    ModuleNotFoundError : it is not installed
    """
    return Plugin(module, _version_of(module.split(".")[0]), package_digest(module.split(".")[0]))


def _version_of(package: str) -> str:
    names = metadata.packages_distributions().get(package, ())
    return metadata.version(names[0]) if names else ""


@cache
def package_digest(package: str) -> str:
    """sha256 over names and bytes of all files of an installed package, compiled ones apart."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no module named {package!r}")
    origin = Path(spec.origin)
    root = origin.parent if origin.name == "__init__.py" else origin
    paths = sorted(path for path in root.rglob("*") if path.is_file()) if root.is_dir() else [root]
    digest = hashlib.sha256()
    for path in paths:
        if "__pycache__" not in path.parts:
            name = path.relative_to(root.parent).as_posix()
            digest.update(f"{len(name)}:{name}:{path.stat().st_size}:".encode() + path.read_bytes())
    return digest.hexdigest()


def module_of(plugin: Plugin) -> ModuleType:
    """The plug-in's code in this process, loaded once for each digest.

    Raises
    ------
    StageError : the package here is not the one that the recipe was checked with, or its code fails to load
    """
    with _LOADING, told_by(plugin, "loading it"):
        if plugin.source is None:
            _check_package(plugin)
            return import_module(plugin.name)
        return _from_source(plugin.name, plugin.sha256, plugin.source)


def _check_package(plugin: Plugin) -> None:
    found = package_digest(plugin.name.split(".")[0])
    if found != plugin.sha256:
        raise StageError(
            f"plug-in {plugin.name!r} here is not the one that the recipe was checked with (sha256 {found[:12]}..., "
            f"expected {plugin.sha256[:12]}...); install the same version on every worker"
        )


def _from_source(name: str, sha256: str, source: str) -> ModuleType:
    full = f"gristmill_plugin_{name}_{sha256[:16]}"
    if full in sys.modules:
        return sys.modules[full]
    file = f"<plug-in {name}.py>"
    module = ModuleType(full)
    module.__file__ = file
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)  # tracebacks show its lines
    sys.modules[full] = module
    try:
        exec(compile(source, file, "exec"), module.__dict__)
    except BaseException:
        del sys.modules[full]
        raise
    return module


def resolve(reference: str, plugin: Plugin | None = None) -> Any:
    """What ``"module:name"`` names; ``":name"``, or the plug-in's own name as module, is a name in the plug-in.

    Raises
    ------
    StageError : a plug-in has no such name
    """
    if plugin is None:
        return load(reference)
    module, _, name = reference.partition(":")
    with told_by(plugin, f"looking for {reference!r}"):
        found = module_of(plugin) if module in ("", plugin.name) else import_module(module)
        return getattr(found, name)


@contextmanager
def told_by(who: Plugin | StageSpec | None, doing: str = "") -> Iterator[None]:
    """Turn any exception of a plug-in's code into a StageError that names it; let others pass as they are."""
    try:
        yield
    except GristmillError:
        raise
    except Exception as error:  # a plug-in may raise anything
        if who is None:
            raise
        what = f" while {doing}" if doing else ""
        raise StageError(f"plug-in {who.name!r} failed{what}: {type(error).__name__}: {error}") from error
