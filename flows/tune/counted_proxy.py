"""Proxy runs of the first tier: models by counts, in milliseconds, straight from shards. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from gristmill.corpus.files import write_json
from gristmill.corpus.receipt import Outcome
from gristmill.corpus.typed_json import to_json
from gristmill.flows.tune.proxy_task import TASK_FILE, DomainBits, DomainEpochs, ProxyFacts, ProxyTask, is_fitted
from gristmill.handoff.reader import ShardReader
from gristmill.mixing.count_model import CountModel, Pairs
from gristmill.mixing.proxy_rows import ProxyRows, Scale, proxy_rows
from gristmill.mixing.tuning import PRESETS
from gristmill.trainer.training.bits_per_byte import DocumentSums, bits_per_byte, token_bytes


def count_proxy(
    folder: Path, shards: Mapping[str, Path], heldout: Mapping[str, Path], tokenizer: Path, task: ProxyTask
) -> Outcome:
    """Count one mixture's tokens and measure bits per byte by domain; rows = rows drawn, facts: ``ProxyFacts``.

    Parameters
    ----------
    folder : gets task.json; what was found stands in the receipt
    shards, heldout : by domain
    """
    vocab = ShardReader(next(iter(shards.values()))).index["vocab_size"]
    drawn = draw(shards, task)
    counted = []
    for name, one in drawn.items():
        seen = one.times > 0
        pairs, row = Pairs.of(ShardReader(shards[name]), one.rows[seen])
        counted.append((pairs, one.times[seen][row[pairs.slice]]))
    model = CountModel.fit(counted, vocab, PRESETS[task.preset].order)
    spelled = spelled_bytes(tokenizer, vocab)
    halves = {name: _measure(model, heldout_text(path, task.preset), spelled) for name, path in sorted(heldout.items())}
    facts = ProxyFacts(
        {name: half[True] for name, half in halves.items()},
        {name: half[False] for name, half in halves.items()},
        {name: DomainEpochs(one.epochs, one.wanted_epochs) for name, one in drawn.items()},
    )
    write_json(folder / TASK_FILE, to_json(task))
    return Outcome(int(sum(one.times.sum() for one in drawn.values())), facts=to_json(facts))


def draw(shards: Mapping[str, Path], task: ProxyTask) -> dict[str, ProxyRows]:
    """The rows of each domain that has a share, by the task's seed."""
    scale, found = Scale(task.proxy_tokens, task.full_tokens), {}
    for name, share in task.shares.items():
        if share:
            index = ShardReader(shards[name]).index
            per_row = index["tokens"] / index["rows"]
            found[name] = proxy_rows(index["rows"], per_row, share, scale, task.seed)
    return found


@dataclass(frozen=True, slots=True)
class HeldoutText:
    """A domain's held-out pairs, and of each slice its document and whether the fit sees it."""

    pairs: Pairs
    documents: list[str]
    fitted: np.ndarray  # bool[n_slices]


@lru_cache(maxsize=256)
def heldout_text(folder: Path, preset: str) -> HeldoutText:
    """Read a domain's held-out rows once per process; a store entry never changes."""
    reader = ShardReader(folder)
    rows = measured_rows(reader, preset)
    documents = [one["doc_id"] for row in reader.documents(rows) for one in row]
    return HeldoutText(Pairs.of(reader, rows)[0], documents, np.array([is_fitted(one) for one in documents], bool))


def measured_rows(reader: ShardReader, preset: str) -> np.ndarray:
    """The held-out rows that proxies of a preset are measured on, int64 ascending."""
    tokens = PRESETS[preset].heldout_tokens
    wanted = min(reader.rows, max(1, tokens // reader.row_tokens)) if tokens else reader.rows
    return np.unique(np.linspace(0, max(reader.rows - 1, 0), wanted).astype(np.int64))


@lru_cache(maxsize=4)
def spelled_bytes(tokenizer: Path, vocab: int) -> np.ndarray:
    """int64[V]: bytes that each token spells."""
    spelled = token_bytes(tokenizer, vocab)
    assert spelled is not None  # a flow expects this before any job
    return spelled


def _measure(model: CountModel, text: HeldoutText, spelled: np.ndarray) -> dict[bool, DomainBits]:
    """Bits per byte of the half that the fit sees (True), and of the other."""
    pairs, n = text.pairs, len(text.documents)
    each = (model.nats(pairs), spelled[pairs.token].astype(np.float64), np.ones(len(pairs.token)))
    by_slice = [np.bincount(pairs.slice, weights=one, minlength=n) for one in each]
    found = {}
    for half in (True, False):
        at = np.flatnonzero(text.fitted == half)
        sums = DocumentSums()
        sums.add([text.documents[place] for place in at], *(one[at] for one in by_slice))
        nats, n_bytes, _ = sums.by_document()
        bits = bits_per_byte(nats, n_bytes)
        found[half] = DomainBits(bits.value, bits.standard_error, len(nats))
    return found
