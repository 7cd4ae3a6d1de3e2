"""What is wrong with the rules of a recipe: unknown names, signals that nothing measures, no language."""

from collections.abc import Iterator, Mapping
from typing import Any

from gristmill.corpus.errors import nearest
from gristmill.corpus.recipe_values import Mistake
from gristmill.corpus.stage import Signal, StageSpec
from gristmill.filters.decide.rules import Profile
from gristmill.filters.decide.stage import RuleBound
from gristmill.filters.line_edits.stage import LINE_EDITS, SIGNALS_OF
from gristmill.flows.pipeline.catalogue import Catalogue, known_profiles
from gristmill.flows.pipeline.recipe import Recipe

KeyPath = tuple[str | int, ...]


def rule_mistakes(recipe: Recipe, catalogue: Catalogue) -> Iterator[Mistake]:
    """Every mistake of [decide], of its domains and of its own profiles."""
    checked = _Rules(recipe, catalogue)
    yield from checked.own_profiles()
    yield from checked.table(("decide",), recipe.decide.chosen_profiles, recipe.decide.rules)
    for domain, spec in recipe.decide.domains.items():
        yield from checked.table(("decide", "domains", domain), spec.profiles, spec.rules)


class _Rules:
    """What a recipe measures and knows, for its rules to be held against."""

    def __init__(self, recipe: Recipe, catalogue: Catalogue):
        self.profiles: Mapping[str, Profile] = known_profiles(recipe)
        self.recipe = recipe
        self.catalogue = catalogue
        self.measured = {name for one in catalogue.stages_of(recipe) for name in one.signals}
        self.possible: Mapping[str, tuple[StageSpec, Signal]] = catalogue.signals
        self.has_language = recipe.language is not None or any(source.lang for source in recipe.sources)

    def own_profiles(self) -> Iterator[Mistake]:
        for name, spec in self.recipe.decide.own_profiles.items():
            here: KeyPath = ("decide", "profiles", name)
            for other in spec.like:
                if other not in self.profiles:
                    yield Mistake(((*here, "like"),), f"unknown profile {other!r}{nearest(other, self.profiles)}")
            for rule, stated in spec.rules.items():
                where = (*here, "rules", rule, "signal") if stated.signal else (*here, "rules", rule)
                yield from self.signal(where, stated.signal or rule, f"rule {rule!r}")
        table = self.recipe.decide.profiles
        for name, stated in table.items() if isinstance(table, dict) else ():
            if isinstance(stated, bool) and name not in self.profiles:
                where = ("decide", "profiles", name)
                yield Mistake((where,), f"unknown profile {name!r}{nearest(name, self.profiles)}")

    def table(self, here: KeyPath, profiles: tuple[str, ...], bounds: Mapping[str, RuleBound]) -> Iterator[Mistake]:
        where = (*here, "profiles")
        own = self.recipe.decide.own_profiles
        listed = not isinstance(self.recipe.decide.profiles, dict) or here != ("decide",)
        for name in profiles:
            if name not in self.profiles and listed:
                yield Mistake((where,), f"unknown profile {name!r}{nearest(name, self.profiles)}")
            elif name in self.profiles and name not in own:
                yield from self.profile(where, self.profiles[name])
        rules = {
            known
            for name in profiles
            if name in self.profiles
            for rule in self.profiles[name].rules
            for known in (rule.name, rule.signal)
        }
        for name in bounds:
            if name not in rules:
                yield from self.signal((*here, "rules", name), name, name, rules)

    def profile(self, where: KeyPath, profile: Profile) -> Iterator[Mistake]:
        lacking = sorted({rule.signal for rule in profile.rules} - self.measured)
        if lacking:
            yield Mistake((where, *self._keys(lacking[0])), f"{profile.name} judges {self._unmeasured(lacking[0])}")
        languages = {language for rule in profile.rules for language in rule.languages}
        bound = all(rule.languages for rule in profile.rules)
        if bound and not self.has_language and languages != {"en"}:
            who = f"{profile.name} judges {', '.join(sorted(languages))} alone"
            text = f"{who}, but no language is known: add [language] or sources.lang"
            yield Mistake((where, "language"), text)

    def signal(self, where: KeyPath, name: str, what: str, rules: Any = ()) -> Iterator[Mistake]:
        if name in self.measured:
            return
        if name in self.possible:
            yield Mistake((where, *self._keys(name)), f"{what} judges {self._unmeasured(name)}")
            return
        known = {*self.measured, *self.possible, *rules}
        yield Mistake((where, "plugins"), f"unknown rule or signal {name!r}{nearest(name, known)}")

    def _unmeasured(self, name: str) -> str:
        if name not in self.possible:
            return f"{name!r}, which no stage measures"
        spec, _ = self.possible[name]
        if spec.name == LINE_EDITS.name:
            reading = next(reading for reading, found in SIGNALS_OF.items() if name in {one.name for one in found})
            return f'what line rules leave of a document: set line_edits.rules = ["{reading}"]'
        section = f"[[{spec.recipe_key}]]" if spec.each else f"[{spec.recipe_key}]"
        return f"{name!r}, which nothing measures here; add {section}"

    def _keys(self, name: str) -> tuple[str, ...]:
        return (self.possible[name][0].recipe_key,) if name in self.possible else ()
