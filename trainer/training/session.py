"""What a training holds in memory, and how all of it goes into a checkpoint and comes back."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gristmill.corpus.errors import TrainError
from gristmill.corpus.typed_json import from_json, to_json
from gristmill.trainer.adapt.adapters import adapt, merged_weights, packed_weights, round_weights
from gristmill.trainer.config import TrainConfig
from gristmill.trainer.heldout_summary import Heldout
from gristmill.trainer.model.decoder import Model
from gristmill.trainer.training.checkpoint import Checkpoint
from gristmill.trainer.training.int8_sums import taken_out
from gristmill.trainer.training.lineage import warm_start
from gristmill.trainer.training.optim import make_optimizer
from gristmill.trainer.training.ranks import current
from gristmill.trainer.training.setting_changes import CHANGEABLE, expect_same_changes
from gristmill.trainer.training_summary import Change
from gristmill.trainer.weight_files import write_weights


@dataclass
class Session:
    """The next step depends on these, on the plan, and on torch's generator."""

    config: TrainConfig  # its precision is resolved
    model: Model
    optimizer: torch.optim.AdamW
    unigrams: Tensor  # int64[V], how often each token was a target so far
    step: int = 0
    cursor: int = 0  # samples of the plan consumed
    heldout_before: Heldout | None = None
    residuals: dict[str, Tensor] = field(default_factory=dict)  # of this rank: what it did not send yet of gradients


def begin(config: TrainConfig) -> Session:
    """A fresh model; its weights depend on ``config`` alone, and on the checkpoint that it starts from, if any."""
    return _new(config, warm_start if config.start else None)


def _new(config: TrainConfig, start: Callable[[Model, TrainConfig], None] | None = None) -> Session:
    torch.manual_seed(config.seed)
    model = Model(config.model, config.vocab_size).to(config.device)
    if start:
        start(model, config)
    adapt(model, config.lora)
    round_weights(model, config.quantise)
    unigrams = torch.zeros(config.vocab_size, dtype=torch.int64)
    return Session(config, model, make_optimizer(model, config.learning_rate), unigrams)


def capture(session: Session, plan_digest: str, changes: tuple[Change, ...] = ()) -> Checkpoint:
    """The whole session as tensors and plain JSON; its residuals are those of all ranks, by ``int8_sums.stored``."""
    training = {"generator": torch.get_rng_state(), "unigrams": session.unigrams, **session.residuals}
    if torch.device(session.config.device).type == "cuda":
        training["generator.cuda"] = torch.cuda.get_rng_state(session.config.device)
    for name, parameter in session.model.named_parameters():
        for key, value in session.optimizer.state[parameter].items():
            training[f"optimizer.{key}.{name}"] = value
    state = {
        "config": session.config.identity(),
        "changes": to_json([change for change in changes if change.step < session.step]),
        "loader": {"cursor": session.cursor, "plan": plan_digest},
        "heldout_before": asdict(session.heldout_before) if session.heldout_before else None,
    }
    return Checkpoint(session.step, session.model.state_dict(), training, state)


def restore(checkpoint: Checkpoint, config: TrainConfig, plan_digest: str, changes: tuple[Change, ...] = ()) -> Session:
    """The session that ``capture`` saw.

    Raises
    ------
    TrainError : the checkpoint was made with another config, with other changes or on another plan
    """
    _expect_same(checkpoint.state, config, plan_digest)
    made_with = from_json(tuple[Change, ...], checkpoint.state.get("changes", []), "changes of the checkpoint")
    expect_same_changes(changes, checkpoint.step, made_with)
    session = _new(config)
    session.model.load_state_dict(checkpoint.model)
    training = dict(checkpoint.training)
    session.residuals = taken_out(training, current())
    session.unigrams.copy_(training.pop("unigrams"))
    torch.set_rng_state(training.pop("generator"))
    if "generator.cuda" in training:
        torch.cuda.set_rng_state(training.pop("generator.cuda"), config.device)
    parameters = dict(session.model.named_parameters())
    for key, value in training.items():
        _, kind, name = key.split(".", 2)
        # a copy, for the file's memory map must not be written; the step counter may stay where fused AdamW wants it
        session.optimizer.state[parameters[name]][kind] = value.clone().to(config.device)
    session.step, session.cursor = checkpoint.step, checkpoint.state["loader"]["cursor"]
    session.heldout_before = _heldout(checkpoint.state["heldout_before"])
    return session


def save_merged(folder: Path, session: Session) -> None:
    """merged.safetensors: the weights of a changed model by the names of a plain one; packed.safetensors: as stored."""
    config, weights = session.config, {name: weight.cpu() for name, weight in session.model.state_dict().items()}
    files = {"merged": merged_weights(weights, config.lora, config.quantise)}
    if config.quantise:
        files["packed"] = packed_weights(weights, config.quantise)
    for name, tensors in files.items():
        write_weights(folder / f"{name}.safetensors", tensors)


def _heldout(value: dict[str, Any] | None) -> Heldout | None:
    return None if value is None else from_json(Heldout, value, "heldout_before of the checkpoint")


def _expect_same(state: dict[str, Any], config: TrainConfig, plan_digest: str) -> None:
    then, now = state["config"], config.identity()
    changed = [f"trainer.{key} was {then.get(key)} and is {now[key]}" for key in now if then.get(key) != now[key]]
    if changed:
        raise TrainError(
            f"the checkpoint was made with another config: {'; '.join(changed)}. "
            "Set it back to go on, or remove the train folder of the run to start anew; "
            f"`gristmill train RUN --set KEY=VALUE` changes {', '.join(CHANGEABLE)} from the last checkpoint on"
        )
    if state["loader"]["plan"] != plan_digest:
        raise TrainError(
            f"the checkpoint was made on plan {state['loader']['plan']}, the run now holds plan {plan_digest}. "
            "Remove the train folder of the run to start anew"
        )
