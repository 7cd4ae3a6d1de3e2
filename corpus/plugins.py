"""Code from outside: a file or an installed package that declares stages and readers, named and digested.

A file travels as text with the jobs that need it, so that a worker elsewhere runs exactly what the recipe named; a
package must be installed there, in the same bytes. Which plug-ins a recipe names is decided in flows.
"""

import hashlib
import io
import linecache
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import Any

from gristmill.corpus.errors import StageError
from gristmill.corpus.stage import Plugin, load

_LOADING = threading.RLock()
_BYTE_ORDER_MARK = "\ufeff"


def plugin_from_file(path: Path) -> Plugin:
    """A plug-in file; its name is the file's.

    Raises
    ------
    OSError, UnicodeDecodeError : it cannot be read
    """
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
    """sha256 over names and bytes of all files of an installed package, compiled ones apart.

    Raises
    ------
    ModuleNotFoundError : there is none of this name, or one without files of its own
    """
    try:
        spec = find_spec(package)
    except ValueError:  # an empty name, or a module that stands half loaded
        spec = None
    if spec is None:
        raise ModuleNotFoundError(f"no module {package!r} is installed; the name of a file ends in .py")
    if spec.origin is None or not Path(spec.origin).is_file():
        raise ModuleNotFoundError(f"{package!r} has no files of its own; add an __init__.py to it")
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
    file = _file_of(name)
    module = ModuleType(full)
    module.__file__ = file
    linecache.cache[file] = (len(source), None, io.StringIO(source).readlines(), file)  # tracebacks show its lines
    sys.modules[full] = module
    try:
        exec(compile(source.removeprefix(_BYTE_ORDER_MARK), file, "exec"), module.__dict__)
    except BaseException:
        del sys.modules[full]
        raise
    return module


def resolve(reference: str, plugin: Plugin | None = None, whose: str = "") -> Any:
    """What ``"module:name"`` names; ``":name"``, or the plug-in's own name as module, is a name in the plug-in.

    Parameters
    ----------
    whose : the stage or reader that needs it, for the message

    Raises
    ------
    StageError : a plug-in has no such name
    """
    if plugin is None:
        return load(reference)
    module, _, name = reference.partition(":")
    with told_by(plugin, f"looking for {reference!r} of {whose}"):
        found = module_of(plugin) if is_own(reference, plugin) else import_module(module)
        return getattr(found, name)


def is_own(reference: str, plugin: Plugin) -> bool:
    """Whether a reference leads into the plug-in's own module."""
    return reference.partition(":")[0] in ("", plugin.name)


@contextmanager
def told_by(who: Plugin | None, doing: str | Callable[[], str] = "") -> Iterator[None]:
    """Turn whatever a plug-in's code raises into one StageError that names it; of ours nothing is touched.

    Parameters
    ----------
    doing : what the code was called for, or a function that says it once something was raised
    """
    try:
        yield
    except (Exception, SystemExit) as error:  # a plug-in may raise anything
        if who is None or _is_told(error):
            raise
        what = doing if isinstance(doing, str) else doing()
        problem = " ".join(f"{type(error).__name__}: {error}".split())
        raise StageError(
            f"plug-in {who.name!r} failed{f' while {what}' if what else ''}: {problem}{_place(who, error)}"
        ) from error


def _place(who: Plugin, error: BaseException) -> str:
    """The line of a plug-in file where it was, the innermost."""
    lines = [frame.lineno for frame in extract_tb(error.__traceback__) if frame.filename == _file_of(who.name)]
    return f" ({who.name}.py, line {lines[-1]})" if lines else ""


def _file_of(name: str) -> str:
    return f"<plug-in {name}.py>"


def _is_told(error: BaseException) -> bool:
    return isinstance(error, StageError) and str(error).startswith("plug-in ")
