"""What stages cost, in CPU seconds of the machine that the table was measured on: the one table that estimates rest on.

Measured by ``python bench/plan_estimate.py`` (sample recipe, warm and cold kernels; two cores at 2.6 GHz that other
processes kept busy, so that caches were cold too). Training was measured on five models, from 512 to 8,192 entries of
vocabulary and 32 to 256 wide: the formula of ``training_seconds`` is within a fifth of four of them.
What a stage works on stands in ``work_sizes``; ``estimate`` scales the table to a machine and to what it measured.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StageCost:
    """CPU seconds of a stage: ``fixed``, and ``each`` for every unit of its work."""

    fixed: float
    each: float
    compile: float = 0.0  # of its kernels, where the cache lacks them


OTHER_STAGE = StageCost(0.2, 0.1)  # of a plug-in, in Python; replaced once it has run
STAGES: dict[str, StageCost] = {  # the unit is a MB of text unless work_sizes says otherwise
    "documents": StageCost(0.5, 1.0),
    "graph": StageCost(0.20, 0.060),
    "names": StageCost(0.50, 0.0),
    "signals": StageCost(0.15, 0.040, 25.0),
    "language": StageCost(0.20, 0.140),
    "signatures": StageCost(0.10, 0.010, 3.0),
    "mentions": StageCost(0.40, 0.020, 13.0),
    "line_edits": StageCost(0.10, 0.007, 12.0),
    "pii": StageCost(0.05, 0.010, 17.0),
    "blocklist": StageCost(0.10, 0.010, 2.5),
    "contamination": StageCost(0.10, 0.010, 1.5),
    "classifier-model": StageCost(0.50, 0.600),
    "classifier": StageCost(0.10, 0.150),
    "reference-model": StageCost(0.20, 0.900),
    "reference": StageCost(0.10, 0.055, 5.0),
    "compression": StageCost(0.05, 0.012),
    "entropy": StageCost(0.10, 0.050, 8.0),
    "clusters": StageCost(0.15, 0.007, 5.0),
    "decide": StageCost(0.40, 0.015, 1.0),
    "lines": StageCost(0.05, 0.008, 2.0),
    "substrings": StageCost(0.05, 0.010, 1.5),
    "edits": StageCost(0.10, 0.003),
    "tokenizer": StageCost(0.50, 1.0, 9.0),
    "tokenizer-comparison": StageCost(0.20, 0.20),  # each by kernels; one that the library encodes costs 0.4 a MB more
    "tokens": StageCost(0.20, 0.085),
    "shards": StageCost(0.10, 0.012),
    "heldout": StageCost(0.15, 0.002),
    "plan": StageCost(0.10, 0.0, 5.5),
    "pieces": StageCost(0.10, 0.003),
    "neighbours": StageCost(1.5, 0.020, 2.0),
    "train": StageCost(4.0, 1.0, 10.5),
    "card": StageCost(6.0, 0.05),
}
# CPU seconds for each MB of unpacked input, and the share of it that becomes text, by reader
READING: dict[str, tuple[float, float]] = {
    "jsonl": (0.035, 0.90),
    "parquet": (0.025, 1.00),
    "arrow": (0.025, 1.00),
    "csv": (0.060, 0.90),
    "text": (0.040, 1.00),
    "html": (0.150, 0.35),
    "warc": (0.120, 0.15),
    "wet": (0.060, 0.95),
}
OTHER_READER = (0.200, 0.90)
KEPT_SHARE = 0.7  # of the text, before a run has decided
START = 16.0  # interpreter, libraries and Prefect's own server, beside the stages
VERIFY = StageCost(1.0, 0.05)  # by MB of text
CALIBRATION_SECONDS = 0.0215  # of a round of estimate.calibrate, on the machine of this table


def tokenizer_seconds(sample_mb: float, vocab_size: int) -> float:
    """Training byte-level BPE: counting words, then a merge for each entry."""
    return 0.25 * sample_mb + 0.40 * vocab_size / 1000


def training_seconds(*, steps: float, step_tokens: int, layers: int, layer_weights: int, head_weights: int) -> float:
    """CPU seconds of training steps: each has overhead, a share by token and layer, and multiplications.

    Parameters
    ----------
    layer_weights : of all layers, those that one token meets
    head_weights : vocabulary times width, with the loss over the vocabulary
    """
    multiplied = 0.084 * layer_weights + 0.078 * head_weights
    return steps * (0.020 + 25e-6 * step_tokens * layers + 1e-9 * step_tokens * multiplied)
