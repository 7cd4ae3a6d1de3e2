"""What the recipe allows to be done with documents: which sources may be trained on, which licences are forbidden."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

TRAIN, EVALUATE, BLOCKED = USES = ("train", "evaluate", "blocked")


@dataclass(frozen=True, slots=True)
class UsePolicy:
    """Sources by what they are for, those to train on left out, and licences that no document may have.

    ``forbid_licenses`` are names or patterns ("CC-BY-NC*"), compared without regard to case. A document is withheld,
    measured and judged as all others are, when its source is blocked or its licence forbidden; it never reaches rows or
    exports. One of an ``evaluate`` source goes to the held-out rows alone.
    """

    blocked: tuple[str, ...] = ()
    evaluate: tuple[str, ...] = ()
    forbid_licenses: tuple[str, ...] = ()

    @classmethod
    def of(cls, uses: Mapping[str, str], forbid_licenses: tuple[str, ...] = ()) -> "UsePolicy":
        """From the use of each source.

        >>> UsePolicy.of({"web": "train", "quiz": "evaluate"}).evaluate
        ('quiz',)
        """
        named = {use: tuple(sorted(source for source, one in uses.items() if one == use)) for use in USES}
        return cls(named[BLOCKED], named[EVALUATE], forbid_licenses)

    def forbids(self, license_name: str | None) -> str | None:
        """The pattern that forbids a licence, None where none does.

        >>> UsePolicy(forbid_licenses=("cc-by-nc*",)).forbids("CC-BY-NC-4.0")
        'cc-by-nc*'
        """
        name = (license_name or "").strip().casefold()
        found = (pattern for pattern in self.forbid_licenses if name and fnmatchcase(name, pattern.strip().casefold()))
        return next(found, None)
