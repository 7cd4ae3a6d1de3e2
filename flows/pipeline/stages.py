"""The stages of the mill: the one list of them, and the order in which they run, which follows from what they read."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gristmill.corpus.errors import RecipeError, UnknownNameError
from gristmill.corpus.stage import EVERY_SIGNAL, EVERY_SPAN, CorpusStage, PartStage, Plugin, StageSpec
from gristmill.data_cards.stage import CARD
from gristmill.dedup.clusters.stage import CLUSTERS, SIGNATURES
from gristmill.dedup.repeats.stage import LINES, SUBSTRINGS
from gristmill.filters.decide.stage import DECIDE, EDITS
from gristmill.filters.line_edits.stage import LINE_EDITS
from gristmill.filters.lists.stage import BLOCKLIST, CONTAMINATION
from gristmill.filters.models.stage import (
    CLASSIFIER,
    CLASSIFIER_MODEL,
    COMPRESSION,
    ENTROPY,
    LANGUAGE,
    REFERENCE,
    REFERENCE_MODEL,
)
from gristmill.filters.pii.stage import PII
from gristmill.filters.signals.stage import SIGNALS
from gristmill.knowledge.stage import GRAPH, INDEX, MENTIONS, NEIGHBOURS, VERBALISE
from gristmill.mixing.stage import PIECES, PLAN
from gristmill.sources.stage import DOCUMENTS
from gristmill.tokenizer.stage import COMPARISON, HELDOUT, SHARDS, TOKENIZER, TOKENS
from gristmill.trainer.stage import TRAIN

BUILT_IN: tuple[StageSpec, ...] = (
    VERBALISE,
    GRAPH,  # before documents, some of which may be put into words from it
    DOCUMENTS,
    SIGNALS,
    LANGUAGE,
    SIGNATURES,
    INDEX,
    MENTIONS,
    LINE_EDITS,
    PII,
    BLOCKLIST,
    CONTAMINATION,
    CLASSIFIER_MODEL,
    CLASSIFIER,
    REFERENCE_MODEL,
    REFERENCE,
    COMPRESSION,
    ENTROPY,
    CLUSTERS,
    DECIDE,
    LINES,
    SUBSTRINGS,
    EDITS,
    TOKENIZER,
    COMPARISON,
    TOKENS,
    SHARDS,
    HELDOUT,
    PLAN,
    PIECES,
    NEIGHBOURS,
    TRAIN,
    CARD,
)


@dataclass(frozen=True, slots=True)
class Instance:
    """A stage as one recipe runs it: its own section, and for one of a list a name of its own."""

    spec: StageSpec
    name: str
    options: Any
    plugin: Plugin | None = None

    @property
    def signals(self) -> tuple[str, ...]:
        """Names of the signals that it measures."""
        if not isinstance(self.spec, PartStage):
            return ()
        return tuple(signal.name for signal in self.spec.measured(self.options))


def in_order(specs: Sequence[StageSpec]) -> tuple[StageSpec, ...]:
    """Stages after all that they read; of those that could come next, the first in the list.

    Raises
    ------
    RecipeError : stages that read each other

    >>> [spec.name for spec in in_order(BUILT_IN)][:3]
    ['verbalise', 'graph', 'documents']
    """
    left, done = list(specs), list[StageSpec]()
    names = {spec.name for spec in specs}
    while left:
        finished = {spec.name for spec in done}
        ready = next((spec for spec in left if set(reads(spec, specs)) & names <= finished), None)
        if ready is None:
            raise RecipeError(f"stages read each other: {', '.join(spec.name for spec in left)}")
        left.remove(ready)
        done.append(ready)
    return tuple(done)


def reads(spec: StageSpec, specs: Iterable[StageSpec]) -> tuple[str, ...]:
    """Names of the stages that it reads, groups written out."""
    groups = {
        EVERY_SIGNAL: [one.name for one in specs if isinstance(one, PartStage) and (one.signals or one.chosen)],
        EVERY_SPAN: [one.name for one in specs if one.name != spec.name and finds_spans(one)],
    }
    return tuple(dict.fromkeys(name for read in spec.reads for name in groups.get(read, [read])))


def finds_spans(spec: StageSpec) -> bool:
    """True for a stage whose spans are merged into the kept rows."""
    return spec.spans if isinstance(spec, PartStage) else spec.table == "spans.parquet"


def instances(
    specs: Sequence[StageSpec], recipe: Any, plugins: dict[str, Plugin] | None = None
) -> tuple[Instance, ...]:
    """The stages that a recipe runs, in order, each with its section.

    Parameters
    ----------
    recipe : has the method ``at``, see ``gristmill.flows.pipeline.recipe.Recipe``
    plugins : where stages from outside come from, by name of the stage
    """
    return tuple(one for spec in in_order(specs) for one in _instances(spec, recipe, (plugins or {}).get(spec.name)))


def _instances(spec: StageSpec, recipe: Any, plugin: Plugin | None) -> Iterator[Instance]:
    if not isinstance(spec, PartStage | CorpusStage):
        return
    found = recipe.at(spec.recipe_key) if spec.section else None
    if spec.each:
        for options in found or ():
            if spec.asked(options):
                yield Instance(spec, f"{spec.name}-{options.name}", options, plugin)
    elif spec.always or (spec.section is None and plugin) or (found is not None and spec.asked(found)):
        yield Instance(spec, spec.name, found, plugin)


def stages_until(chosen: Sequence[Instance], until: str | None) -> list[Instance]:
    """The stages to run, in order, up to and with ``until``, which names a stage or all of a list.

    Raises
    ------
    UnknownNameError : no stage of the mill has the name; RecipeError : this recipe does not run it
    """
    if until is None:
        return list(chosen)
    last = [place for place, one in enumerate(chosen) if until in (one.name, one.spec.name, one.spec.recipe_key)]
    if last:
        return list(chosen[: last[-1] + 1])
    runnable = [spec for spec in BUILT_IN if isinstance(spec, PartStage | CorpusStage)]
    known = {name for spec in runnable for name in (spec.name, spec.recipe_key)}
    if until in known:
        raise RecipeError(f"--until {until}: the recipe does not ask for this stage")
    raise UnknownNameError("stage", until, known | {one.name for one in chosen})


def stage_named(chosen: Sequence[Instance], name: str) -> Instance:
    """The stage of this name among those that a recipe runs."""
    return next(one for one in chosen if one.name == name)
