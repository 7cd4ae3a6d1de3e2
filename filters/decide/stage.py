"""What the recipe says of rules and profiles, and the stage that decides."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gristmill.corpus.recipe_values import Mistake, Number, Section
from gristmill.corpus.stage import EVERY_SIGNAL, EVERY_SPAN, Artefacts, CorpusStage


class RuleBound(Section):
    """Bounds of one rule, over those of its profile."""

    at_least: Number | None = None
    at_most: Number | None = None
    off: bool = False

    def mistakes(self) -> Iterator[Mistake]:
        """Bounds that no value meets."""
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            text = f"{self.at_least:g} is above at_most {self.at_most:g}, so that no value passes"
            yield Mistake(("at_least", "at_most"), text)


class OwnRule(RuleBound):
    """A rule of a profile of one's own."""

    signal: str | None = None  # the rule's name when left out
    languages: tuple[str, ...] = ()  # primary subtags: judges documents of these alone, all when empty
    source: str = ""  # where the bounds come from


class OwnProfile(Section):
    """A profile of one's own: [decide.profiles.NAME]."""

    like: tuple[str, ...] = ()  # profiles whose rules it begins with
    rules: dict[str, OwnRule] = {}
    version: str = "1"
    source: str = ""


class DomainRules(Section):
    """Profiles and bounds of one domain, in place of the common ones."""

    profiles: tuple[str, ...] = ()
    rules: dict[str, RuleBound] = {}


class Decide(Section):
    """Which documents are kept."""

    profiles: tuple[str, ...] | dict[str, bool | OwnProfile] = ()  # names, or a table that may hold one's own
    rules: dict[str, RuleBound] = {}
    domains: dict[str, DomainRules] = {}
    decisions: str | None = None  # decisions.jsonl of the review page: people's keep and drop

    @property
    def chosen_profiles(self) -> tuple[str, ...]:
        """Names of the profiles that judge every domain without its own."""
        if isinstance(self.profiles, dict):
            return tuple(name for name, value in self.profiles.items() if value is not False)
        return self.profiles

    @property
    def own_profiles(self) -> dict[str, OwnProfile]:
        """Profiles that this recipe defines."""
        table = self.profiles if isinstance(self.profiles, dict) else {}
        return {name: value for name, value in table.items() if isinstance(value, OwnProfile)}

    def of_domain(self, domain: str) -> tuple[tuple[str, ...], dict[str, RuleBound]]:
        """Profiles and bounds that judge a domain: its own when it has any, else the common ones."""
        own = self.domains.get(domain)
        return (self.chosen_profiles, self.rules) if own is None else (own.profiles, own.rules)


def decisions_of(options: Decide) -> Artefacts:
    """The file of decisions, where the recipe names one; a file that is not there yet holds none."""
    path = options.decisions
    return {"decisions": [path]} if path and Path(path).is_file() else {}


@dataclass(frozen=True, slots=True)
class Reviewed:
    """Documents that reviewers kept and dropped, and decisions that were made on another version of the text."""

    keep: int
    drop: int
    stale: int


@dataclass(frozen=True, slots=True)
class DomainWeights:
    """A domain's weights in figures: the signal, the least and the largest, and documents without the signal."""

    by: str
    least: float
    largest: float
    unmeasured: int


@dataclass(frozen=True, slots=True)
class Quota:
    """A type's quota in documents drawn in a pass: asked, documents that name it, drawn without and with the quotas."""

    asked: int
    documents: int
    before: float
    drawn: float
    reached: bool


@dataclass(frozen=True, slots=True)
class DecideFacts:
    """Of the corpus."""

    reviewed: Reviewed = Reviewed(0, 0, 0)
    languages_by: str = "record"  # stage: the language model; record: what the inputs state, then the recipe
    no_language: int = 0  # documents whose tag names no language, such as python or und
    judges: dict[str, tuple[str, ...]] = field(default_factory=dict)  # languages by rule made for some alone
    passed_over: dict[str, dict[str, int]] = field(default_factory=dict)  # documents by rule and language, "" unknown
    weights: dict[str, DomainWeights] = field(default_factory=dict)  # of domains that have some
    quotas: dict[str, Quota] = field(default_factory=dict)  # by type, of [knowledge.quotas]


DECIDE = CorpusStage(
    facts=DecideFacts,
    name="decide",
    version="4",
    reads=("documents", EVERY_SIGNAL, "clusters"),
    title="which documents are kept, dropped or merged, and why",
    section=Decide,
    always=True,
    artefacts=decisions_of,
    table="ledger.parquet",
    run="gristmill.flows.pipeline.judge:decide",
)


@dataclass(frozen=True, slots=True)
class ReasonCounts:
    """What one reason cut or masked; spans of a document are disjoint."""

    spans: int
    bytes: int
    documents: int


@dataclass(frozen=True, slots=True)
class EditsFacts:
    """All spans, and by source and reason."""

    spans: int
    by_reason: dict[str, dict[str, ReasonCounts]]


EDITS = CorpusStage(
    name="edits",
    version="2",
    reads=("decide", "signals", EVERY_SPAN),
    title="all spans of a document in one list",
    always=True,
    facts=EditsFacts,
    table="kept.parquet",
    run="gristmill.flows.pipeline.edits:edit",
)
