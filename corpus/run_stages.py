"""The stages of one run as it keeps them, so that questions need no code of a stage, of a plug-in least of all."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gristmill.corpus.stage import CorpusStage, PartStage, StageSpec

STAGES_FILE = "stages.json"


@dataclass(frozen=True, slots=True)
class RunStage:
    """A stage that the recipe runs."""

    name: str
    version: str
    title: str
    table: str | None  # the file that holds its output
    by_part: bool  # aligned with the documents, part by part
    aligned: tuple[str, ...]  # further files with a row for each document
    signals: bool  # its table holds signals
    spans: bool  # it finds spans, in spans.parquet

    @classmethod
    def of(cls, name: str, spec: StageSpec) -> "RunStage":
        """A stage under its name in the run."""
        by_part = isinstance(spec, PartStage)
        measures = isinstance(spec, PartStage) and bool(spec.signals or spec.chosen)
        spans = spec.spans if isinstance(spec, PartStage) else spec.table == "spans.parquet"
        sides = spec.tables if isinstance(spec, PartStage) else ()
        aligned = tuple(side.file for side in sides if side.aligned)
        return cls(name, spec.version, spec.title, spec.table, by_part, aligned, measures, spans)


@dataclass(frozen=True, slots=True)
class RunStages:
    """All stages of a run, in order, and what the stages that it lacks would have done."""

    stages: tuple[RunStage, ...]
    unscanned: Mapping[str, str]  # by stage, as a card says it

    @classmethod
    def of(cls, running: Iterable[tuple[str, StageSpec]], known: Iterable[StageSpec]) -> "RunStages":
        """From the stages that run under their names, and all that there are."""
        stages = tuple((name, spec) for name, spec in running)
        done = {spec.unscanned for _, spec in stages}
        missing = {spec.name: spec.unscanned for spec in known if spec.unscanned and spec.unscanned not in done}
        return cls(tuple(RunStage.of(name, spec) for name, spec in stages), missing)

    @property
    def names(self) -> tuple[str, ...]:
        """Names in order."""
        return tuple(stage.name for stage in self.stages)

    @property
    def not_done(self) -> tuple[str, ...]:
        """What none of the stages that run does, each once."""
        return tuple(dict.fromkeys(self.unscanned.values()))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"stages": [asdict(stage) for stage in self.stages], "unscanned": dict(self.unscanned)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "RunStages":
        """The inverse of ``to_json``."""
        return cls(
            tuple(RunStage(**{**stage, "aligned": tuple(stage["aligned"])}) for stage in value["stages"]),
            value["unscanned"],
        )


def runnable(specs: Iterable[StageSpec]) -> list[StageSpec]:
    """Stages that leave a manifest."""
    return [spec for spec in specs if isinstance(spec, PartStage | CorpusStage)]
