"""The recipe: one frozen object that says everything about a corpus. Unknown keys are mistakes.

The sections of stages stand beside their stages; here are those that belong to no stage, and the whole. Rooms never see
a recipe, they take plain values or their own section.
"""

from functools import reduce
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from gristmill.corpus.recipe_values import Section, Slug, parse_amount
from gristmill.corpus.use_policy import EVALUATE, UsePolicy
from gristmill.data_cards.stage import CardSpec
from gristmill.dedup.clusters.stage import Near
from gristmill.dedup.repeats.stage import Lines, Substrings
from gristmill.filters.decide.stage import Decide
from gristmill.filters.line_edits.stage import LineEdits
from gristmill.filters.lists.stage import Blocklist, Decontaminate
from gristmill.filters.models.stage import Classifier, Compression, Entropy, Language, Reference
from gristmill.filters.pii.stage import Pii
from gristmill.flows.pipeline.unattended import Drift
from gristmill.flows.pipeline.unattended import Schedule as Schedule
from gristmill.knowledge.stage import Knowledge
from gristmill.mixing.stage import Mixing, Phase
from gristmill.mixing.tuning import Tune
from gristmill.sources.stage import Limits, SourceSpec
from gristmill.tokenizer.stage import FillInMiddle, Shards, Specials, Tokenizer
from gristmill.trainer.config import FREE
from gristmill.trainer.stage import Trainer


class Dedup(Section):
    """Duplicates."""

    near: Near = Near()
    lines: Lines | None = None
    substrings: Substrings | None = None


class Handoff(Section):
    """What may be handed over."""

    forbid_licenses: tuple[str, ...] = ()  # names or patterns, "CC-BY-NC*": documents of these never reach rows


class Engine(Section):
    """How parts are computed; never changes what is computed."""

    workers: Annotated[int, Field(ge=0)] = 0  # 0 = all cores
    address: str | None = None  # a running Dask scheduler, tcp://...


class StoreSpec(Section):
    """Where outputs are kept."""

    path: str | None = None  # a folder or s3://...; $GRISTMILL_HOME/store when left out
    check_space: bool = True  # refuse to begin where the disk looks too small for what is to be written
    scrub_bytes: Annotated[int, BeforeValidator(parse_amount), Field(ge=0)] = 256_000_000  # compared more, oldest first
    trust_mtime: bool = True  # an input whose size and times are as when it was read last is not read for its digest


class Recipe(Section):
    """One corpus."""

    name: Slug
    seed: Annotated[int, Field(ge=0)]
    description: str = ""
    plugins: tuple[str, ...] = ()  # files beside the recipe ("./my_signals.py") and installed modules
    sources: Annotated[tuple[SourceSpec, ...], Field(min_length=1)]
    limits: Limits = Limits()
    language: Language | None = None
    line_edits: LineEdits | None = None
    pii: Pii = Pii()
    blocklist: Blocklist | None = None
    decontaminate: Decontaminate | None = None
    classifiers: tuple[Classifier, ...] = ()
    references: tuple[Reference, ...] = ()
    compression: Compression | None = None
    entropy: Entropy | None = None
    decide: Decide = Decide()
    dedup: Dedup = Dedup()
    knowledge: Knowledge | None = None
    curriculum: tuple[Phase, ...] = ()
    mixing: Mixing = Mixing()
    tune: Tune | None = None
    tokenizer: Tokenizer = Tokenizer()
    fill_in_middle: FillInMiddle | None = None
    shards: Shards = Shards()
    handoff: Handoff = Handoff()
    trainer: Trainer | None = None
    card: CardSpec | None = None
    schedule: Schedule | None = None
    drift: Drift | None = None
    engine: Engine = Engine()
    store: StoreSpec = StoreSpec()

    @property
    def domains(self) -> tuple[str, ...]:
        """Domains of kept documents, sorted: of the sources, and those that [knowledge.domains] gives to types."""
        named = self.knowledge.domains if self.knowledge else ()
        return tuple(sorted({*self.source_domains, *named}))

    @property
    def source_domains(self) -> tuple[str, ...]:
        """Domains of the sources, sorted: what rules and line edits go by."""
        return tuple(sorted({source.domain for source in self.sources}))

    @property
    def sources_by_domain(self) -> dict[str, list[str]]:
        """Names of the sources that each domain comes from, sorted: what names a corpus that a mixture was tuned on."""
        return {name: sorted(one.name for one in self.sources if one.domain == name) for name in self.domains}

    @property
    def special_tokens(self) -> Specials:
        """What [tokenizer] names, and the marks of [fill_in_middle]."""
        marks = self.fill_in_middle
        return marks.added_to(self.tokenizer.specials) if marks else self.tokenizer.specials

    @property
    def use_policy(self) -> UsePolicy:
        """What may be done with the documents of each source."""
        return UsePolicy.of({one.name: one.use for one in self.sources}, self.handoff.forbid_licenses)

    @property
    def priorities(self) -> dict[str, int]:
        """Of sources in a cluster; an evaluation source comes first, or a copy of its text would be trained on."""
        highest = max(one.priority for one in self.sources) + 1
        return {one.name: highest if one.use == EVALUATE else one.priority for one in self.sources}

    def at(self, key: str) -> Any:
        """The section at a key such as ``dedup.near``; None where the recipe has none.

        Sources for evaluation are looked for in all others, whether or not the recipe has [decontaminate].
        """
        if key == "decontaminate" and self.decontaminate is None and self.use_policy.evaluate:
            return Decontaminate()
        return reduce(lambda section, step: getattr(section, step, None), key.split("."), self)

    @property
    def drops_contaminated(self) -> bool:
        """Whether a document that holds an evaluation passage is dropped."""
        asked = self.at("decontaminate")
        return asked is not None and asked.action == "drop"

    def locked(self) -> dict[str, Any]:
        """What decides the corpus, as plain JSON: not where, when and how it is computed, nor what was tuned."""
        aside: Any = {
            "engine": True,
            "store": True,
            "schedule": True,
            "drift": True,
            "plugins": True,
            "tune": True,
            "sources": {"__all__": {"renamed"}},  # the names that it leads to stand in the lock
            "dedup": {"near": {"index"}},
            # digests of files are artefacts
            "tokenizer": {"from_", "compare", *(["path"] if self.tokenizer.from_ else [])},
        }
        return self.model_dump(mode="json", exclude=aside | {"trainer": set(FREE)})
