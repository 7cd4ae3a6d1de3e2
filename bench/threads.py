"""Threads and waiting: wall clock and CPU of a training step, alone and beside processes that keep cores busy.

    python bench/threads.py [--quick] [--json] [--neighbours 1] [--all]

The model is that of recipes/sample.toml (width 128, 2 layers, 8 experts, vocabulary 8,192; steps of 8 rows of 256
tokens). ``default`` is what the trainer takes by itself, against one thread: ``ours`` and ``theirs`` are milliseconds
of wall clock a step. ``--all`` measures one and all cores with threads that spin and that sleep while they wait, which
is where the default comes from (docs/decisions/0020-threads.md). Each figure is the median of rounds in processes of
their own, taken in turn, so that a slow minute of the machine falls on all.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench.compare

from bench.compare import HOUSE, Comparison, options, say
from bench.run_cost import busy

MODEL = {"layers": 2, "width": 128, "heads": 4, "expert_width": 128}
WARM_STEPS, STEPS = 3, 15
SETTINGS = {  # name -> trainer.threads, environment
    "default": (0, {}),
    "one": (1, {}),
    "all, sleeping": (-1, {"OMP_WAIT_POLICY": "PASSIVE"}),
    "all, spinning": (-1, {"OMP_WAIT_POLICY": "ACTIVE"}),
    "all, libgomp's own": (-1, {"OMP_WAIT_POLICY": ""}),
}


def measure(threads: int, steps: int) -> dict[str, float]:
    """Wall clock and CPU milliseconds a step; -1 threads = all cores."""
    import numpy as np
    import torch

    import gristmill.trainer  # noqa: F401  sets the wait policy, unless the environment has one
    from gristmill.trainer.config import TrainConfig
    from gristmill.trainer.model.packed import pack
    from gristmill.trainer.model.precision import resolve_precision
    from gristmill.trainer.model.shape import Shape
    from gristmill.trainer.training.session import begin
    from gristmill.trainer.training.step import train_step
    from gristmill.trainer.training.threads import thread_count

    precision = resolve_precision("auto", "cpu")
    config = TrainConfig(vocab_size=8192, row_tokens=256, model=Shape(**MODEL), precision=precision)
    torch.set_num_threads(os.cpu_count() or 1 if threads < 0 else thread_count(threads))
    session, rng = begin(config), np.random.default_rng(1)
    tokens = rng.integers(0, 8192, (config.batch_rows, config.row_tokens))
    cuts = np.sort(rng.integers(1, config.row_tokens, config.batch_rows))
    row = np.repeat(np.arange(config.batch_rows), 2)
    start = np.stack([np.zeros_like(cuts), cuts], 1).ravel()
    length = np.stack([cuts, config.row_tokens - cuts], 1).ravel()
    batch = pack(tokens, np.zeros(config.batch_rows, np.int64), row, start, length)
    for step in range(WARM_STEPS + steps):
        if step == WARM_STEPS:
            wall, cpu = time.perf_counter(), time.process_time()
        train_step(session.model, session.optimizer, [batch], config)
    return {
        "wall": 1000 * (time.perf_counter() - wall) / steps,
        "cpu": 1000 * (time.process_time() - cpu) / steps,
        "threads": torch.get_num_threads(),
    }


def in_a_process(name: str, steps: int) -> dict[str, float]:
    """``measure`` in a fresh process: libgomp reads its environment once."""
    threads, changes = SETTINGS[name]
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "GOMP_", "KMP_"))}
    environment = {**clean, **changes, "PYTHONPATH": str(HOUSE)}
    command = [sys.executable, __file__, "--child", str(threads), str(steps)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def rounds(names: list[str], neighbours: int, steps: int, count: int) -> dict[str, dict[str, float]]:
    """Medians of each setting, measured in turn."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(count):
        for name in names:
            with busy(neighbours):
                found[name].append(in_a_process(name, steps))
    return {name: {key: statistics.median(f[key] for f in many) for key in many[0]} for name, many in found.items()}


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("--neighbours", type=int, default=1)
    parser.add_argument("--all", action="store_true", help="every setting, not the default and one thread alone")
    chosen = parser.parse_args()
    names = list(SETTINGS) if chosen.all else ["default", "one"]
    steps, count = (STEPS // 3, 1) if chosen.quick else (STEPS, 3)
    states = {"quiet": rounds(names, 0, steps, count), "busy": rounds(names, chosen.neighbours, steps, count)}
    for state, found in states.items():
        for name, figures in found.items():
            one, quiet = found["one"], states["quiet"][name]
            cpu = f"CPU {figures['cpu']:.0f} ms, {figures['cpu'] / one['cpu']:.2f} of one thread's"
            note = f"{figures['threads']:.0f} threads; {cpu}, {figures['cpu'] / quiet['cpu']:.2f} of its own when quiet"
            ratio = one["wall"] / figures["wall"]
            work = f"training step, {name}, {state}"
            say(
                Comparison(work, "one thread", "", "ms", figures["wall"], one["wall"], ratio, ">= 1", None, 0, note),
                chosen.json,
            )


if __name__ == "__main__":
    if "--child" in sys.argv:
        print(json.dumps(measure(int(sys.argv[2]), int(sys.argv[3]))))
    else:
        main()
