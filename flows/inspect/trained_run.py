"""A run whose training is finished: its settings, for those who use the model. No torch here."""

from typing import TYPE_CHECKING

from gristmill.corpus.errors import TrainError
from gristmill.corpus.extras import need
from gristmill.flows.pipeline.context import RunContext

if TYPE_CHECKING:
    from gristmill.trainer.config import TrainConfig


def expect_trained(context: RunContext) -> "TrainConfig":
    """The settings of a finished training.

    Raises
    ------
    TrainError : the run has none
    MissingExtraError : torch or safetensors is not installed
    """
    from gristmill.flows.pipeline.publish import train_config

    stage = next((one for one in context.stages if one.name == "train"), None)
    if stage is None or not context.run.has("train"):
        raise TrainError(f"{context.run.path} has no finished training; `gristmill train` it first")
    need("train")
    return train_config(context, stage)
