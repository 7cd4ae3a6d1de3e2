"""AdamW; how its rate goes stands in ``trainer.schedules``."""

import torch

from gristmill.trainer.model.decoder import Model

BETAS = (0.9, 0.95)
WEIGHT_DECAY = 0.1  # on matrices alone


def make_optimizer(model: Model, learning_rate: float) -> torch.optim.AdamW:
    """AdamW, fused (one pass over the parameters); norms and the embedding do not decay.

    Source: Loshchilov and Hutter (arXiv 1711.05101).
    """
    decays = [p for name, p in model.named_parameters() if p.ndim >= 2 and name != "embedding"]
    rest = [p for name, p in model.named_parameters() if p.ndim < 2 or name == "embedding"]
    groups = [{"params": decays, "weight_decay": WEIGHT_DECAY}, {"params": rest, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=BETAS, fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group the same rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate
