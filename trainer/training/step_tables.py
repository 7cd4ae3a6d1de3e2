"""The tables of one training, which grow together: metrics, consumed rows, alarms, planted facts, settled biases."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from gristmill.trainer.config import TrainConfig
from gristmill.trainer.training.alarm_log import ALARMS, note_alarms
from gristmill.trainer.training.consumption import CONSUMPTION
from gristmill.trainer.training.fact_pairs import FILE as FACTS_FILE
from gristmill.trainer.training.fact_pairs import PROBES
from gristmill.trainer.training.log import Log
from gristmill.trainer.training.metrics import StepFigures, metrics_schema
from gristmill.trainer.training.settled_tables import SETTLED, SETTLED_ROWS
from gristmill.trainer.training.watch import Watch
from gristmill.trainer.training_summary import SETTLED_FILE, SETTLED_ROWS_FILE


class StepTables:
    """What the steps of a training leave in ``out``; one rank keeps them.

    Parameters
    ----------
    run : whose rows are trained on; alarms name their documents
    domains : in the order of the plan
    """

    def __init__(self, run: Path, out: Path, config: TrainConfig, domains: Sequence[str]):
        self._run, self._out, self._config, log = run, out, config, out / "log"
        self.metrics = Log(log, "metrics", metrics_schema(domains, config.model.moe_layers, config.model.ahead))
        self.consumption = Log(log, "consumption", CONSUMPTION)
        self._alarms, self._facts = Log(log, "alarms", ALARMS), Log(log, "facts", PROBES)
        self.settled, self.settled_rows = Log(log, "settled", SETTLED), Log(log, "settled_rows", SETTLED_ROWS)
        self._watch = Watch(config.alarms)

    def rewind(self, step: int) -> None:
        """Forget what lies beyond ``step``, which no checkpoint covers, and take up the alarms' state behind it.

        Raises
        ------
        TrainError : what stays was written by a version with other columns
        """
        for table in self._tables:
            table.rewind(step)
        self._watch.recall(self.metrics.read())

    def note(self, figures: StepFigures, lines: Mapping[str, np.ndarray | pa.Array]) -> None:
        """Note a step: its figures, the lines of all rows that it consumed, and what its figures set off."""
        row = figures.row()
        alarms = list(self._watch.see(row))
        for one in note_alarms(self._run, alarms, self._config.batch_rows, lines):
            self._alarms.append(one)
        self.consumption.append(lines)
        self.metrics.append({name: [value] for name, value in {**row, "alarms": len(alarms)}.items()})

    def note_facts(self, step: int, sample: int, facts: int, right: int) -> None:
        """Note how many of the planted facts the model knows behind a step."""
        self._facts.append({"step": [step], "sample": [sample], "facts": [facts], "right": [right]})

    def note_settled(self, biases: Mapping[str, np.ndarray], rows: Mapping[str, list]) -> None:
        """Note what settling did behind the last step."""
        self.settled.append(biases)
        self.settled_rows.append(rows)

    def seal(self, step: int) -> None:
        """Write what waits, which ends with step ``step``, durably."""
        for table in self._tables:
            table.seal(step)

    def join(self) -> pa.Table:
        """Write each table to one file, those of facts and of settling where there are any; the metrics."""
        self.consumption.join(self._out / "consumption.parquet")
        self._alarms.join(self._out / "alarms.parquet")
        settled = {SETTLED_FILE: self.settled, SETTLED_ROWS_FILE: self.settled_rows}
        for name, table in {FACTS_FILE: self._facts, **settled}.items():
            if table.read().num_rows:
                table.join(self._out / name)
        return self.metrics.join(self._out / "metrics.parquet")

    @property
    def _tables(self) -> tuple[Log, ...]:
        return self.metrics, self.consumption, self._alarms, self._facts, self.settled, self.settled_rows
