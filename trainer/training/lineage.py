"""Where the first weights of a training come from: a checkpoint of another run, or none. train/lineage.json says it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load_file

from gristmill.corpus.errors import TrainError
from gristmill.corpus.files import file_sha256, write_json
from gristmill.corpus.typed_json import to_json
from gristmill.trainer.config import TrainConfig
from gristmill.trainer.model.decoder import Model

FILE = "lineage.json"
WARM = "warm"
_RUN_ABOVE = 3  # RUN/train/checkpoints/step-000000100/model.safetensors


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A checkpoint that a training depends on."""

    run: str  # NAME/ID of its run, whatever the home; empty for a file that lies in none
    checkpoint: str  # sha256 of its weights
    kind: str  # "warm": the training went on from its weights


def ancestors(config: TrainConfig) -> Sequence[Ancestor]:
    """What the first weights depend on beside the config; empty for new ones."""
    if not config.start:
        return ()
    above = Path(config.start).absolute().parents
    run = above[_RUN_ABOVE] if len(above) > _RUN_ABOVE + 1 else Path()
    return (Ancestor("/".join(run.parts[-2:]), config.start_digest, WARM),)


def write_lineage(folder: Path, config: TrainConfig) -> None:
    """Write lineage.json: a list, empty where nothing was gone on from."""
    write_json(folder / FILE, to_json(list(ancestors(config))))


def warm_start(model: Model, config: TrainConfig) -> None:
    """Give the model the weights of ``config.start``; the optimizer begins anew.

    Source: Gupta et al., How to (re)warm your model (arXiv 2308.04014).

    Raises
    ------
    TrainError : the file is not the one that the run was made with, or holds a model of another shape
    """
    path = Path(config.start)
    if not path.is_file() or (config.start_digest and file_sha256(path) != config.start_digest):
        raise TrainError(f"trainer.start: {path} is missing or has changed since; run the recipe again")
    try:
        weights = load_file(path)
    except Exception as error:  # noqa: BLE001  the library raises one of its own kind
        raise TrainError(f"trainer.start: {path} holds no weights: {error}") from None
    own = model.state_dict()
    wrong = [name for name in {**own, **weights} if _shape(own, name) != _shape(weights, name)]
    if wrong:
        name = min(wrong)
        raise TrainError(
            f"trainer.start: {name} is {_shape(weights, name)} in {path} and {_shape(own, name)} in [trainer.model]"
            f"{f', and {len(wrong) - 1} more differ' if wrong[1:] else ''}. Give both the same tokenizer and shape"
        )
    model.load_state_dict(weights)


def _shape(weights: dict, name: str) -> str:
    return " x ".join(map(str, weights[name].shape)) if name in weights else "missing"
