"""What a recipe can name, as rows: signals, profiles, readers, stages; shipped, installed, and of one recipe.

Nothing heavy is imported, so that the answer takes a fraction of a second.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gristmill.corpus.stage import CorpusStage, PartStage, Signal, StageSpec
from gristmill.filters.decide.profiles import PROFILES
from gristmill.filters.decide.rules import Profile, Rule
from gristmill.flows.pipeline.catalogue import Catalogue, known_profiles, profiles_of
from gristmill.flows.pipeline.plugged_in import installed_plugins
from gristmill.flows.pipeline.recipe import Recipe
from gristmill.flows.pipeline.recipe_reading import catalogue_with, load_recipe
from gristmill.flows.pipeline.stages import Instance, in_order, reads

SHIPPED = "gristmill"


@dataclass(frozen=True, slots=True)
class SignalRow:
    """One signal. ``used``: whether the recipe measures it, None where no recipe is asked about."""

    name: str
    unit: str
    low: float | None  # None: no bound
    high: float | None
    stage: str
    text: str
    source: str  # the publication or tool that defines it
    origin: str  # "gristmill", or the plug-in
    used: bool | None


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One rule of a profile; None where there is no bound."""

    name: str
    signal: str
    at_least: float | None
    at_most: float | None
    languages: tuple[str, ...]  # it judges documents of these alone; empty: of all
    source: str


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """One profile. ``used``: whether the recipe names it for any domain."""

    name: str
    version: str
    rules: tuple[RuleRow, ...]
    source: str
    differences: str
    used: bool | None


@dataclass(frozen=True, slots=True)
class ReaderRow:
    """One reader of a file format."""

    name: str  # format = "NAME" in a recipe
    suffixes: tuple[str, ...]
    version: str
    read: str  # "module:function"
    packed: bool  # also behind .gz, .zst, .bz2, .xz
    origin: str


@dataclass(frozen=True, slots=True)
class StageRow:
    """One stage. ``used``: whether the recipe runs it."""

    name: str
    version: str
    title: str
    section: str  # key of the recipe; empty where the stage takes none
    always: bool  # it runs without being asked for
    reads: tuple[str, ...]
    signals: int
    extra: str  # the extra of the package that it needs
    origin: str
    used: bool | None


@dataclass(frozen=True, slots=True)
class Known:
    """A catalogue, and the recipe that is asked about, if any."""

    catalogue: Catalogue
    recipe: Recipe | None = None

    @classmethod
    def of(cls, path: Path | None) -> "Known":
        """What a recipe can name; without one, what is shipped and what installed packages announce.

        Raises
        ------
        RecipeError : the recipe has mistakes
        """
        if path is None:
            return cls(catalogue_with(installed_plugins()))
        checked = load_recipe(path)
        return cls(checked.catalogue, checked.recipe)

    @property
    def running(self) -> dict[str, list[Instance]]:
        """Stages that the recipe runs, by name of their declaration."""
        found: dict[str, list[Instance]] = {}
        for one in self.catalogue.stages_of(self.recipe) if self.recipe else ():
            found.setdefault(one.spec.name, []).append(one)
        return found

    def signals(self) -> Iterator[SignalRow]:
        """Signals, by stage in running order; those of a list of sections with the names that the recipe gives them."""
        running = self.running
        for spec in in_order(self.catalogue.specs):
            if isinstance(spec, PartStage):
                measured = {signal.name: signal for one in running.get(spec.name, ()) for signal in _measured(one)}
                patterns = {} if spec.each and measured else {signal.name: signal for signal in spec.signals}
                for name, signal in (patterns | measured).items():
                    yield self._signal(spec, signal, name in measured)

    def _signal(self, spec: StageSpec, one: Signal, measured: bool) -> SignalRow:
        used = measured if self.recipe else None
        origin = self._origin(spec)
        return SignalRow(one.name, one.unit, one.low, one.high, spec.name, one.text, one.source, origin, used)

    def profiles(self) -> Iterator[ProfileRow]:
        """Profiles, the recipe's own last."""
        named: set[str] = set()
        if self.recipe is not None:
            named = {name for domain in self.recipe.domains for name in profiles_of(self.recipe, domain)}
        for name, profile in (known_profiles(self.recipe) if self.recipe else PROFILES).items():
            yield _profile(profile, name in named if self.recipe else None)

    def stages(self) -> Iterator[StageRow]:
        """Stages in running order."""
        running = self.running
        for spec in in_order(self.catalogue.specs):
            if isinstance(spec, PartStage | CorpusStage):
                yield self._stage(spec, spec.name in running)

    def _stage(self, spec: StageSpec, runs: bool) -> StageRow:
        return StageRow(
            name=spec.name,
            version=spec.version,
            title=spec.title,
            section=spec.recipe_key if spec.section else "",
            always=spec.always,
            reads=reads(spec, self.catalogue.specs),
            signals=len(spec.signals) if isinstance(spec, PartStage) else 0,
            extra=spec.extra,
            origin=self._origin(spec),
            used=runs if self.recipe else None,
        )

    def readers(self) -> Iterator[ReaderRow]:
        """Readers, those of plug-ins last."""
        from gristmill.sources.catalogue import with_readers

        plugged = {one.reader: one.plugin.name for one in self.catalogue.readers}
        for one in with_readers(plugged):
            origin = plugged.get(one, SHIPPED)
            yield ReaderRow(one.name, one.suffixes, one.version, one.read, one.packed, origin)

    def _origin(self, spec: StageSpec) -> str:
        plugin = self.catalogue.plugins.get(spec.name)
        return plugin.name if plugin else SHIPPED


def _measured(one: Instance) -> tuple[Signal, ...]:
    return one.spec.measured(one.options) if isinstance(one.spec, PartStage) else ()


def _profile(profile: Profile, used: bool | None) -> ProfileRow:
    rules = tuple(_rule(rule) for rule in profile.rules)
    return ProfileRow(profile.name, profile.version, rules, profile.source, profile.differences, used)


def _rule(rule: Rule) -> RuleRow:
    return RuleRow(rule.name, rule.signal, _bound(rule.at_least), _bound(rule.at_most), rule.languages, rule.source)


def _bound(value: float) -> float | None:
    return value if math.isfinite(value) else None
