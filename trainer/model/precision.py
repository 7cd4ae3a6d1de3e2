"""The number format of the matrix products. Everything else is float32: parameters, optimizer, router, softmax.

torch is imported where a format is used: a recipe is checked against the names in ``PRECISIONS``.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

FORMATS = ("float32", "bfloat16")  # by the names that torch gives them
PRECISIONS = ("auto", *FORMATS)


def resolve_precision(wanted: str, device: str) -> str:
    """``float32`` or ``bfloat16``; ``auto`` is float32 on a CPU and bfloat16 on any other kind of device.

    By kind, never by what a CPU can do: two CPUs must get one result from one recipe. One with AVX512-BF16 takes 0.65
    of the time in bfloat16 (width 128, vocabulary 8,192), one without more; ``gristmill train --measure`` tells.

    >>> resolve_precision("auto", "cpu"), resolve_precision("auto", "cuda:1"), resolve_precision("bfloat16", "cpu")
    ('float32', 'bfloat16', 'bfloat16')
    """
    if wanted != "auto":
        return wanted
    return "float32" if device.partition(":")[0] == "cpu" else "bfloat16"


def matmuls(precision: str, device: str) -> "torch.autocast":
    """The context in which forward passes run; ``precision`` has been resolved."""
    import torch

    reduced = precision if precision != "float32" else "bfloat16"  # autocast wants a reduced format even when off
    return torch.autocast(torch.device(device).type, getattr(torch, reduced), enabled=precision != "float32")
