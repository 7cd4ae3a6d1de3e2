"""What the recipe says of tuning, and the presets: which small model stands for the full one.

A proxy run trains on a mixture of few tokens and is measured in bits per byte by domain on the held-out documents.
Nothing heavy is imported.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field

from gristmill.corpus.errors import nearest
from gristmill.corpus.recipe_values import Amount, Mistake, Positive, Section
from gristmill.mixing.stage import Shares

TUNED_FILE = "mixture.json"
LEAST_RUNS = 16  # below it a fit has fewer than ten runs, and a comparison fewer than three pairs
LEAST_PAIRS, PAIRS_PART = 3, 8  # an eighth of the runs is paired: chosen mixture and prior with equal seeds


@dataclass(frozen=True, slots=True)
class Preset:
    """A proxy: a model of ``order`` tokens by counts, or with ``trainer`` the trainer's with these values.

    ``heldout_tokens`` are measured in each domain, spread evenly over its rows; 0 = all. ``tokens_per_second`` of
    training on one core and ``run_seconds`` beside it were measured on recipes/tune-sample.toml; they give the cost
    that is printed first, and nothing else.
    """

    order: int
    tokens_per_second: float
    run_seconds: float
    trainer: Mapping[str, Any] = field(default_factory=dict)
    heldout_tokens: int = 0

    @property
    def step_rows(self) -> int:
        """Rows that one step takes; a proxy run shorter than a step is none."""
        return int(self.trainer.get("batch_rows", 1))


_TINY: Mapping[str, Any] = {
    "model": {"layers": 2, "width": 64, "heads": 2, "experts": 4, "expert_width": 64},
    "batch_rows": 8,
    "warmup_steps": 10,
    "learning_rate": 1e-2,
}
_SMALL: Mapping[str, Any] = {
    "model": {"layers": 3, "width": 128, "heads": 4, "experts": 8, "expert_width": 128},
    "batch_rows": 8,
    "learning_rate": 5e-3,
}
PRESETS: Mapping[str, Preset] = {
    "unigram": Preset(order=1, tokens_per_second=4e6, run_seconds=0.1),
    "bigram": Preset(order=2, tokens_per_second=4e6, run_seconds=0.1),
    "moe-tiny": Preset(0, 1e4, 4.0, _TINY, heldout_tokens=16_384),
    "moe-small": Preset(0, 3e3, 7.0, _SMALL, heldout_tokens=16_384),
}


class Tune(Section):
    """Mixture tuning with proxy runs: `gristmill tune RECIPE`. It changes no run: what it finds is pasted or named."""

    runs: Annotated[int, Field(ge=LEAST_RUNS)] = (
        64  # proxy runs in all: of the swarm, and of the comparison with the prior
    )
    tokens: Amount = 100_000  # of documents, in each proxy run
    preset: str = "bigram"  # or "unigram", "moe-tiny", "moe-small": the model of a proxy run
    objective: Mapping[str, Positive] = {}  # weight of a domain's bits per byte; empty = all domains alike
    prior: Shares | None = None  # the mixture to start from, as in [[curriculum]]; left out: "proportional"

    def mistakes(self) -> Iterator[Mistake]:
        """A preset that there is not, and a prior out of a tuning."""
        if self.preset not in PRESETS:
            yield Mistake(("preset",), f"unknown preset {self.preset!r}{nearest(self.preset, PRESETS)}")
        if self.prior_name.startswith("tuned:"):
            yield Mistake(("prior",), "a tuned file is no prior; copy its shares here")

    @property
    def prior_name(self) -> str:
        """The text of ``prior`` where it is no table."""
        return "" if isinstance(self.prior, dict) else self.prior or "proportional"

    @property
    def prior_table(self) -> Mapping[str, float]:
        """Shares of ``prior``; empty where it is a name."""
        return self.prior if isinstance(self.prior, dict) else {}

    @property
    def pairs(self) -> int:
        """Pairs of runs, chosen mixture and prior with equal seeds, that the fit does not see."""
        return max(LEAST_PAIRS, self.runs // PAIRS_PART)

    @property
    def fitted_runs(self) -> int:
        """Runs of the swarm, repeats included."""
        return self.runs - 2 * self.pairs


def tuning_mistakes(tune: Tune, row_tokens: int, heldout: float, full_tokens: int | None) -> Iterator[Mistake]:
    """What [tune] needs of other tables: a step at least, held-out documents, a full run longer than a proxy's.

    Parameters
    ----------
    row_tokens, heldout : of [shards]
    full_tokens : tokens of the run that is tuned for; None where the recipe does not say
    """
    step = row_tokens * PRESETS[tune.preset].step_rows if tune.preset in PRESETS else 0
    if tune.tokens < step:
        text = f"{tune.tokens} tokens are less than one step of preset {tune.preset!r}, {step} tokens"
        yield Mistake(("tune.tokens", "tune.preset", "shards.row_tokens"), text)
    if not heldout:
        yield Mistake(("shards.heldout", "tune"), "nothing is held out, and tuning measures on held-out documents")
    if full_tokens and tune.tokens > full_tokens:
        text = f"a proxy run of {tune.tokens} tokens is longer than the run it stands for, of {full_tokens}"
        yield Mistake(("tune.tokens", "mixing.budget"), text)
