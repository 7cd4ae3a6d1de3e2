"""How the learning rate goes over a stage of a training: warm-up, then one of these shapes. Plain Python."""

import math
from collections.abc import Callable, Mapping

FLOOR = 0.1  # the last step's share of the learning rate
DECAY_FROM = 0.8  # of a stage, where "wsd" and "step" leave the peak
SECOND_STEP = 0.9


def cosine(progress: float, floor: float) -> float:
    """Half a cosine from 1 down to ``floor``. Source: Loshchilov and Hutter, SGDR (arXiv 1608.03983), equation 5."""
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))


def wsd(progress: float, floor: float) -> float:
    """Warm-up, stable, decay: 1, over the last fifth down to ``floor``, by one minus the square root.

    Source: Hu et al., MiniCPM (arXiv 2404.06395), section 4; Hägele et al. (arXiv 2405.18392) for the square root.
    """
    decayed = max(progress - DECAY_FROM, 0.0) / (1 - DECAY_FROM)
    return floor + (1 - floor) * (1 - math.sqrt(decayed))


def step(progress: float, floor: float) -> float:
    """1, then the square root of ``floor`` over the last fifth, ``floor`` over the last tenth.

    Source: DeepSeek LLM (arXiv 2401.02954), section 2.3.
    """
    if progress < DECAY_FROM:
        return 1.0
    return math.sqrt(floor) if progress < SECOND_STEP else floor


def constant(progress: float, floor: float) -> float:  # noqa: ARG001  as the others
    """1 throughout."""
    return 1.0


SCHEDULES: Mapping[str, Callable[[float, float], float]] = {
    "cosine": cosine,
    "wsd": wsd,
    "step": step,
    "constant": constant,
}


def learning_rate_at(
    step: int, steps: int, warmup_steps: int, peak: float, shape: str = "cosine", floor: float = FLOOR
) -> float:
    """Rate of step ``step`` (0 is the first) of ``steps``: linear up to ``peak``, then as the schedule goes.

    >>> [round(learning_rate_at(s, 6, 2, 1.0), 3) for s in range(6)]
    [0.5, 1.0, 0.868, 0.55, 0.232, 0.1]
    """
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    progress = (step + 1 - warmup_steps) / max(steps - warmup_steps, 1)
    return peak * SCHEDULES[shape](min(progress, 1.0), floor)
