"""Weights, their gradients and what the optimizer keeps of them, each sharded over ranks: torch's FSDP2.

A layer's weights are gathered where it runs and let go behind it. A checkpoint or an evaluation sees a whole copy.

Source: Zhao et al., PyTorch FSDP (arXiv 2304.11277); Rajbhandari et al., ZeRO (arXiv 1910.02054), stage 3.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from gristmill.trainer.model.decoder import Model
from gristmill.trainer.training.optim import make_optimizer
from gristmill.trainer.training.session import Session


def shard(session: Session, world: int) -> None:
    """Keep this rank's part of every tensor; the session gets an optimizer of its own."""
    mesh = init_device_mesh(torch.device(session.config.device).type, (world,))
    kept = {name: session.optimizer.state.get(weight, {}) for name, weight in session.model.named_parameters()}
    for module in _units(session.model):
        fully_shard(module, mesh=mesh)
    for module in session.model.modules():
        if isinstance(module, FSDPModule):
            module.set_gradient_divide_factor(1.0)  # losses are parts of the step's mean already
            module.set_force_sum_reduction_for_comms(True)  # gloo sums, and scales nothing
            module.set_reduce_scatter_unused_params(True)  # a rank without rows uses fewer
    session.optimizer = make_optimizer(session.model, session.config.learning_rate)
    for name, weight in session.model.named_parameters():
        assert isinstance(weight, DTensor)
        for key, value in kept[name].items():
            whole = value.shape == weight.shape
            found = distribute_tensor(value, mesh, weight.placements) if whole else value
            session.optimizer.state[weight][key] = found


def gathered(session: Session) -> Session:
    """A whole copy, on every rank; every rank calls."""
    config = session.config
    with torch.random.fork_rng(devices=[]):
        model = Model(config.model, config.vocab_size).to(config.device)
    model.load_state_dict({name: _whole(value) for name, value in session.model.state_dict().items()})
    optimizer, own = make_optimizer(model, config.learning_rate), dict(model.named_parameters())
    for name, weight in session.model.named_parameters():
        for key, value in session.optimizer.state.get(weight, {}).items():
            optimizer.state[own[name]][key] = _whole(value)
    return replace(session, model=model, optimizer=optimizer)


def _units(model: Model) -> list[nn.Module]:
    """What is gathered at once, the whole model last: it has the embedding, the norms and the routers."""
    parts = [part for block in model.layers for part in (block.attention, block.experts, block.shared)]
    return [*(part for part in parts if part is not None), model]


def _whole(value: Tensor) -> Tensor:
    return value.full_tensor() if isinstance(value, DTensor) else value
