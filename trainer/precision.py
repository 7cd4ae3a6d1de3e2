"""The number format of the matrix products. Everything else is float32: parameters, optimizer, router, softmax.

torch is imported where a format is used: a recipe is checked against the names in ``PRECISIONS``.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

FORMATS = ("float32", "bfloat16")  # by the names that torch gives them
PRECISIONS = ("auto", *FORMATS)


def resolve_precision(wanted: str, device: str) -> str:
    """``float32`` or ``bfloat16``; ``auto`` takes bfloat16 where the hardware multiplies it.

    On a CPU with AVX512-BF16 a training step takes 0.65 of its float32 time (width 128, vocabulary 8,192);
    on one without, bfloat16 is emulated and slower.
    """
    import torch

    if wanted != "auto":
        return wanted
    if torch.device(device).type == "cpu":
        able = torch.cpu.get_capabilities()
        return "bfloat16" if able.get("avx512_bf16") or able.get("amx_bf16") else "float32"
    return "bfloat16"


def matmuls(precision: str, device: str) -> "torch.autocast":
    """The context in which forward passes run; ``precision`` has been resolved."""
    import torch

    reduced = precision if precision != "float32" else "bfloat16"  # autocast wants a reduced format even when off
    return torch.autocast(torch.device(device).type, getattr(torch, reduced), enabled=precision != "float32")
