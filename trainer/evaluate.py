"""Loss on held-out rows, domain by domain, beside what a model without any context would reach."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gristmill.handoff.reader import ShardReader
from gristmill.trainer.config import TrainConfig
from gristmill.trainer.data import Packed, pack
from gristmill.trainer.loss import cross_entropy
from gristmill.trainer.metrics import load_figures
from gristmill.trainer.model import Model
from gristmill.trainer.precision import matmuls
from gristmill.trainer.stage import DomainLoss, Heldout, Load


@torch.no_grad()
def evaluate(model: Model, heldout: dict[str, list[Packed]], config: TrainConfig, unigrams: Tensor) -> Heldout:
    """Measure the model on held-out batches.

    Parameters
    ----------
    heldout : batches of every domain, see ``read_heldout``
    unigrams : int64[V], how often each token was trained on

    Returns
    -------
    losses over all predicted tokens and of each domain; ``load`` is of all tokens
    """
    was_training = model.training
    model.eval()
    surprise = unigram_surprise(unigrams)
    measured = {name: _measure(model, batches, config, surprise) for name, batches in heldout.items()}
    counts = sum((used for _, used in measured.values()), torch.zeros((), dtype=torch.int64))
    model.train(was_training)
    load = load_figures(counts) if counts.ndim else None
    return _overall({name: domain for name, (domain, _) in measured.items()}, load)


def _measure(model: Model, batches: list[Packed], config: TrainConfig, surprise: Tensor) -> tuple[DomainLoss, Tensor]:
    """A domain's losses, and the tokens of each layer and expert, int64[layers, E]."""
    loss = unigram = 0.0
    tokens, counts = 0, torch.zeros((), dtype=torch.int64)
    for host in batches:
        batch = host.to(config.device)
        with matmuls(config.precision, config.device):
            out = model(batch)
            _, each = cross_entropy(out.hidden[batch.inputs], model.embedding, batch.targets)
        loss += float(each.double().sum())
        unigram += float(surprise[host.targets].sum())
        tokens += len(each)
        counts = counts + torch.stack([routing.counts for routing in out.routings]).cpu()
    mean = max(tokens, 1)
    return DomainLoss(loss / mean, unigram / mean, tokens), counts


def _overall(domains: dict[str, DomainLoss], load: Load | None) -> Heldout:
    tokens = sum(domain.tokens for domain in domains.values())
    if not tokens:
        return Heldout(None, None, 0, domains, load)
    loss = sum(domain.loss * domain.tokens for domain in domains.values())
    unigram = sum(domain.unigram * domain.tokens for domain in domains.values())
    return Heldout(loss / tokens, unigram / tokens, tokens, domains, load)


def unigram_surprise(counts: Tensor) -> Tensor:
    """Nats that each token costs a model which knows only how often it was trained on: float64[V].

    -ln((count + 1) / (total + V)), Laplace's add-one rule. Its mean over held-out targets is the cross entropy that
    a context-free model reaches; a language model that does not beat it has learnt no language.

    >>> [round(v, 3) for v in unigram_surprise(torch.tensor([2, 0])).tolist()]
    [0.288, 1.386]
    """
    smoothed = counts.double().cpu() + 1
    return -(smoothed / smoothed.sum()).log()


def read_heldout(folder: Path, domains: tuple[str, ...], config: TrainConfig) -> dict[str, list[Packed]]:
    """Up to ``heldout_rows`` rows of every domain that has some, spread evenly over its shards."""
    found: dict[str, list[Packed]] = {}
    for number, name in enumerate(domains):
        reader = ShardReader(folder / name) if (folder / name).exists() else None
        if reader is None or not reader.rows:
            continue
        rows = np.unique(np.linspace(0, reader.rows - 1, min(config.heldout_rows, reader.rows)).astype(np.int64))
        pieces = [rows[at : at + config.batch_rows] for at in range(0, len(rows), config.batch_rows)]
        found[name] = [_packed(reader, piece, number) for piece in pieces]
    return found


def _packed(reader: ShardReader, rows: np.ndarray, domain: int) -> Packed:
    return pack(reader.tokens(rows), np.full(len(rows), domain), *reader.slices(rows), reader.mask(rows))
