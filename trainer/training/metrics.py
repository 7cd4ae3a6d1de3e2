"""Figures of a step, as columns: loss, rate, speed, and how evenly the experts work.

E experts, domains in plan order.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from gristmill.trainer.model.packed import Packed
from gristmill.trainer.training_summary import Load

DEAD_SHARE = 0.1  # an expert with less than a tenth of the mean load is dead
LOAD_FIGURES = tuple(field.name for field in fields(Load))


def metrics_schema(domains: Sequence[str], layers: int, heads: int = 0) -> pa.Schema:
    """One row a step. ``loss/<domain>`` is null where a batch held no token of the domain.

    So is ``bits_per_byte/<domain>``, and where the run has no byte-level tokenizer. ``alarms`` counts what rang.

    ``load_<figure>`` is the mean over layers, ``load_<figure>/<layer>`` that of one: a collapsed layer hides in a mean.
    ``choices/<layer>`` is how often each of its experts was chosen, ``ahead_loss/<head>`` the loss of a further token.
    """
    fields = [("step", pa.int64()), ("loss", pa.float64()), ("learning_rate", pa.float64())]
    fields += [("grad_norm", pa.float64()), ("tokens", pa.int64()), ("flops", pa.float64()), ("alarms", pa.int64())]
    fields += [(f"load_{name}", pa.float64()) for name in LOAD_FIGURES]
    fields += [(f"load_{name}/{layer}", pa.float64()) for layer in range(layers) for name in LOAD_FIGURES]
    fields += [(f"choices/{layer}", pa.list_(pa.int64())) for layer in range(layers)]
    fields += [(f"{name}/{domain}", pa.float64()) for name in ("loss", "bits_per_byte") for domain in domains]
    fields += [(f"tokens/{domain}", pa.int64()) for domain in domains]
    fields += [(f"ahead_loss/{head}", pa.float64()) for head in range(heads)]
    return pa.schema([*fields, ("seconds", pa.float64()), ("tokens_per_second", pa.float64())])


def load_figures(counts: Tensor) -> Load:
    """How evenly ``counts int64[layers, E]`` are spread, over all layers.

    >>> import torch
    >>> load_figures(torch.tensor([[4, 4], [8, 0]]))
    Load(max_over_mean=1.5, min_over_mean=0.5, std=0.5, entropy=0.5, dead=1.0)
    """
    load = counts.cpu().numpy().astype(np.float64)
    share = load / np.maximum(load.sum(1, keepdims=True), 1)
    load = share * load.shape[1]
    bits = -(share * np.log(np.where(share > 0, share, 1))).sum(1)
    figures = (
        load.max(1).mean(),
        load.min(1).mean(),
        load.std(1).mean(),
        bits.mean() / math.log(load.shape[1]) if load.shape[1] > 1 else 1.0,
        (load < DEAD_SHARE).sum(),
    )
    return Load(*(float(value) for value in figures))


def layer_figures(counts: Tensor) -> tuple[Load, ...]:
    """How evenly ``counts int64[layers, E]`` are spread, layer by layer.

    >>> import torch
    >>> [load.std for load in layer_figures(torch.tensor([[4, 4], [8, 0]]))]
    [0.0, 1.0]
    """
    return tuple(load_figures(layer[None]) for layer in counts)


@dataclass(frozen=True, slots=True)
class DomainFigures:
    """Tokens of a batch and their mean loss (nats), for one domain; None where the batch held no token of it."""

    tokens: int
    loss: float | None
    bits_per_byte: float | None = None


def domain_sums(domains: int, parts: Sequence[Packed], each: Sequence[Tensor], spelled: Tensor | None = None) -> Tensor:
    """Tokens, predicted tokens, nats and bytes of every domain in a step's parts: float64[4, D].

    ``spelled int64[V]`` holds the bytes of each token; without it the bytes are 0.
    """
    found = torch.zeros(4, domains, dtype=torch.float64, device=each[0].device)
    for part, losses in zip(parts, each, strict=True):
        of_target = part.domain[part.inputs]
        found[0] += torch.bincount(part.domain, minlength=domains)
        found[1] += torch.bincount(of_target, minlength=domains)
        found[2].index_add_(0, of_target, losses.detach().double())
        if spelled is not None:
            found[3].index_add_(0, of_target, spelled[part.targets].double())
    return found


def domain_figures(domains: Sequence[str], sums: Tensor) -> dict[str, DomainFigures]:
    """Figures of every domain from ``domain_sums``, those of all ranks added up."""
    return {name: _figures(*column) for name, column in zip(domains, sums.T.tolist(), strict=True)}


def _figures(tokens: float, targets: float, nats: float, n_bytes: float) -> DomainFigures:
    bits = nats / math.log(2) / n_bytes if n_bytes else None
    return DomainFigures(int(tokens), nats / targets if targets else None, bits)


@dataclass(frozen=True, slots=True)
class StepFigures:
    """What is known of one step. ``seconds``, of the wall clock, is all that differs between two equal runs."""

    step: int
    loss: float
    learning_rate: float
    grad_norm: float
    tokens: int
    load: Load
    layers: tuple[Load, ...]
    choices: tuple[tuple[int, ...], ...]  # of every layer, its experts'
    domains: dict[str, DomainFigures]
    seconds: float
    flops: float = 0.0  # operations of its matrix products
    ahead: tuple[float, ...] = ()  # nats a further token, of each head for one

    def row(self) -> dict[str, int | float | tuple[int, ...] | None]:
        """A row of metrics.parquet, without its alarms."""
        columns: dict[str, int | float | tuple[int, ...] | None] = {
            "step": self.step,
            "loss": self.loss,
            "learning_rate": self.learning_rate,
            "grad_norm": self.grad_norm,
            "tokens": self.tokens,
            "flops": self.flops,
            "seconds": self.seconds,
            "tokens_per_second": self.tokens / max(self.seconds, 1e-9),
        }
        columns |= {f"load_{name}": value for name, value in asdict(self.load).items()}
        for layer, load in enumerate(self.layers):
            columns |= {f"load_{name}/{layer}": value for name, value in asdict(load).items()}
        columns |= {f"choices/{layer}": of_experts for layer, of_experts in enumerate(self.choices)}
        columns |= {f"ahead_loss/{head}": loss for head, loss in enumerate(self.ahead)}
        columns |= {f"loss/{name}": domain.loss for name, domain in self.domains.items()}
        columns |= {f"bits_per_byte/{name}": domain.bits_per_byte for name, domain in self.domains.items()}
        return columns | {f"tokens/{name}": domain.tokens for name, domain in self.domains.items()}


def last_steps(metrics: pa.Table, columns: Sequence[str]) -> Mapping[str, float]:
    """Mean of ``columns`` over the last tenth of the steps, at least ten: one step's figure is noise."""
    tail = metrics.slice(max(metrics.num_rows - max(metrics.num_rows // 10, 10), 0))
    return {name: float(np.mean(tail[name].to_numpy())) for name in columns}
