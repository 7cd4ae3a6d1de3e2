"""How even held-out loads can be where only training rows are balanced: of bench/balance.py, and of a run's own model.

    python bench/balance_floor.py RUN [--last 10 40 120]

The router's last weights stand still here. ``seen``: the load of the rows of the last steps, which is what a bias can
know of; ``mixed``: held-out rows with every domain weighted as in those steps; ``fitted``: held-out rows as they are,
with a bias that balances the rows of those steps exactly: below it no rule comes that learns from them.
"""

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from gristmill.flows.pipeline.open_context import read_run
from gristmill.flows.pipeline.publish import train_config
from gristmill.flows.pipeline.stages import stage_named
from gristmill.handoff.loader import Loader
from gristmill.trainer.generate.trained import load_trained
from gristmill.trainer.model.decoder import Model
from gristmill.trainer.model.packed import Packed, pack_batch
from gristmill.trainer.model.scores import SCORES
from gristmill.trainer.training.heldout_rows import read_heldout

LAST_STEPS = 40
ROUNDS, STEP, FALL = 60, 0.05, 0.93  # of a fit: the move of a load that is off by its mean, and how it falls


@torch.no_grad()
def floors(model: Model, seen: Sequence[Packed], heldout: Mapping[str, Iterable[Packed]], names: Sequence[str]):
    """The worst layer's standard deviation of ``seen``, ``mixed`` and ``fitted``; biases are put back.

    ``names`` are the domains in the order of the plan.
    """
    model.eval()
    domains = torch.cat([batch.domain for batch in seen]).bincount(minlength=len(names)).double()
    loads = {name: _choices(model, rows) for name, rows in heldout.items()}
    found = {"heldout": _worst(sum(loads.values()))}
    mixed = sum(one / one.sum(1, keepdim=True) * domains[names.index(name)] for name, one in loads.items())
    found |= {"seen": _worst(_choices(model, seen)), "mixed": _worst(mixed)}
    before = [router.bias.clone() for router in model.routers]
    for layer in range(len(before)):  # in order: a layer's scores depend on the choices below it
        _fit(model, layer, seen)
    found["fitted"] = _worst(sum(_choices(model, rows) for rows in heldout.values()))
    for router, bias in zip(model.routers, before, strict=True):
        router.bias.copy_(bias)
    return found


def _choices(model: Model, rows: Iterable[Packed]) -> Tensor:
    """Choices of each layer's experts, float64[layers, E]."""
    return sum(torch.stack([one.counts for one in model(batch).routings]) for batch in rows).double()


def _worst(counts: Tensor) -> float:
    return (counts / counts.mean(1, keepdim=True)).std(1, correction=0).max().item()


def _fit(model: Model, layer: int, rows: Iterable[Packed]) -> None:
    """Move a layer's bias until its load on ``rows`` is even, or nearly so."""
    router = model.routers[layer]
    scores = torch.cat([SCORES[model.shape.score](model(batch).routings[layer].logits) for batch in rows])
    for number in range(ROUNDS):
        chosen = (scores + router.bias).topk(model.shape.top_k, dim=-1).indices
        load = torch.bincount(chosen.flatten(), minlength=model.shape.experts).double()
        router.bias += (STEP * FALL**number * (1 - load / load.mean()).clamp(-1, 1)).float()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--last", type=int, nargs="*", default=[10, LAST_STEPS, 120], help="steps whose rows are seen")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    context = read_run(arguments.run)
    config = train_config(context, stage_named(context.stages, "train"))
    model = load_trained(arguments.run / "train", config).model
    batches = [pack_batch(batch) for batch in Loader(arguments.run, batch_rows=config.batch_rows)]
    names = Loader(arguments.run, batch_rows=config.batch_rows).plan.names
    heldout = read_heldout(arguments.run / "heldout", names, config)
    for last in arguments.last:
        print(json.dumps({"last_steps": last, **floors(model, batches[-last:], heldout, names)}), flush=True)


if __name__ == "__main__":
    main()
