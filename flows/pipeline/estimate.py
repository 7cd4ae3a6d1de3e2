"""What a run will cost in CPU seconds: the shipped table, scaled to this machine and to what this home has measured.

A stage that ran in this home teaches its rate: where work outweighs its fixed part, the rate of work; else the fixed
part. The rest is scaled by a calibration of a tenth of a second.
"""

import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gristmill.corpus.files import write_json
from gristmill.corpus.state_files import Record, read_typed
from gristmill.corpus.warmup import not_made
from gristmill.flows.pipeline.run_report import StageReport
from gristmill.flows.pipeline.stage_costs import (
    CALIBRATION_SECONDS,
    OTHER_STAGE,
    STAGES,
    START,
    VERIFY,
    StageCost,
)
from gristmill.flows.pipeline.stages import Instance
from gristmill.flows.pipeline.warming import calls_of
from gristmill.flows.pipeline.work_sizes import WorkSizes

RATES_FILE, FORMAT = "rates.json", 2
_FARTHEST = 20.0  # a measurement further from the table than this is an accident


@dataclass(frozen=True, slots=True)
class Rates:
    """Costs of stages on this machine, by name of the stage."""

    costs: Mapping[str, StageCost]
    machine: float  # CPU seconds here for one of the table's

    @classmethod
    def of_home(cls, home: Path) -> "Rates":
        """Those that runs of this home have measured, and the shipped ones scaled to the machine."""
        measured, machine = measured_costs(home), calibrate()
        shipped = {name: _scaled(cost, machine) for name, cost in STAGES.items()}
        return cls(shipped | measured, machine)

    def of(self, stage: Instance) -> StageCost:
        """The cost of a stage; of one of a list, what another of it cost."""
        found = self.costs.get(stage.name) or self.costs.get(stage.spec.name)
        return found or _scaled(OTHER_STAGE, self.machine)

    def seconds(self, stage: Instance, work: float) -> float:
        """CPU seconds of a whole stage."""
        cost = self.of(stage)
        return cost.fixed + cost.each * work


def measured_costs(home: Path) -> dict[str, StageCost]:
    """What runs of this home have measured; none of another format.

    Raises
    ------
    DamagedFileError : rates.json says something else
    """
    path = home / RATES_FILE
    if not path.exists() or read_typed(Record, path).get("format") != FORMAT:
        return {}
    return dict(read_typed(_Rates, path).stages)


@dataclass(frozen=True, slots=True)
class _Rates:
    """rates.json."""

    format: int
    stages: Mapping[str, StageCost]


def beside_stages(stages: Sequence[Instance], sizes: WorkSizes, machine: float) -> dict[str, float]:
    """CPU seconds of what is no stage: start, kernels that the cache lacks, and verify."""
    missing = not_made(list((calls := calls_of([stage.spec.name for stage in stages])).values()))
    compiled = sum(STAGES[name].compile for name, call in calls.items() if call in missing)
    verify = VERIFY.fixed + VERIFY.each * sizes.text_mb
    return {"start": machine * START, "kernels": machine * compiled, "verify": machine * verify}


def learn(home: Path, stages: Sequence[Instance], reports: Mapping[str, StageReport], sizes: WorkSizes) -> None:
    """Remember what stages cost that were computed whole in this process."""
    rates = Rates.of_home(home)
    measured = {
        stage.name: _learned(rates.of(stage), report.cpu_seconds, sizes.of(stage))
        for stage in stages
        if (report := reports.get(stage.name)) and not report.reused and report.cpu_seconds > 0
    }
    if measured:
        costs = {name: _plain(cost) for name, cost in (measured_costs(home) | measured).items()}
        write_json(home / RATES_FILE, {"format": FORMAT, "stages": costs})


def _learned(cost: StageCost, seconds: float, work: float) -> StageCost:
    """``cost`` so that this much work takes these seconds: the larger of its two parts is set."""
    of_work = cost.each * work
    if of_work >= cost.fixed and work > 0:
        each = min(max((seconds - cost.fixed) / work, cost.each / _FARTHEST), cost.each * _FARTHEST)
        return StageCost(cost.fixed, each)
    return StageCost(min(max(seconds - of_work, cost.fixed / _FARTHEST), cost.fixed * _FARTHEST), cost.each)


def _plain(cost: StageCost) -> dict[str, Any]:
    return {"fixed": round(cost.fixed, 4), "each": round(cost.each, 6)}


def _scaled(cost: StageCost, factor: float) -> StageCost:
    return StageCost(factor * cost.fixed, factor * cost.each, factor * cost.compile)


def calibrate() -> float:
    """CPU seconds here for one second of the table's machine: Python and packed bytes, the least of three rounds.

    >>> 0.05 <= calibrate() <= 20
    True
    """
    rounds = []
    for _ in range(3):
        begin = time.process_time()
        words = [str(number * number % 9973) for number in range(40_000)]
        text = " ".join(sorted(words, key=len)).encode()
        zlib.crc32(zlib.compress(text, 6))
        rounds.append(time.process_time() - begin)
    return min(max(min(rounds) / CALIBRATION_SECONDS, 0.1), 10.0)
