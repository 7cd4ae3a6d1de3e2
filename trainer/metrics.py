"""Figures of a step, as columns: loss, rate, speed, and how evenly the experts work.

E experts, domains in plan order.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from gristmill.trainer.data import Packed
from gristmill.trainer.loss import by_domain
from gristmill.trainer.step import StepResult

DEAD_SHARE = 0.1  # an expert with less than a tenth of the mean load is dead
LOAD_FIGURES = ("max_over_mean", "min_over_mean", "std", "entropy", "dead")


def metrics_schema(domains: Sequence[str]) -> pa.Schema:
    """One row a step. ``loss/<domain>`` is null where a batch held no token of the domain."""
    fields = [("step", pa.int64()), ("loss", pa.float64()), ("learning_rate", pa.float64())]
    fields += [("grad_norm", pa.float64()), ("tokens", pa.int64())]
    fields += [(f"load_{name}", pa.float64()) for name in LOAD_FIGURES]
    fields += [(f"loss/{domain}", pa.float64()) for domain in domains]
    fields += [(f"tokens/{domain}", pa.int64()) for domain in domains]
    return pa.schema([*fields, ("seconds", pa.float64()), ("tokens_per_second", pa.float64())])


def load_figures(counts: Tensor) -> dict[str, float]:
    """How evenly ``counts int64[layers, E]`` are spread, the mean over layers in units of a layer's mean load.

    max_over_mean 1 (even) to E; min_over_mean 1 down to 0; std 0 (even) and up; entropy 1 (even) down to 0, as a share
    of ln E; dead: experts below a tenth of the mean, added up over layers.

    >>> import torch
    >>> load_figures(torch.tensor([[4, 4], [8, 0]]))
    {'max_over_mean': 1.5, 'min_over_mean': 0.5, 'std': 0.5, 'entropy': 0.5, 'dead': 1.0}
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
    return {name: float(value) for name, value in zip(LOAD_FIGURES, figures, strict=True)}


def step_figures(result: StepResult) -> dict[str, float]:
    """loss, grad_norm and the load columns of a step."""
    load = {f"load_{name}": value for name, value in load_figures(result.counts).items()}
    return {"loss": result.loss, "grad_norm": result.grad_norm, **load}


def speed_figures(tokens: int, seconds: float) -> dict[str, float]:
    """Wall clock of a step; the only columns that differ between two equal runs."""
    return {"seconds": seconds, "tokens_per_second": tokens / max(seconds, 1e-9)}


def domain_figures(domains: Sequence[str], each: Tensor, batch: Packed) -> dict[str, float | int | None]:
    """``tokens/<domain>`` and ``loss/<domain>`` (mean, nats) of a batch and its losses ``each float32[P]``."""
    tokens = torch.bincount(batch.domain, minlength=len(domains)).tolist()
    losses = by_domain(each, batch.domain[batch.inputs], len(domains)).tolist()
    means = {f"loss/{name}": None if math.isnan(loss) else loss for name, loss in zip(domains, losses, strict=True)}
    return means | {f"tokens/{name}": count for name, count in zip(domains, tokens, strict=True)}


def last_steps(metrics: pa.Table, columns: Sequence[str]) -> Mapping[str, float]:
    """Mean of ``columns`` over the last tenth of the steps, at least ten: one step's figure is noise."""
    tail = metrics.slice(max(metrics.num_rows - max(metrics.num_rows // 10, 10), 0))
    return {name: float(np.mean(tail[name].to_numpy())) for name in columns}
