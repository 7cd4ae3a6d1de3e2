"""Profiles that a recipe defines for itself: [decide.profiles.NAME]."""

from collections.abc import Mapping

from gristmill.filters.decide.rules import Profile, Rule
from gristmill.filters.decide.stage import OwnProfile, OwnRule


def own_profiles(given: Mapping[str, OwnProfile], known: Mapping[str, Profile]) -> dict[str, Profile]:
    """The profiles that a recipe defines, by name; one may begin with the rules of others, its own before it too.

    Names in ``like`` that are unknown are left out here; the recipe's check names them.

    >>> from gristmill.filters.decide.profiles import PROFILES
    >>> mine = OwnProfile(like=("length",), rules={"short": OwnRule(signal="words", at_least=9)})
    >>> [(rule.name, rule.bound, rule.profile) for rule in own_profiles({"mine": mine}, PROFILES)["mine"].rules][-1]
    ('short', '>= 9', 'mine v1')
    """
    made: dict[str, Profile] = {}
    for name, spec in given.items():
        others = {**known, **made}
        inherited = [rule for other in spec.like if other in others for rule in others[other].rules]
        own = [_rule(rule_name, rule) for rule_name, rule in spec.rules.items() if not rule.off]
        kept = [rule for rule in inherited if rule.name not in spec.rules]
        made[name] = Profile(name, spec.version, (*kept, *own), spec.source or "this recipe")
    return made


def _rule(name: str, spec: OwnRule) -> Rule:
    low = float("-inf") if spec.at_least is None else spec.at_least
    high = float("inf") if spec.at_most is None else spec.at_most
    return Rule(name, spec.signal or name, low, high, spec.source, spec.languages)
