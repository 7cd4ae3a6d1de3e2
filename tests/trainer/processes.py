"""What tests of the trainer run in processes of their own."""

import os
import shutil
import signal
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from typing import Any

from gristmill.trainer.config import TrainConfig
from tests.forks import FORKS


def on_two_ranks(function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """What ``function(rank, *arguments)`` returns in each of two processes."""
    with ProcessPoolExecutor(2, FORKS) as pool:
        both = [pool.submit(function, rank, *arguments) for rank in (0, 1)]
        ended, waiting = wait(both, timeout=300, return_when=FIRST_EXCEPTION)
        if waiting:  # for the one that failed, and for ever
            for process in list(pool._processes.values()):
                process.kill()
        for one in ended:
            one.result()
        return [one.result() for one in both]


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def train_and_die(run: Path, out: Path, config: TrainConfig, last: int) -> None:
    """A training that is killed behind its step ``last``."""
    from gristmill.trainer.training.loop import train

    train(run, out, config, on_step=lambda figures: die() if figures.step == last else None)


def save_and_die(folder: Path, moment: str) -> None:
    """Save the checkpoint of step 3, and be killed: in the middle of a file, at the rename, or behind it."""
    import torch

    from gristmill.trainer import weight_files
    from gristmill.trainer.training import checkpoint

    real_save, real_replace = weight_files.save_file, Path.replace

    def save_half(tensors: dict[str, torch.Tensor], path: Path, metadata: dict[str, str]) -> None:
        real_save(tensors, path)
        if path.name == moment:
            path.write_bytes(path.read_bytes()[:20])
            die()

    weight_files.save_file = save_half
    if moment == "rename":
        Path.replace = lambda a, b: die() if b.name.startswith("step") else real_replace(a, b)
    if moment == "after":
        checkpoint.shutil.rmtree = lambda path, ignore_errors=False: None if ignore_errors else die()
    weights = {"w": torch.full((3,), 3.0)}
    checkpoint.save(folder, checkpoint.Checkpoint(3, weights, {"rng": torch.zeros(1)}, {"cursor": 3}))


def meet(rank: int, meeting: Path) -> None:
    from torch import distributed

    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)


def train_on_rank(rank: int, meeting: Path, run: Path, jobs: list[tuple[Path, int, TrainConfig]]) -> list[tuple]:
    """Each job is a folder, the step to stop at, and a config; with step 0 a copy of it without its residuals."""
    from torch import distributed

    from gristmill.trainer.training import checkpoint
    from gristmill.trainer.training.loop import train

    meet(rank, meeting)
    told = []
    for out, stop, config in jobs:
        if stop:
            summary = train(run, out, config, max_steps=stop)
            told.append((summary.steps, summary.loss.heldout_after))
        elif rank == 0:
            forgot = out.with_name(f"{out.name}-forgot")
            shutil.copytree(out, forgot)
            saved = checkpoint.load_latest(out / "checkpoints")
            kept = {name: value for name, value in saved.training.items() if not name.startswith("residual.")}
            assert len(kept) < len(saved.training)
            checkpoint.save(forgot / "checkpoints", replace(saved, training=kept))
        distributed.barrier()
    distributed.destroy_process_group()
    return told


def exchanged_differences(rank: int, meeting: Path) -> list[float]:
    """How far outputs and gradients of spread experts are from those of whole ones.

    For the right exchange, one that returns rows in another order, and one without gradients; each with rows on both
    ranks and on one alone.
    """
    import torch
    from torch import distributed

    from gristmill.trainer.model import exchange
    from gristmill.trainer.model import experts as experts_module
    from gristmill.trainer.model.experts import Experts
    from gristmill.trainer.model.router import Router
    from gristmill.trainer.model.shape import Shape

    meet(rank, meeting)
    torch.manual_seed(0)
    shape = Shape(width=16, experts=4, expert_width=8)
    experts, router = Experts(shape), Router(shape)
    right, there = exchange.through_ranks, [torch.randn(5, 16) + 2 * router.weight[0], torch.zeros(0, 16)]
    whole = (experts.gate_up.data.clone(), experts.down.data.clone())
    both = [torch.randn(7, 16), torch.randn(9, 16)]

    def difference(through: Callable, xs: list[torch.Tensor]) -> float:
        experts_module.through_ranks = through
        found = []
        for spread in (False, True):
            x = xs[rank].detach().requires_grad_()
            weights = [w.detach().chunk(2)[rank] if spread else w.detach() for w in whole]
            experts.gate_up.data, experts.down.data, experts.spread = weights[0].clone(), weights[1].clone(), spread
            experts.zero_grad()
            (experts(x, router(x)) * torch.arange(16.0)).sum().backward()
            grads = [experts.gate_up.grad, experts.down.grad]
            if not spread:
                for grad in grads:
                    distributed.all_reduce(grad)
                grads = [grad.chunk(2)[rank] for grad in grads]
            found.append([torch.zeros_like(x) if x.grad is None else x.grad, *grads])
        return max((float((a - b).abs().max()) for a, b in zip(*found, strict=True) if a.numel()), default=0.0)

    def unsorted(rows: torch.Tensor, counts: torch.Tensor, run: Callable) -> torch.Tensor:
        return right(rows, counts, lambda here, n: run(here.flip(0), n))

    def kept(rows: torch.Tensor, counts: torch.Tensor, run: Callable) -> torch.Tensor:
        return right(rows.detach(), counts, run)

    differences = [difference(way, xs) for way in (right, unsorted, kept) for xs in (both, there)]
    distributed.destroy_process_group()
    return differences


def settle_on_rank(rank: int, meeting: Path, run: Path, config: TrainConfig, rows: list[int]) -> list[list]:
    """Biases of an uneven model settled on the first rows of a plan, once for each number of ``rows``."""
    from torch import distributed

    from gristmill.handoff.loader import Loader
    from gristmill.trainer.model.packed import pack_batch
    from gristmill.trainer.training.ranks import current
    from gristmill.trainer.training.settling import settle_biases
    from tests.trainer.test_settling import biases, uneven

    meet(rank, meeting)
    all_rows, found = [pack_batch(batch) for batch in Loader(run, batch_rows=1)], []
    for n in rows:
        model = uneven(config)
        settle_biases(model, all_rows[:n][rank::2], config, [0, 1], current())
        found.append([bias.tolist() for bias in biases(model)])
    distributed.destroy_process_group()
    return found
