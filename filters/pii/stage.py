"""What the recipe says of personal data, and the stage that finds it."""

from dataclasses import dataclass
from typing import Literal

from gristmill.corpus.recipe_values import Section
from gristmill.corpus.stage import PartStage, Signal

Action = Literal["mask", "drop", "count"]
KINDS = ("email", "ipv4", "ipv6", "card", "iban", "phone", "key")  # in the order of the kernels


class Pii(Section):
    """Personal data by kind; a kind left out is not looked for. drop = the rule pii_drop fails."""

    email: Action | None = None
    ipv4: Action | None = None
    ipv6: Action | None = None
    card: Action | None = None  # with its check digit
    iban: Action | None = None  # with its check sum
    phone: Action | None = None
    key: Action | None = None  # access keys, tokens, private keys

    @property
    def actions(self) -> dict[str, Action]:
        """What to do with each kind that is looked for."""
        return {kind: action for kind in KINDS if (action := getattr(self, kind))}


SIGNALS = (
    *(Signal(f"pii_{kind}", "finds", 0, None, f"personal data of the kind {kind}", "filters.pii") for kind in KINDS),
    Signal("pii_total", "finds", 0, None, "personal data of all kinds that were looked for", "filters.pii"),
    Signal("pii_drop", "finds", 0, None, "personal data of kinds that the recipe drops documents for", "filters.pii"),
)


@dataclass(frozen=True, slots=True)
class PiiFacts:
    """What was found."""

    finds: dict[str, int]  # by kind that was looked for
    masked: int  # documents with a mask


PII = PartStage(
    facts=PiiFacts,
    name="pii",
    version="5",
    title="personal data, counted and given as spans to mask",
    section=Pii,
    asked=lambda pii: bool(pii.actions),
    table="pii.parquet",
    unscanned="removal of personal data",
    measure="gristmill.filters.pii.scan:measure",
    signals=SIGNALS,
    spans=True,
)
