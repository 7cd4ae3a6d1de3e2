"""Selection biases settled behind the last step: with still weights, loads are evened over rows of the whole plan.

A bias that a step moves is behind the weights while these learn, and follows the curriculum: the last rows are of
another mixture than all. So rows that steps have consumed, spread evenly over the plan, go through the model once
more, all of them from layer to layer: a layer's bias is solved on its scores, and the layer then runs with it. In all
that is one forward pass. It is a function of the last weights and of the plan, so that a killed training does it again
to the bit. Each row is a pass by itself: what is counted does not depend on ranks or micro-batches.

The tables settled.parquet and settled_rows.parquet of a training hold what it did. Which biases steps move, and how the
solution is found, stands in ``trainer.model.selection_bias``.

Source: Izmailov et al., Averaging Weights (arXiv 1803.05407), section 3.2, for statistics of activations that are taken
behind the training; Wang et al. (arXiv 2408.15664) for the bias.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from gristmill.handoff.loader import Loader
from gristmill.trainer.config import TrainConfig
from gristmill.trainer.model.attention import rotary
from gristmill.trainer.model.block import Block
from gristmill.trainer.model.decoder import Model
from gristmill.trainer.model.packed import Packed, pack_batch
from gristmill.trainer.model.precision import matmuls
from gristmill.trainer.model.selection_bias import ROUNDS, Evened, even_bias
from gristmill.trainer.training.division import whole
from gristmill.trainer.training.opened import Training
from gristmill.trainer.training.ranks import ALONE, Ranks
from gristmill.trainer.training.settled_tables import settled_biases, settled_line, settled_rows
from gristmill.trainer.training.step import free_biases

RUN = 16  # consecutive samples: see ``settling_samples``


def settling_samples(samples: int, rows: int) -> list[int]:
    """At most ``rows`` of a plan's samples, ascending: runs of ``RUN`` neighbours, spread evenly.

    A run holds the shares of its part of the curriculum. Single samples at even distances fall in with the order in
    which a plan takes its domains: loads of the sample's held-out rows came to 0.10 to 0.19, by the distance.

    >>> settling_samples(1000, 32)[14:18], settling_samples(5, 32)
    ([256, 257, 742, 743], [0, 1, 2, 3, 4])
    """
    if samples <= rows:
        return list(range(samples))
    run = min(RUN, rows)
    runs = rows // run
    margin = (samples // runs - run) // 2
    return [at * samples // runs + margin + number for at in range(runs) for number in range(run)]


def settle(training: Training) -> None:
    """Settle the biases of a training that has taken its last step, where steps moved them; every rank calls."""
    session, ranks = training.session, training.ranks
    config, moment = training.now
    if not config.settles:
        return
    rows = list(_rows(training))
    first = [router.bias.clone() for router in session.model.routers]
    with whole(session, ranks) as all_weights:
        free = free_biases(all_weights.model, moment.frozen)
        found = settle_biases(all_weights.model, [packed for _, packed in rows], config, free, ranks)
    for router, one in zip(session.model.routers, found, strict=True):
        router.bias.copy_(one.bias)
    lines = ranks.gather([settled_line(sample, packed) for sample, packed in rows])
    if ranks.is_first:
        training.tables.note_settled(settled_biases(first, found), settled_rows(lines))


@torch.no_grad()
def settle_biases(
    model: Model, rows: Sequence[Packed], config: TrainConfig, free: Sequence[int], ranks: Ranks = ALONE
) -> list[Evened]:
    """Give each layer the bias that evens its loads over the ``rows`` of all ranks; what was found, of each layer.

    Parameters
    ----------
    rows : of this rank, on the model's device; their hidden states are kept, float32[row_tokens, D] each
    free : numbers of the layers, among those with experts, whose bias may be moved; the others are counted alone
    """
    was_training, layers, found = model.training, model.layers, []
    model.eval()
    with matmuls(config.precision, config.device):
        hidden = [model.embed(row.tokens) for row in rows]
        for block, number in zip(layers, model.shape.owners, strict=True):
            owner = layers[number]
            for at, row in enumerate(rows):
                rope = rotary(row.positions, model.shape.rotary_width)
                hidden[at] = block.attend(hidden[at], rope, row, owner, config.used_window)
            if block.router is not None:
                found.append(_evened(block, hidden, ROUNDS if len(found) in free else 0, ranks))
            for at, x in enumerate(hidden):
                hidden[at], _ = block.mix(x, owner)
    model.train(was_training)
    return found


def _evened(block: Block, hidden: Sequence[Tensor], rounds: int, ranks: Ranks) -> Evened:
    """Solve the bias of a block from what each row's ``hidden [n, D]`` is behind its attention, and keep it there."""
    router = block.router
    assert router is not None
    each = [router.logits(block.experts_norm(x)) for x in hidden]
    logits = torch.cat(each) if each else router.weight.new_zeros(0, len(router.bias))

    def count(bias: Tensor) -> Tensor:
        router.bias.copy_(bias)
        return ranks.sum(router.route(logits).counts)

    found = even_bias(router.bias.clone(), count, rounds)
    router.bias.copy_(found.bias)
    return found


def _rows(training: Training) -> Iterator[tuple[int, Packed]]:
    """The share of this rank: samples, each with its row as the model reads it."""
    config, ranks = training.session.config, training.ranks
    loader = Loader(training.run, batch_rows=1)
    for sample in settling_samples(training.plan.samples, config.settle_rows)[ranks.rank :: ranks.world]:
        yield sample, pack_batch(loader.at(sample)).to(config.device)
