"""RUN/train/lineage.json, read without torch: what a training began from or learned from, for gc and takedown."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gristmill.corpus.state_files import read_typed

LINEAGE = "train/lineage.json"
_LOST = "put it back from a copy: it alone says which runs the training of this one began from"


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A training, or weights, that a training depends on. ``trainer.training.lineage`` writes it."""

    run: str  # NAME/ID or a whole path; empty for weights outside of any run
    checkpoint: str  # sha256 of the weights
    kind: str  # warm, teacher, proxy


def read_lineage(run: Path) -> Sequence[Ancestor]:
    """What the training of a run depends on; none where it has no such file, DamagedFileError where that is unknown."""
    path = run / LINEAGE
    return read_typed(tuple[Ancestor, ...], path, _LOST) if path.exists() else ()
