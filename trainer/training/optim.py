"""AdamW with warm-up and cosine decay."""

import math

import torch

from gristmill.trainer.model.decoder import Model

BETAS = (0.9, 0.95)
WEIGHT_DECAY = 0.1  # on matrices alone
FLOOR = 0.1  # the last step's share of the learning rate


def make_optimizer(model: Model, learning_rate: float) -> torch.optim.AdamW:
    """AdamW, fused (one pass over the parameters); norms and the embedding do not decay.

    Source: Loshchilov and Hutter (arXiv 1711.05101).
    """
    decays = [p for name, p in model.named_parameters() if p.ndim >= 2 and name != "embedding"]
    rest = [p for name, p in model.named_parameters() if p.ndim < 2 or name == "embedding"]
    groups = [{"params": decays, "weight_decay": WEIGHT_DECAY}, {"params": rest, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=BETAS, fused=True)


def learning_rate_at(step: int, steps: int, warmup_steps: int, peak: float) -> float:
    """Rate of step ``step`` (0 is the first) of ``steps``: linear up to ``peak``, then a cosine down to a tenth.

    >>> [round(learning_rate_at(s, 6, 2, 1.0), 3) for s in range(6)]
    [0.5, 1.0, 0.868, 0.55, 0.232, 0.1]
    """
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    progress = (step + 1 - warmup_steps) / max(steps - warmup_steps, 1)
    return peak * (FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0))))


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group the same rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate
