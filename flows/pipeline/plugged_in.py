"""The plug-ins of a recipe: files beside it, installed modules, and entry points; what each of them adds.

Groups of entry points: ``gristmill.stages``, ``gristmill.readers``. A plug-in module declares stages and readers as
values of its own: every ``PartStage`` and ``Reader`` in it is taken.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from gristmill.corpus.errors import GristmillError
from gristmill.corpus.plugins import module_of, plugin_from_file, plugin_from_package
from gristmill.corpus.recipe_faults import Fault
from gristmill.corpus.stage import PartStage, Plugin
from gristmill.flows.pipeline.stages import BUILT_IN

GROUPS = ("gristmill.stages", "gristmill.readers")
RESERVED = "gristmill"


@dataclass(frozen=True, slots=True)
class PluggedIn:
    """A plug-in and what it adds."""

    plugin: Plugin
    stages: tuple[PartStage, ...] = ()


def load_plugins(named: Any, folder: Path) -> tuple[list[PluggedIn], list[Fault]]:
    """The plug-ins that a recipe names, and what is wrong with them.

    Parameters
    ----------
    named : the recipe's key ``plugins``, of whatever kind it is; one that is no list of texts is told elsewhere
    folder : where paths start from
    """
    loaded: list[PluggedIn] = []
    faults: list[Fault] = []
    taken = {spec.name: "the mill" for spec in BUILT_IN}
    for place, name in enumerate(named if isinstance(named, list | tuple) else ()):
        if not isinstance(name, str):
            continue
        try:
            one = plugged_in(_plugin(name, folder))
        except (GristmillError, OSError, UnicodeDecodeError, ImportError) as error:
            faults.append(Fault(("plugins", place), f"cannot load {name!r}: {error}"))
            continue
        faults += [Fault(("plugins", place), text) for text in _clashes(one, taken)]
        taken |= {spec.name: repr(name) for spec in one.stages}
        loaded.append(one)
    return loaded, faults


def _plugin(name: str, folder: Path) -> Plugin:
    if not name.endswith(".py") and "/" not in name:
        return plugin_from_package(name)
    path = folder / name
    if not path.is_file():
        raise FileNotFoundError(f"no file at {path}")
    return plugin_from_file(path)


def _clashes(one: PluggedIn, taken: dict[str, str]) -> Iterator[str]:
    names = [spec.name for spec in one.stages]
    for name in names:
        if name in taken:
            yield f"plug-in {one.plugin.name!r} declares a stage {name!r}, which {taken[name]} has already; rename it"
        elif name.split(".")[0] == RESERVED or not name.replace("_", "a").replace("-", "a").isalnum():
            yield f"plug-in {one.plugin.name!r} declares a stage {name!r}; expected letters, digits, _ and - alone"
    if len(set(names)) < len(names):
        yield f"plug-in {one.plugin.name!r} declares two stages of one name"
    if not one.stages:
        yield f"plug-in {one.plugin.name!r} declares no stage and no reader"


def plugged_in(plugin: Plugin) -> PluggedIn:
    """Load a plug-in and see what it declares.

    Raises
    ------
    StageError : its code fails to load
    """
    return PluggedIn(plugin, tuple(_declared(module_of(plugin), PartStage)))


def _declared(module: ModuleType, kind: type) -> Iterator[Any]:
    seen: set[int] = set()
    for name, value in vars(module).items():
        if isinstance(value, kind) and not name.startswith("_") and id(value) not in seen:
            seen.add(id(value))
            yield value


@cache
def entry_points() -> tuple[PluggedIn, ...]:
    """Plug-ins that installed packages announce. One that fails to load is passed over until a recipe names it."""
    points = [point for group in GROUPS for point in metadata.entry_points(group=group)]
    found = []
    for module in sorted({point.value.partition(":")[0] for point in points}):
        try:
            found.append(plugged_in(plugin_from_package(module)))
        except (GristmillError, ImportError, OSError):
            continue
    return tuple(found)


def kept_plugin(path: Path, name: str, sha256: str, version: str) -> Plugin:
    """A plug-in as a run keeps it: its file, or the name of an installed package."""
    file = path / f"{name}.py"
    if file.is_file():
        found = plugin_from_file(file)
        if found.sha256 == sha256:
            return found
        raise GristmillError(f"{file} is not the plug-in that the run was made with (sha256 {sha256[:12]}...)")
    return Plugin(name, version, sha256)
