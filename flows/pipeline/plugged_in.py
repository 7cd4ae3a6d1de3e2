"""The plug-ins of a recipe: files beside it, installed modules, and entry points; what each of them adds.

Groups of entry points: ``gristmill.stages``, ``gristmill.readers``. A plug-in module declares stages and readers as
values of its own: every ``PartStage`` and every ``Reader`` in it is taken.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from gristmill.corpus.errors import GristmillError, StageError, StoreError
from gristmill.corpus.files import file_sha256
from gristmill.corpus.lock import LockedPlugin
from gristmill.corpus.plugins import is_own, module_of, plugin_from_file, plugin_from_package, resolve, told_by
from gristmill.corpus.recipe_faults import Fault, KeyPath
from gristmill.corpus.stage import CorpusStage, PartStage, Plugin, SideTable
from gristmill.flows.pipeline.plugin_checks import Taken, declared_faults
from gristmill.flows.pipeline.stages import BUILT_IN
from gristmill.sources.catalogue import readers as built_in_readers
from gristmill.sources.reader import Reader

GROUPS = ("gristmill.stages", "gristmill.readers")
RESERVED = "gristmill"
Kind = TypeVar("Kind")
Find = Callable[[str], Plugin]  # a plug-in from what a recipe calls it
_CALLED = ("asked", "artefacts", "chosen", "options")  # functions of a declaration that the mill calls


@dataclass(frozen=True, slots=True)
class PluggedIn:
    """A plug-in and what it adds."""

    plugin: Plugin
    stages: tuple[PartStage, ...] = ()
    readers: tuple[Reader, ...] = ()  # whose ``read`` is found wherever the plug-in was loaded


def load_plugins(named: Any, find: Find) -> tuple[list[PluggedIn], list[Fault]]:
    """The plug-ins that a recipe names, and what is wrong with them.

    Parameters
    ----------
    named : the recipe's key ``plugins``, of whatever kind it is; one that is no list of texts is reported elsewhere
    find : from ``beside`` or ``kept_in``
    """
    loaded: list[PluggedIn] = []
    faults: list[Fault] = []
    taken = Taken.by_the_mill()
    for place, name in enumerate(named if isinstance(named, list | tuple) else ()):
        if not isinstance(name, str):
            continue
        try:
            one = plugged_in(find(name))
            found = _faults_of(one, taken)
        except (GristmillError, OSError, ImportError, ValueError) as error:
            found = [f"cannot load {name!r}: {error}"]
        else:
            loaded += [] if found else [one]
        faults += [Fault(("plugins", place), text) for text in found]
    return loaded, faults


def _faults_of(one: PluggedIn, taken: Taken) -> list[str]:
    with told_by(one.plugin, "looking at what it declares"):
        return declared_faults(one.plugin, one.stages, one.readers, taken)


def beside(folder: Path) -> Find:
    """Files from a folder, that of the recipe; installed modules by name."""

    def find(name: str) -> Plugin:
        if not is_file(name):
            return plugin_from_package(name)
        path = folder / name
        if not path.is_file():
            raise FileNotFoundError(f"no file at {path}")
        return plugin_from_file(path)

    return find


def kept_in(folder: Path, locked: Mapping[str, LockedPlugin]) -> Find:
    """Plug-ins as a run or a card keeps them, none but those of its lock: not one byte of another one is run."""

    def find(name: str) -> Plugin:
        own = name_of(name)
        if own not in locked:
            raise StoreError(f"the lock names no plug-in {own!r}")
        if not is_file(name):
            return Plugin(own, locked[own].version, locked[own].sha256)  # held against the lock when it is loaded
        file = folder / f"{own}.py"
        if not file.is_file():
            raise StoreError(f"{file} is gone; put it back")
        if file_sha256(file) != locked[own].sha256:
            expected = locked[own].sha256[:12]
            raise StoreError(f"{file} is not the plug-in that the run was made with (sha256 {expected}...)")
        return plugin_from_file(file)

    return find


def is_file(name: str) -> bool:
    """Whether a recipe means a file by this name, not an installed module."""
    return name.endswith(".py")


def name_of(name: str) -> str:
    """What a plug-in is called in the lock.

    >>> name_of("../lists/my_signals.py"), name_of("my_package.signals")
    ('my_signals', 'my_package.signals')
    """
    return Path(name).stem if is_file(name) else name


def plugged_in(plugin: Plugin) -> PluggedIn:
    """Load a plug-in and see what it declares.

    Raises
    ------
    StageError : its code fails to load
    """
    if plugin.source is None and plugin.name.split(".")[0] == RESERVED:
        raise StageError(f"{plugin.name!r} is the mill's own; its stages need no plug-in")
    module = module_of(plugin)
    stages = tuple(_guarded(plugin, spec) for spec in _declared(module, PartStage, BUILT_IN))
    readers = tuple(_declared(module, Reader, built_in_readers()))
    for one in _declared(module, CorpusStage, BUILT_IN):
        raise StageError(f"plug-in {plugin.name!r} declares the CorpusStage {one.name!r}; declare a PartStage")
    for spec in stages:
        schemas = [side.schema for side in spec.tables if isinstance(side, SideTable)]
        for reference in (spec.measure, spec.prepare, spec.conclude, spec.libraries, *schemas):
            if isinstance(reference, str) and is_own(reference, plugin):
                resolve(reference, plugin, f"stage {spec.name!r}")  # reported now, not after an hour
    return PluggedIn(plugin, stages, tuple(_located(plugin, module, reader) for reader in readers))


def _declared(module: ModuleType, kind: type[Kind], built_in: Iterable[Any]) -> Iterator[Kind]:
    """Values of a module of one kind, each once; those that it imports from the mill are none of its own."""
    seen = {id(value) for value in built_in}
    for name, value in vars(module).items():
        if isinstance(value, kind) and not name.startswith("_") and id(value) not in seen:
            seen.add(id(value))
            yield value


def _located(plugin: Plugin, module: ModuleType, reader: Reader) -> Reader:
    """The reader with its function named by the module as it was loaded here, which may be no file on any path."""
    if not is_own(reader.read, plugin):
        return reader
    resolve(reader.read, plugin, f"reader {reader.name!r}")
    return replace(reader, read=f"{module.__name__}:{reader.read.rpartition(':')[2]}")


def _guarded(plugin: Plugin, spec: PartStage) -> PartStage:
    """The declaration with functions that name the plug-in when they fail."""
    called = {name: function for name in _CALLED if callable(function := getattr(spec, name))}
    return replace(spec, **{name: _told(plugin, spec.name, name, function) for name, function in called.items()})


def _told(plugin: Plugin, stage: str, what: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function, updated=())
    def call(*arguments: Any) -> Any:
        with told_by(plugin, f"calling {what} of stage {stage!r}"):
            return function(*arguments)

    return call


@dataclass(frozen=True, slots=True)
class Announced:
    """A module that an installed package announces, under which names, and why it cannot be loaded."""

    module: str
    names: tuple[str, ...]
    found: PluggedIn | None
    why_not: str = ""


def entry_points() -> tuple[Announced, ...]:
    """Plug-ins that installed packages announce."""
    names: dict[str, list[str]] = {}
    for point in (point for group in GROUPS for point in metadata.entry_points(group=group)):
        names.setdefault(point.value.partition(":")[0].strip(), []).append(point.name)
    return tuple(_announced(module, tuple(sorted(set(announced)))) for module, announced in sorted(names.items()))


def installed_plugins() -> list[PluggedIn]:
    """Of the announced plug-ins those that could take part in a recipe."""
    taken = Taken.by_the_mill()
    found = [one.found for one in entry_points() if one.found]
    return [one for one in found if not _faults_of(one, taken)]


def _announced(module: str, names: tuple[str, ...]) -> Announced:
    try:
        return Announced(module, names, plugged_in(plugin_from_package(module)))
    except (GristmillError, ImportError, OSError) as error:
        return Announced(module, names, None, str(error))


def announced_plugins(
    raw: Mapping[str, Any], named: Sequence[PluggedIn], sections: Container[str]
) -> tuple[list[PluggedIn], list[Fault]]:
    """Of the announced plug-ins those that a recipe uses, and what is wrong with them.

    One takes part where the recipe has the section of one of its stages, or a source whose ``format`` names one of its
    readers; what is installed never changes how a file is read that names no format. One that cannot be loaded is
    reported where the recipe has a section, or a format, by the name that announces it.

    Parameters
    ----------
    raw : the tables of the recipe
    named : plug-ins that it names itself
    sections : keys of the mill's own sections
    """
    loaded: list[PluggedIn] = []
    faults: list[Fault] = []
    taken = Taken.by_the_mill()
    for one in named:
        taken.add(one.plugin, one.stages, one.readers)
    for announced in entry_points():
        key = _used_key(announced, raw, sections)
        if key is None or announced.module in {one.plugin.name for one in named}:
            continue
        found = _faults_of(announced.found, taken) if announced.found else [_UNLOADED.format(announced.why_not)]
        faults += [Fault(key, text) for text in found]
        loaded += [announced.found] if announced.found and not found else []
    return loaded, faults


_UNLOADED = "the installed plug-in that announces it cannot be loaded: {}"


def _used_key(announced: Announced, raw: Mapping[str, Any], sections: Container[str]) -> KeyPath | None:
    if announced.found is None:
        names = keys = [name for name in announced.names if name not in sections]
    else:
        keys = [spec.recipe_key for spec in announced.found.stages if spec.section is not None]
        names = [reader.name for reader in announced.found.readers]
    section = next(((key,) for key in keys if key in raw), None)
    return section or next((path for path, name in _formats(raw) if name in names), None)


def _formats(raw: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Any]]:
    """Formats that sources name, with their paths; whatever else stands there."""
    sources = raw.get("sources")
    for place, source in enumerate(sources if isinstance(sources, list) else ()):
        if isinstance(source, dict) and "format" in source:
            yield ("sources", place, "format"), source["format"]
