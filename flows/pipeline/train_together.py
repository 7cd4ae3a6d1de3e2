"""A training in several processes, as torchrun starts them: the first does all that one alone does, the others train.

The others write nothing and take no lock: they wait until the first one begins to train, and take its steps with it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gristmill.flows.pipeline.open_context import read_run
from gristmill.flows.pipeline.planted_facts import fact_tokens
from gristmill.flows.pipeline.publish import train_config
from gristmill.flows.pipeline.stages import stage_named


@contextmanager
def trained_together(run: Path) -> Iterator[bool]:
    """Whether this is one of the other processes, whose part is then over; False for the first, and where it is alone.

    Raises
    ------
    TrainError : as ``gristmill.trainer.training.loop.train``
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield False
        return
    from gristmill.trainer.training.ranks import begun_by_torchrun

    with begun_by_torchrun() as ranks:
        while not ranks.is_first and ranks.first_says():
            _train_beside(run)
        yield not ranks.is_first
        if ranks.is_first:
            ranks.first_says(False)  # it has trained, or there was nothing to train


def _train_beside(run: Path) -> None:
    from gristmill.trainer.training.loop import train

    context = read_run(run)
    stage = stage_named(context.stages, "train")
    facts = fact_tokens(context, stage.options.proof)
    train(context.run.path, context.run.path / "train", train_config(context, stage), facts=facts)
