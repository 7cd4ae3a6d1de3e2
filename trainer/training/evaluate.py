"""Loss on held-out rows, domain by domain: in nats, in bits per byte, and beside a model without any context.

P predicted tokens, E experts, V vocabulary. Which rows these are stands in ``trainer.training.heldout_rows``.
"""

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from gristmill.trainer.config import TrainConfig
from gristmill.trainer.heldout_summary import DomainLoss, Heldout, Load
from gristmill.trainer.model.decoder import Model
from gristmill.trainer.model.loss import cross_entropy
from gristmill.trainer.model.packed import Packed
from gristmill.trainer.model.precision import matmuls
from gristmill.trainer.training.bits_per_byte import DocumentSums, bits_per_byte
from gristmill.trainer.training.heldout_rows import HeldoutRows
from gristmill.trainer.training.metrics import layer_figures, load_figures


@torch.no_grad()
def evaluate(model: Model, heldout: Mapping[str, HeldoutRows], config: TrainConfig, unigrams: Tensor) -> Heldout:
    """Measure the model on held-out batches, with the window of the last stage whatever stage it is in.

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
    domains = {name: _measure(model, rows, config, surprise) for name, rows in heldout.items()}
    model.train(was_training)
    counts = [torch.tensor(domain.experts) for domain in domains.values()]
    if not counts:
        return _overall(domains, None, ())
    total = torch.stack(counts).sum(0)
    return _overall(domains, load_figures(total), layer_figures(total))


def _measure(model: Model, rows: HeldoutRows, config: TrainConfig, surprise: Tensor) -> DomainLoss:
    """A domain's losses, and the tokens of each layer and expert."""
    unigram, counts = 0.0, torch.zeros((), dtype=torch.int64)
    sums = DocumentSums()
    for at, host in enumerate(rows):
        batch = host.to(config.device)
        with matmuls(config.precision, config.device):
            out = model(batch, config.used_window)
            _, each = cross_entropy(out.hidden[batch.inputs], model.embedding, batch.targets)
        sums.add(rows.documents(at), *slice_sums(host, each.double().cpu().numpy(), rows.spelled))
        unigram += float(surprise[host.targets].sum())
        counts = counts + torch.stack([routing.counts for routing in out.routings]).cpu()
    nats, n_bytes, targets = sums.by_document()
    tokens, total = int(targets.sum()), math.fsum(nats)
    bits = bits_per_byte(nats, n_bytes)
    return DomainLoss(
        loss=total / max(tokens, 1),
        unigram=unigram / max(tokens, 1),
        tokens=tokens,
        documents=len(nats),
        bytes=None if rows.spelled is None else int(n_bytes.sum()),
        nats=total,
        bits_per_byte=bits.value,
        standard_error=bits.standard_error,
        experts=tuple(map(tuple, counts.tolist())),
    )


def slice_sums(batch: Packed, nats: np.ndarray, spelled: np.ndarray | None) -> tuple[np.ndarray, ...]:
    """Of every slice of a batch: ``nats float64[P]`` added up, bytes of its targets, and how many targets it has.

    ``spelled int64[V]`` holds the bytes of each token; without it the bytes are 0.
    """
    begins = (batch.positions == 0).cumsum(0) - 1  # the number of the slice that a token is in
    which, n = begins[batch.inputs].numpy(), int((batch.positions == 0).sum())
    n_bytes = np.zeros(len(nats)) if spelled is None else spelled[batch.targets.numpy()].astype(np.float64)
    return tuple(np.bincount(which, weights=each, minlength=n) for each in (nats, n_bytes, np.ones(len(nats))))


def _overall(domains: dict[str, DomainLoss], load: Load | None, layers: tuple[Load, ...]) -> Heldout:
    tokens = sum(domain.tokens for domain in domains.values())
    if not tokens:
        return Heldout(None, None, 0, domains, load, layers)
    loss = sum(domain.nats for domain in domains.values())
    unigram = sum(domain.unigram * domain.tokens for domain in domains.values())
    return Heldout(loss / tokens, unigram / tokens, tokens, domains, load, layers)


def unigram_surprise(counts: Tensor) -> Tensor:
    """Nats that each token costs a model which knows only how often it was trained on: float64[V].

    -ln((count + 1) / (total + V)), Laplace's add-one rule. Its mean over held-out targets is the cross entropy that
    a context-free model reaches; a language model that does not beat it has learnt no language.

    >>> [round(v, 3) for v in unigram_surprise(torch.tensor([2, 0])).tolist()]
    [0.288, 1.386]
    """
    smoothed = counts.double().cpu() + 1
    return -(smoothed / smoothed.sum()).log()
