"""What each way of balancing reaches on a run's rows: load of the experts on held-out rows, and bits per byte.

``python bench/balance.py RUN`` trains a small model for each method and seed on the run's mixture, cut to ``--steps``,
and prints for each the load in units of the mean (1 = even) over all held-out tokens, the worst of its layers: also
before biases were settled behind the last step, and with --floors how even it could be (bench/balance_floor.py). Bits
per byte of the default are compared with those of no balancing, seed by seed. Nothing is written into RUN.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.balance_floor import LAST_STEPS, floors
from gristmill.corpus.files import read_json
from gristmill.handoff.loader import Loader
from gristmill.handoff.plan import Plan
from gristmill.trainer.config import TrainConfig
from gristmill.trainer.model.balance import DEFAULT
from gristmill.trainer.model.packed import pack_batch
from gristmill.trainer.model.shape import Shape
from gristmill.trainer.training.finish import finish
from gristmill.trainer.training.loop import run_until
from gristmill.trainer.training.opened import Training

METHODS = {
    "none": {},
    "default": DEFAULT,
    "bias 0.01": {"bias": 0.01},
    "bias 0.001": {"bias": 0.001},
    "switch 0.1": {"switch": 0.1},
    "switch_global 0.1": {"switch_global": 0.1},
    "sequence 0.1": {"sequence": 0.1},
    "frequency 0.01": {"frequency": 0.01},
    "gate 0.01": {"gate": 0.01},
    "batch_entropy 0.1": {"batch_entropy": 0.1},
    "token_entropy 0.1": {"token_entropy": 0.1},
    "z 0.001": {"z": 0.001},
}
MODEL = {"layers": 2, "width": 64, "heads": 2, "experts": 8, "expert_width": 64}
ROWS, HELDOUT_ROWS = 8, 16


def make_run(run: Path, folder: Path, steps: int) -> None:
    """The run's rows on a plan of ``steps`` with its mixture."""
    for name in ("shards", "heldout", "tokenizer"):
        (folder / name).symlink_to((run / name).resolve())
    plan = Plan.load(run / "plan")
    samples = steps * ROWS
    stops = [max(one.stop * samples // plan.samples, place + 1) for place, one in enumerate(plan.segments)]
    segments = tuple(replace(one, stop=stop) for one, stop in zip(plan.segments, stops, strict=True))
    Plan.build(plan.domains, row_tokens=plan.row_tokens, seed=plan.seed, segments=segments).save(folder / "plan")


def measure(run: Path, balance: dict[str, float], seed: int, vocab_size: int, *, with_floors: bool) -> dict[str, float]:
    config = TrainConfig(
        vocab_size=vocab_size,
        row_tokens=Plan.load(run / "plan").row_tokens,
        seed=seed,
        model=Shape(**MODEL),
        balance=balance,
        batch_rows=ROWS,
        learning_rate=1e-2,
        heldout_rows=HELDOUT_ROWS,
        checkpoint_steps=10**6,
        threads=1,
    )
    began = time.process_time()
    with tempfile.TemporaryDirectory() as name:
        training = Training(run, Path(name), config)
        run_until(training, training.steps)
        summary = finish(training)
    layers = [asdict(load) for load in summary.heldout_load_by_layer]
    settled, found_floors = summary.settled, {}
    if with_floors:
        seen = [pack_batch(batch) for batch in Loader(run, batch_rows=ROWS)][-LAST_STEPS:]
        found_floors = floors(training.session.model, seen, training.heldout, training.plan.names)
    bits = [one.bits_per_byte for one in summary.loss_by_domain.values()]
    return {
        "std": max(layer["std"] for layer in layers),
        "max": max(layer["max_over_mean"] for layer in layers),
        "min": min(layer["min_over_mean"] for layer in layers),
        "dead": sum(layer["dead"] for layer in layers),
        **({"unsettled_std": max(one.heldout_before for one in settled.layers)} if settled else {}),
        **({"unsettled_loss": settled.heldout_loss_before} if settled else {}),
        "loss": summary.loss.heldout_after,
        **found_floors,
        "train_std": max(load.std for load in summary.load_by_layer),
        "bits": statistics.fmean(bits),
        "cpu_s": time.process_time() - began,
    }


def compared(found: dict[str, list[dict[str, float]]]) -> dict[str, float]:
    """Bits per byte of the default less those of no balancing, seed by seed: mean and standard error."""
    pairs = zip(found["default"], found["none"], strict=False)
    more = [one["bits"] - other["bits"] for one, other in pairs]
    error = statistics.stdev(more) / len(more) ** 0.5 if len(more) > 1 else float("nan")
    return {"seeds": len(more), "mean": statistics.fmean(more), "standard_error": error}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--paired-seeds", type=int, default=3, help="of none and default")
    parser.add_argument("--methods", nargs="*", default=list(METHODS))
    parser.add_argument("--floors", action="store_true", help="also how even held-out loads could be")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        run = Path(name)
        make_run(arguments.run, run, arguments.steps)
        vocab = read_json(next((run / "shards").glob("*/index.json")))["vocab_size"]
        for method in arguments.methods:
            seeds = arguments.paired_seeds if method in ("none", "default") else arguments.seeds
            for seed in range(seeds):
                one = measure(run, METHODS[method], seed, vocab, with_floors=arguments.floors)
                found.setdefault(method, []).append(one)
                if not arguments.json:
                    print(
                        f"{method:20} {seed} " + " ".join(f"{key} {value:.3f}" for key, value in one.items()),
                        flush=True,
                    )
    result = {"runs": found} | ({"default_less_none": compared(found)} if {"none", "default"} <= found.keys() else {})
    print(json.dumps(result if arguments.json else result.get("default_less_none", {})))


if __name__ == "__main__":
    main()
