"""The model of a finished training, as held-out rows are measured: no dropout, the last stage's window, in float32."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from gristmill.corpus.errors import TrainError
from gristmill.trainer.config import TrainConfig
from gristmill.trainer.model.decoder import Model
from gristmill.trainer.training import checkpoint
from gristmill.trainer.training.session import begin


class Trained(NamedTuple):
    """A model that learns nothing any more."""

    model: Model
    step: int  # of the checkpoint that it is from


def load_trained(folder: Path, config: TrainConfig) -> Trained:
    """The model behind the last whole checkpoint of a training in ``folder``, with the window of its last stage.

    Raises
    ------
    TrainError : there is no checkpoint, all are damaged, or the last one is of another shape
    """
    saved = checkpoint.load_latest(folder / "checkpoints")
    if saved is None:
        raise TrainError(f"{folder} has no checkpoint; `gristmill train` the run first")
    used = config.model.model_copy(update={"window": config.used_window})
    model = begin(replace(config, model=used, start="", start_digest="")).model.eval()  # its weights are all replaced
    try:
        model.load_state_dict(saved.model)
    except RuntimeError as error:
        raise TrainError(f"the checkpoint behind step {saved.step} is of another shape: {error}") from None
    return Trained(model.requires_grad_(requires_grad=False), saved.step)
