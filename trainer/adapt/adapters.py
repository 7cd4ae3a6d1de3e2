"""What changes weights chosen by pattern, as parametrisations: adapters of low rank, and rounding to few bits.

Merged they are weights again, equal to the bit to what the model computed with.

A weight ``[..., out, in]`` may be a stack of matrices, as those of experts are: each gets an adapter of its own.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gristmill.corpus.errors import TrainError
from gristmill.trainer.adapt.quantisation import FakeQuantised, pack, quantise
from gristmill.trainer.low_rank import Lora
from gristmill.trainer.quantised_weights import Quantise

MARK, ORIGINAL = ".parametrizations.", ".original"


class LowRank(nn.Module):
    """weight + alpha / rank * b a, with ``b [..., out, rank]`` of zeros at first: nothing is changed then.

    Source: Hu et al., LoRA (arXiv 2106.09685), section 4.1.
    """

    def __init__(self, weight: Tensor, lora: Lora):
        super().__init__()
        *stack, out, inner = weight.shape
        self.scale = lora.alpha / lora.rank
        self.a = nn.Parameter(torch.randn(*stack, lora.rank, inner, device=weight.device) * inner**-0.5)
        self.b = nn.Parameter(torch.zeros(*stack, out, lora.rank, device=weight.device))

    def forward(self, weight: Tensor) -> Tensor:
        """The weight that the model computes with."""
        return weight + self.scale * (self.b @ self.a)


def adapt(model: nn.Module, lora: Lora | None) -> None:
    """Give an adapter to every weight of these names; None = to none.

    Raises
    ------
    TrainError : a pattern that names no weight, or a weight that is no matrix
    """
    if lora:
        parametrise(model, lora.weights, "trainer.lora.weights", lambda weight: LowRank(weight, lora))


def round_weights(model: nn.Module, options: Quantise | None) -> None:
    """Let the model compute with every weight of these names as it will be stored; None = with none.

    Raises
    ------
    TrainError : as ``adapt``
    """
    if options:
        quantile = options.quantile
        parametrise(model, options.weights, "trainer.quantise.weights", lambda _: FakeQuantised(quantile))


def parametrise(model: nn.Module, patterns: Sequence[str], key: str, make: Callable[[Tensor], nn.Module]) -> None:
    """Register what ``make`` makes of each weight whose name fits a pattern; ``key`` is blamed for wrong ones."""
    names = [name for name, _ in model.named_parameters()]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise TrainError(f"{key}: no weight is called {pattern!r}; weights are called {', '.join(names[:4])} ...")
    for name in names:
        if any(fnmatchcase(name, pattern) for pattern in patterns):
            owner, _, last = name.rpartition(".")
            module = model.get_submodule(owner)
            weight = getattr(module, last)
            if weight.ndim < 2:
                raise TrainError(f"{key}: {name} is no matrix")
            parametrize.register_parametrization(module, last, make(weight))


def is_adapter(name: str) -> bool:
    """Whether a parameter of an adapted model belongs to an adapter.

    >>> is_adapter("blocks.0.attention.parametrizations.qkv.0.a"), is_adapter("blocks.0.attention.qkv")
    (True, False)
    """
    return MARK in name and not name.endswith(ORIGINAL)


def merge(model: nn.Module) -> None:
    """Make plain weights of adapted ones, equal to the bit to what the model computed with."""
    for module, name in list(_adapted(model)):
        parametrize.remove_parametrizations(module, name, leave_parametrized=True)


def _adapted(model: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    for module in model.modules():
        if parametrize.is_parametrized(module):
            yield from ((module, name) for name in module.parametrizations)  # type: ignore[union-attr]


def merged_weights(
    weights: Mapping[str, Tensor], lora: Lora | None, options: Quantise | None = None
) -> dict[str, Tensor]:
    """The weights of a checkpoint by the names of a plain model, as it computes with them."""
    found = {name: weight for name, weight in weights.items() if MARK not in name}
    for name, weight in weights.items():
        stem = name.removesuffix(ORIGINAL)
        if lora and name.endswith(ORIGINAL):
            scale = lora.alpha / lora.rank
            found[stem.replace(MARK, ".")] = weight + scale * (weights[f"{stem}.0.b"] @ weights[f"{stem}.0.a"])
        elif options and name.endswith(ORIGINAL):
            found[stem.replace(MARK, ".")] = FakeQuantised(options.quantile)(weight)
    return found


def packed_weights(weights: Mapping[str, Tensor], options: Quantise) -> dict[str, Tensor]:
    """The weights of a checkpoint as stored: rounded ones packed (``NAME/eight``, ...), the others as they are."""
    found = {name: weight for name, weight in weights.items() if MARK not in name}
    for name, weight in weights.items():
        if name.endswith(ORIGINAL):
            plain = name.removesuffix(ORIGINAL).replace(MARK, ".")
            packed = pack(quantise(weight, options.quantile))
            found |= {f"{plain}/{part}": tensor for part, tensor in packed.items()}
    return found
