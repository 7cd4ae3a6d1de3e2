"""What a stage is: its name, version, what it reads, its section of the recipe, its files and its facts.

A stage is declared once, beside the code that does its work (``<room>/stage.py``), and every table of stages follows
from these declarations: order, keys, lock, plan, verify, explain, what-if and card. Here are the types alone. Nothing
heavy is imported: what a stage does is named as ``"module:function"`` and loaded when it runs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from gristmill.corpus.recipe_values import Section

if TYPE_CHECKING:
    import pyarrow as pa

Artefacts = Mapping[str, Sequence[str]]  # files that a section names, by what they are
DOCUMENTS = "documents"  # the first stage, which every other reads
EVERY_SIGNAL = "every stage that measures signals"  # stands in ``reads``
EVERY_SPAN = "every stage that finds spans"


@dataclass(frozen=True, slots=True)
class Signal:
    """One number for each document.

    ``low`` and ``high`` bound every value that is written, ends included; None where there is no bound. ``source`` is
    the publication or tool that defines the signal.
    """

    name: str
    unit: str
    low: float | None
    high: float | None
    text: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Label:
    """One short text for each document, such as a language code; never null."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class SideTable:
    """A further table that a part stage writes.

    ``schema`` names a ``pyarrow.Schema``, or a function of the options that returns one, as ``"module:name"``.
    """

    file: str
    schema: str
    aligned: bool = False  # one row for each document, in order
    noise: tuple[str, ...] = ()  # columns of hashes, which no codec makes shorter


_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Measured(NamedTuple):
    """What a ``measure`` function returns for one batch of documents.

    Columns have one value for each row of the batch, in its order; so has ``spans``, a list of (start, end, reason) in
    bytes of the text. ``facts`` is an instance of the stage's ``facts`` type; those of all batches are added up.
    """

    columns: "Mapping[str, pa.Array]" = _NOTHING
    spans: "pa.ListArray | None" = None
    facts: Any = None
    tables: "Mapping[str, pa.RecordBatch]" = _NOTHING


def no_artefacts(section: Any) -> Artefacts:  # noqa: ARG001
    """A section that names no file."""
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSpec:
    """What every stage declares.

    Parameters
    ----------
    name : unique; of its store entries, its manifest and, with ``key`` left out, its section of the recipe
    version : rises when the same input gives another output
    reads : names of stages whose output it takes; order and keys follow from them. One that the run lacks is left out
    title : what it does, for people
    section : the part of the recipe that belongs to it, read from the key ``key`` (dots lead into a table)
    always : it runs without being asked for; else only where the recipe has its section
    each : the recipe has a list of such sections, each with a ``name``, and the stage runs once for each
    asked : whether a section that is there asks for anything
    artefacts : files that a section names, by what they are; their digests stand in the lock and in keys
    libraries : ``"module:function"``, versions of libraries that decide the output
    facts : frozen dataclass of what its receipts say
    table : the file that holds its output, where that is one table
    unscanned : what a card says of a run that lacks the stage
    extra : the extra of the package without which it cannot run, see ``gristmill.corpus.extras``
    ready : ``"module:function"``, called with its section before any stage runs: what this machine lacks is an error
    """

    name: str
    version: str
    reads: tuple[str, ...] = ()
    title: str = ""
    section: type[Section] | None = None
    key: str = ""
    always: bool = False
    each: bool = False
    asked: Callable[[Any], bool] = bool
    artefacts: Callable[[Any], Artefacts] = no_artefacts
    libraries: str | None = None
    facts: type | None = None
    table: str | None = None
    unscanned: str = ""
    extra: str = ""
    ready: str | None = None

    @property
    def recipe_key(self) -> str:
        """Where its section stands in a recipe."""
        return self.key or self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class PartStage(StageSpec):
    """A stage that measures documents part by part: one call of ``measure`` for each batch.

    Parameters
    ----------
    measure : ``"module:function"``, called as ``(batch, options, state) -> Measured``; pure, without a loop over
        documents where speed counts. In a plug-in ``":function"`` is a function of the same file
    prepare : ``"module:function"``, called once a part as ``(options, artefacts) -> state``, where artefacts are
        local paths; state is None without it
    conclude : ``"module:function"``, called once a part as ``(facts, folder, options, state) -> facts``, with the sum
        of the facts of its batches; without it the sum stands
    columns : what it reads of the documents; doc_id, source and text always
    signals : everything it may measure; ``chosen`` says which of them, or which others, under given options
    spans : it finds spans of bytes, written to spans.parquet; ``overlapping`` where one may lie over another
    labels, tables : further columns of its table, and further tables
    made : an artefact that a stage it reads makes where the section names no file: what it is, and its file there
    options : what ``measure`` is given, from the section and a seed; the section itself when left out
    purpose : what that seed is derived for
    rows_at_once : documents in one batch at most, where what is measured is wide beside a short text; 0: a row group's
    of_use : documents of the sources with this use are artefacts too, by the name of the source
    """

    reads: tuple[str, ...] = (DOCUMENTS,)
    measure: str
    prepare: str | None = None
    conclude: str | None = None
    columns: tuple[str, ...] = ()
    signals: tuple[Signal, ...] = ()
    chosen: Callable[[Any], Sequence[Signal]] | None = None
    spans: bool = False
    overlapping: bool = False
    labels: tuple[Label, ...] = ()
    tables: tuple[SideTable, ...] = ()
    made: tuple[str, str] | None = None
    options: Callable[[Any, int], Section] | None = None
    purpose: str = ""
    of_use: str = ""
    rows_at_once: int = 0

    def measured(self, options: Any) -> tuple[Signal, ...]:
        """The signals that it writes under these options, in the order of its table."""
        return self.signals if self.chosen is None else tuple(self.chosen(options))


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusStage(StageSpec):
    """A stage that sees the corpus whole. ``run`` is called as ``(context)`` and writes its manifest."""

    run: str


@dataclass(frozen=True, slots=True)
class Plugin:
    """Where a stage or reader from outside comes from.

    ``source`` is the text of a file, which travels to workers and is kept in the run; None for an installed package,
    which workers have themselves. ``sha256`` is over the file, or over all files of the package.
    """

    name: str
    version: str
    sha256: str
    source: str | None = field(default=None, repr=False)


def load(reference: str) -> Any:
    """What ``"module:name"`` names.

    >>> load("gristmill.corpus.stage:no_artefacts")(None)
    {}
    """
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)
