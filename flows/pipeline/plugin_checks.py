"""What is wrong with what a plug-in declares, and between the stages of a recipe, before any document is read."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, is_dataclass
from typing import Any, get_type_hints

from pydantic import BaseModel

from gristmill.corpus.errors import SourceError
from gristmill.corpus.recipe_values import Mistake
from gristmill.corpus.stage import PartStage, Plugin, Signal, StageSpec
from gristmill.flows.pipeline.catalogue import Catalogue
from gristmill.flows.pipeline.recipe import Recipe
from gristmill.flows.pipeline.stages import BUILT_IN, Instance
from gristmill.sources.catalogue import with_readers
from gristmill.sources.reader import Reader

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")  # of a folder of the store, and of a section
_SIGNAL = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")  # stands in keys such as decide.rules.NAME.at_least
_TABLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\.parquet")
_OWN_FILES = {"spans.parquet", "receipt.json"}
_BESIDE = {"lang_id", "part", "row", "bytes"}  # stand beside signals when rules judge, as columns of documents do


@dataclass(slots=True)
class Taken:
    """Names that are taken, each with who has it."""

    plugins: dict[str, str] = field(default_factory=dict)
    stages: dict[str, str] = field(default_factory=dict)
    sections: dict[str, str] = field(default_factory=dict)
    signals: dict[str, str] = field(default_factory=dict)
    readers: list[Reader] = field(default_factory=list)

    @classmethod
    def by_the_mill(cls) -> "Taken":
        """What the mill itself declares."""
        mine = cls(sections=dict.fromkeys(Recipe.model_fields, "the mill"))
        for spec in BUILT_IN:
            mine._declare("the mill", spec)
        return mine

    def add(self, plugin: Plugin, stages: Iterable[StageSpec], readers: Iterable[Reader] = ()) -> None:
        """A plug-in and what it declares."""
        who = f"plug-in {plugin.name!r}"
        self.plugins[plugin.name] = who
        self.readers += readers
        for spec in stages:
            self._declare(who, spec)
            if spec.section is not None:
                self.sections.setdefault(spec.recipe_key, who)

    def _declare(self, who: str, spec: StageSpec) -> None:
        self.stages.setdefault(spec.name, who)
        for signal in spec.signals if isinstance(spec, PartStage) else ():
            self.signals.setdefault(signal.name, who)


def declared_faults(plugin: Plugin, stages: Sequence[PartStage], readers: Sequence[Reader], taken: Taken) -> list[str]:
    """Every mistake in what a plug-in declares; it is added to ``taken`` then."""
    who = f"plug-in {plugin.name!r}"
    faults: list[str] = []
    if plugin.name in taken.plugins:
        return [f"two plug-ins have the name {plugin.name!r}; rename one, a run keeps them by name"]
    if not stages and not readers:
        faults.append(f"{who} declares no stage and no reader; make a PartStage or a Reader a value of the module")
    for spec in stages:
        faults += [f"{who}, stage {spec.name!r}: {text}" for text in _stage_faults(spec, taken)]
        taken.add(plugin, [spec])
    faults += [f"{who}: {text}" for text in _reader_faults(readers, taken)]
    taken.add(plugin, (), readers)
    return faults


def _reader_faults(readers: Sequence[Reader], taken: Taken) -> Iterator[str]:
    for reader in readers:
        if reader.name == "graph":
            yield "reader 'graph': the mill puts a knowledge graph into words under this name; rename it"
        if reader.read.partition(":")[0].endswith(".py"):
            yield f"reader {reader.name!r}: {reader.read!r} is a file of its own, which no worker has; read=':NAME'"
        if reader.names is not None and not _is_pattern(reader.names):
            yield f"reader {reader.name!r}: names = {reader.names!r} is no regular expression"
        if reader.fills_part or reader.split:
            yield f"reader {reader.name!r}: one from outside yields Record and Reject; leave fills_part and split out"
    try:
        with_readers([*taken.readers, *readers])
    except SourceError as error:
        yield str(error)


def _is_pattern(text: str) -> bool:
    try:
        re.compile(text)
    except (re.error, TypeError):
        return False
    return True


def _stage_faults(spec: PartStage, taken: Taken) -> Iterator[str]:
    if not _is_named(_NAME, spec.name):
        yield "its name is not letters, digits, _ and -, at most 64"
    if spec.name in taken.stages:
        yield f"{taken.stages[spec.name]} has a stage of this name already; rename it"
    if not isinstance(spec.version, str) or not spec.version:
        yield 'its version is no text; write version="1"'
    if not isinstance(spec.measure, str) or ":" not in spec.measure:
        yield 'measure is no "module:function"; write measure=":NAME" for a function of the same file'
    if tuple(spec.reads) != ("documents",) or spec.made:
        yield "a stage from outside reads the documents alone; leave reads and made out"
    if spec.facts is not None and not (isinstance(spec.facts, type) and is_dataclass(spec.facts)):
        yield "its facts are no dataclass"
    if spec.extra:
        yield "extra names an extra of the mill; leave it out"
    yield from _section_faults(spec, taken)
    yield from _column_faults(spec, taken)
    yield from _file_faults(spec)


def _is_named(pattern: re.Pattern[str], name: Any) -> bool:
    return isinstance(name, str) and pattern.fullmatch(name) is not None


def _section_faults(spec: PartStage, taken: Taken) -> Iterator[str]:
    if spec.section is None:
        if spec.each or spec.key:
            yield "it has a key, or is one of a list, but no section"
        return
    if not (isinstance(spec.section, type) and issubclass(spec.section, BaseModel)):
        yield "its section is no class that derives from Section"
        return
    key = spec.recipe_key
    if not _is_named(_NAME, key):
        yield f"its key {key!r} is not letters, digits, _ and -"
    if key in taken.sections:
        yield f"{taken.sections[key]} has a section [{key}] already; give the stage a key of its own"
    if spec.each and "name" not in spec.section.model_fields:
        yield "it is one of a list, but its section has no name to tell them apart"
    if spec.options is not None and "return" not in get_type_hints(spec.options):
        yield "options has no annotation of what it returns"
    if _has_set(spec.section.model_json_schema()):
        yield "its section has a set, which no two processes hold in one order; write tuple[str, ...]"


def _has_set(schema: Any) -> bool:
    """Whether a part of a JSON schema is a set, whose order would get into keys of parts."""
    if isinstance(schema, dict):
        return schema.get("uniqueItems") is True or any(map(_has_set, schema.values()))
    return isinstance(schema, list) and any(map(_has_set, schema))


def _columns() -> list[str]:
    from gristmill.corpus.schema import DOCUMENTS  # pyarrow, which a recipe without plug-ins is checked without

    return DOCUMENTS.names


def _column_faults(spec: PartStage, taken: Taken) -> Iterator[str]:
    names = [*(label.name for label in spec.labels), *(signal.name for signal in spec.signals)]
    for name, count in Counter(names).items():
        if not _is_named(_SIGNAL, name):
            yield f"{name!r} is no name of a signal or label; write letters, digits and _"
        elif count > 1:
            yield f"it declares {name!r} twice"
        elif name in {*_columns(), *_BESIDE}:
            yield f"{name!r} is a column of the documents; rename it"
        elif name in taken.signals:
            yield f"{taken.signals[name]} measures a signal {name!r} already; rename it"
    for signal in spec.signals:
        if not _is_range(signal):
            yield f"{signal.name!r} is declared from {signal.low} to {signal.high}, which no value meets"
    unknown = sorted(set(spec.columns) - set(_columns()))
    if unknown:
        yield f"it reads {unknown[0]!r}; documents have {', '.join(_columns())}"


def _is_range(signal: Signal) -> bool:
    bounds = [bound for bound in (signal.low, signal.high) if bound is not None]
    return all(isinstance(bound, int | float) and math.isfinite(bound) for bound in bounds) and bounds == sorted(bounds)


def _file_faults(spec: PartStage) -> Iterator[str]:
    measures = spec.signals or spec.chosen or spec.labels
    if measures and spec.table is None:
        yield f'it measures signals or labels but names no table; write table="{spec.name}.parquet"'
    if spec.table is not None and not measures:
        yield "it names a table but no signal and no label to stand in it"
    elif not (measures or spec.spans or spec.tables):
        yield "it gives neither signals nor spans nor tables"
    files = [*((spec.table,) if spec.table is not None else ()), *(side.file for side in spec.tables)]
    for file, count in Counter(files).items():
        if not _is_named(_TABLE, file) or file in _OWN_FILES or count > 1:
            yield f"{file!r} is no name for a table of its own; write NAME.parquet"


def instance_mistakes(recipe: Recipe, catalogue: Catalogue) -> Iterator[Mistake]:
    """Stages of one name, or signals that two stages measure, once the options of a recipe are known."""
    names: dict[str, Instance] = {}
    signals: dict[str, Instance] = {}
    for one in sorted(catalogue.stages_of(recipe), key=lambda stage: stage.plugin is not None):  # shipped ones first
        key = (one.spec.recipe_key,)
        if one.plugin and not _is_named(_NAME, one.name):
            yield Mistake(key, f"{one.name!r} is no name of a stage; expected letters, digits, _ and -")
        if one.plugin and one.name in names:
            yield Mistake(key, f"two stages have the name {one.name!r}")
        names.setdefault(one.name, one)
        for name in one.signals:
            other = signals.setdefault(name, one)
            if other is not one and (one.plugin or other.plugin):
                yield Mistake(key, f"stage {one.name!r} measures {name!r}, which {other.name!r} measures already")
            elif one.plugin and (not _is_named(_SIGNAL, name) or name in {*_columns(), *_BESIDE}):
                yield Mistake(key, f"stage {one.name!r} measures {name!r}, which is no name for a signal")
