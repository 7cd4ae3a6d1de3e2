"""A written model opened by transformers and compared with the one that it was written from."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gristmill.corpus.errors import TrainError
from gristmill.trainer.model.decoder import Model
from gristmill.trainer.model.packed import pack

TOLERANCE = 1e-5  # of a logit, absolute below 1 and relative above: float32 sums in another order
ROWS, LONGEST = 4, 256


@dataclass(frozen=True, slots=True)
class Parity:
    """What the comparison found; ``compared`` is False where transformers is not installed."""

    compared: bool = False
    transformers: str | None = None
    missing: tuple[str, ...] = ()  # weights that the class has and the file lacks
    unexpected: tuple[str, ...] = ()
    tokens: int = 0  # whose logits were compared
    largest_logit: float = 0.0
    largest_difference: float = 0.0

    def problems(self) -> list[str]:
        """Why the two are not one model; empty where they are, and where they were not compared."""
        found = [f"{name} is missing" for name in self.missing] + [f"{name} is unexpected" for name in self.unexpected]
        allowed = TOLERANCE * max(1.0, self.largest_logit)
        if not self.largest_difference <= allowed:  # NaN as well
            found.append(f"logits differ by {self.largest_difference:.3g}, at most {allowed:.3g} is rounding")
        return found


def compare(folder: Path, model: Model, row_tokens: int) -> Parity:
    """Open ``folder`` with transformers, where it is installed, and compare the logits of random rows, in float32.

    Raises
    ------
    TrainError : transformers cannot open the folder
    """
    if find_spec("transformers") is None:
        return Parity()
    theirs, report, version = _open(folder)
    rows = random_rows(len(model.embedding), row_tokens)
    with torch.no_grad():
        found = theirs(torch.from_numpy(rows)).logits.flatten(0, 1)
        wanted = logits_of(model, rows)
    return Parity(
        compared=True,
        transformers=version,
        missing=tuple(sorted(report["missing_keys"])),
        unexpected=tuple(sorted(report["unexpected_keys"])),
        tokens=rows.size,
        largest_logit=float(wanted.abs().max()),
        largest_difference=float((found - wanted).abs().max()),
    )


def _open(folder: Path) -> tuple[Any, dict[str, Any], str]:
    import transformers

    transformers.utils.logging.disable_progress_bar()
    try:
        opened: Any = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, output_loading_info=True
        )
    except Exception as error:  # whatever it raises, the folder is not what it should be
        raise TrainError(f"transformers {transformers.__version__} cannot open {folder}: {error}") from error
    theirs, report = opened
    return theirs.eval(), report, transformers.__version__


def random_rows(vocab_size: int, row_tokens: int) -> np.ndarray:
    """Rows of random tokens, the same in every call: int64[ROWS, up to LONGEST]."""
    return np.random.default_rng(0).integers(0, vocab_size, (ROWS, min(row_tokens, LONGEST)))


def logits_of(model: Model, rows: np.ndarray) -> Tensor:
    """Logits of every token of ``rows integers[B, L]``, each row a document: float32[B * L, V], on the CPU."""
    numbers, zeros = np.arange(len(rows)), np.zeros(len(rows), np.int64)
    batch = pack(rows, zeros, numbers, zeros, np.full(len(rows), rows.shape[1]))
    device = model.embedding.device
    return (model(batch.to(str(device))).hidden @ model.embedding.T).cpu()
