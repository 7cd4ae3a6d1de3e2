"""What a recipe can name: stages, signals and profiles, shipped and from its plug-ins. Imports nothing heavy."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from gristmill.corpus.stage import PartStage, Plugin, Signal, StageSpec
from gristmill.filters.decide.own_profiles import own_profiles
from gristmill.filters.decide.profiles import DECONTAMINATED, PROFILES
from gristmill.filters.decide.rules import Bound, Profile, Rule, resolve
from gristmill.flows.pipeline.recipe import Recipe
from gristmill.flows.pipeline.stages import BUILT_IN, Instance, instances
from gristmill.sources.reader import Reader


@dataclass(frozen=True, slots=True)
class OutsideReader:
    """A reader of a plug-in."""

    reader: Reader
    plugin: Plugin


@dataclass(frozen=True)
class Catalogue:
    """Stages by name, where those from outside come from, and readers from outside."""

    specs: tuple[StageSpec, ...] = BUILT_IN
    plugins: Mapping[str, Plugin] = field(default_factory=dict)  # by name of the stage
    readers: tuple[OutsideReader, ...] = ()

    def stages_of(self, recipe: Recipe) -> tuple[Instance, ...]:
        """The stages that a recipe runs, in order."""
        return instances(self.specs, recipe, dict(self.plugins))

    @cached_property
    def signals(self) -> dict[str, tuple[StageSpec, Signal]]:
        """Every signal by name with the stage that may measure it; of classifiers and references the patterns."""
        return {signal.name: (spec, signal) for spec, signal in self._signals()}

    def _signals(self) -> Iterator[tuple[StageSpec, Signal]]:
        for spec in self.specs:
            if isinstance(spec, PartStage):
                yield from ((spec, signal) for signal in spec.signals)


def known_profiles(recipe: Recipe) -> dict[str, Profile]:
    """Profiles that the recipe may name: the shipped ones and its own."""
    return PROFILES | own_profiles(recipe.decide.own_profiles, PROFILES)


def profiles_of(recipe: Recipe, domain: str) -> tuple[str, ...]:
    """The profiles that judge a domain: those that the recipe names, and decontamination where it asks for it."""
    named, _ = recipe.decide.of_domain(domain)
    return tuple(dict.fromkeys((*named, DECONTAMINATED.name))) if recipe.drops_contaminated else named


def rules_of(recipe: Recipe, measured: frozenset[str]) -> dict[str, tuple[Rule, ...]]:
    """Each domain's rules: its own profiles and bounds when the recipe gives any, else the common ones.

    Parameters
    ----------
    measured : signals that a bound may judge, whether or not this run measures them

    Raises
    ------
    UnknownNameError : an unknown profile, rule or signal
    """
    known, chosen = known_profiles(recipe), {}
    for domain in recipe.domains:
        _, bounds = recipe.decide.of_domain(domain)
        chosen[domain] = resolve(
            profiles_of(recipe, domain), {name: bound_of(one) for name, one in bounds.items()}, known, measured
        )
    return chosen


def bound_of(rule: object) -> Bound:
    """A recipe's bound as rules take it."""
    return (rule.at_least, rule.at_most, rule.off)  # type: ignore[attr-defined]
