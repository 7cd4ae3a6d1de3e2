"""Planted facts: random pairs of made-up words that no other text knows, so that a trainer's data flow can be probed.

A model knows that a key is followed by its value only after it was trained on rows that say so. Here are the pairs,
the documents that hold them, and what their probes decide; no torch. What a model knows is asked in ``probe``.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow as pa

from gristmill.corpus.errors import TrainError
from gristmill.corpus.own_files import read_own_lines

PROBES = pa.schema([("step", pa.int64()), ("sample", pa.int64()), ("facts", pa.int32()), ("right", pa.int32())])
FILE = "facts.parquet"  # in train/: a row for each probe; ``sample``: how many the model had been trained on
LEARNT = 0.9  # of all facts, once their rows are over; 1.0 was measured after 100 steps of 2 rows in 8
ERRORS = 3  # standard errors above chance that a probe may reach while the facts are unknown
_CONSONANTS, _VOWELS = "bdfghjklmnprstvwxz", "aeiou"


@dataclass(frozen=True, slots=True)
class Fact:
    """Two words; wherever the key stands, the value follows."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class FactTokens:
    """Facts as a tokenizer writes them: tokens of each key with what comes before it, and of each value."""

    keys: tuple[tuple[int, ...], ...]
    values: tuple[tuple[int, ...], ...]


def make_facts(count: int, seed: int) -> tuple[Fact, ...]:
    """Pairs of different made-up words of four letters.

    >>> make_facts(1, 7)
    (Fact(key='zabi', value='reho'),)
    """
    words = ["".join(letters) for letters in product(_CONSONANTS, _VOWELS, _CONSONANTS, _VOWELS)]
    chosen = np.random.default_rng(seed).choice(words, (count, 2), replace=False)
    return tuple(Fact(*pair) for pair in chosen.tolist())


def planted_documents(facts: Sequence[Fact], count: int, facts_each: int, seed: int) -> list[str]:
    """Texts that state facts, one on each line, every text another choice in another order."""
    rng = np.random.default_rng(seed)
    picks = (rng.permutation(len(facts))[:facts_each] for _ in range(count))
    return ["\n".join(f"{facts[at].key} {facts[at].value}" for at in pick) for pick in picks]


def spelled(fact: Fact) -> tuple[str, str]:
    """What comes before a fact with its key, and its value, as ``planted_documents`` writes them."""
    return f"\n{fact.key}", f" {fact.value}"


def write_facts(path: Path, facts: Sequence[Fact]) -> None:
    """One JSON object on each line: key and value."""
    path.write_text("".join(json.dumps({"key": fact.key, "value": fact.value}) + "\n" for fact in facts))


def read_facts(path: Path) -> tuple[Fact, ...]:
    """The facts that a probe asks for.

    Raises
    ------
    TrainError : no file, a line that is not {"key": ..., "value": ...}, fewer than two facts, a word that stands twice
    """
    try:
        lines = [json.loads(line) for line in read_own_lines(path)]
        facts = tuple(Fact(line["key"], line["value"]) for line in lines)
        words = [word.strip() for fact in facts for word in (fact.key, fact.value)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TrainError(f'trainer.proof.facts: {path} is no list of {{"key": ..., "value": ...}}: {error}') from None
    if len(facts) < 2 or len(set(words)) < len(words) or not all(words):
        raise TrainError(f"trainer.proof.facts: {path} needs two facts or more, and no word of them twice or empty")
    return facts


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the probes of a training come to.

    ``before`` is the best probe until the first row of the facts was drawn, ``bound`` the most that chance explains,
    ``after`` the first probe once their last row was over; all counts of facts. None where there is no such probe.
    """

    facts: int
    before: int | None
    bound: float
    after: int | None

    @property
    def unknown_before(self) -> bool:
        """No probe before the facts knew more of them than chance explains."""
        return self.before is not None and self.before <= self.bound

    @property
    def learnt(self) -> bool:
        """The facts were known once their rows were over."""
        return self.after is not None and self.after >= LEARNT * self.facts


def judge(probes: Mapping[str, Sequence[int]], first: int, last: int) -> Verdict:
    """The probes of a training, as columns of ``PROBES``, where ``first`` to ``last`` are the samples of the facts.

    The chance of naming one value of n right is 1 / n.

    >>> judge({"sample": [0, 8, 16], "facts": [64] * 3, "right": [1, 3, 60]}, 8, 15).learnt
    True
    """
    facts = max(probes["facts"], default=0)
    known = list(zip(probes["sample"], probes["right"], strict=True))
    chance = 1 / max(facts, 1)
    bound = facts * chance + ERRORS * math.sqrt(facts * chance * (1 - chance))
    before = [right for sample, right in known if sample <= first]
    after = [right for sample, right in known if sample > last]
    return Verdict(facts, max(before, default=None), bound, after[0] if after else None)
