"""The training of a run's whole plan by this version and by version 0.1.0, on the same files: CPU seconds.

    git archive c04e527 | tar -x -C DIR && python bench/train_since.py DIR RUN [--rounds 1] [--busy]

0.1.0 is that commit, the last before the packages had one name; it reads the plan and the shards of today. Both train
a model of the sample's shape (seed 1; every other setting as each version has it by default) in a process of its
own, one thread, from the first step to the evaluation behind the last. --busy: this version alone, by the number of
threads that it takes itself and by one, beside processes that keep every core busy.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench.run_cost

from bench.compare import HOUSE
from bench.run_cost import busy

READ = """
import json, sys, time
from pathlib import Path
run, out, threads = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
index = json.loads((next((run / "shards").iterdir()) / "index.json").read_text())
shape = dict(layers=2, width=128, heads=4, experts=8, expert_width=128, top_k=2)
rest = dict(vocab_size=index["vocab_size"], row_tokens=index["row_tokens"], seed=1)
"""
BEFORE = """
from trainer.config import TrainConfig
from trainer.loop import train
config = TrainConfig(**shape, **rest, balance="bias")
"""
NOW = """
from gristmill.trainer.config import TrainConfig
from gristmill.trainer.model.shape import Shape
from gristmill.trainer.training.loop import train
config = TrainConfig(model=Shape(**shape), **rest, **({"threads": threads} if threads else {}))
"""
TRAIN = """
began, clock = time.process_time(), time.perf_counter()
train(run, out, config)
print(json.dumps({"cpu_seconds": time.process_time() - began, "seconds": time.perf_counter() - clock}))
"""


def trained(folder: Path, code: str, run: Path, threads: int = 1) -> dict[str, float]:
    """CPU seconds and seconds of one training by the version in ``folder``; 0 threads: as many as it takes itself."""
    environment = {**os.environ, "PYTHONPATH": str(folder), **({"OMP_NUM_THREADS": "1"} if threads == 1 else {})}
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-c", READ + code + TRAIN, str(run), out, str(threads)]
        done = subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--busy", action="store_true", help="beside busy processes, by its own threads and by one")
    arguments = parser.parse_args()
    run = arguments.run.resolve()
    for _ in range(arguments.rounds):
        if arguments.busy:
            with busy(os.cpu_count() or 1):
                own, one = trained(HOUSE, NOW, run, 0), trained(HOUSE, NOW, run, 1)
            print(json.dumps({"own_threads": own, "one_thread": one, "ratio": own["seconds"] / one["seconds"]}))
        else:
            before, now = trained(arguments.before.resolve(), BEFORE, run), trained(HOUSE, NOW, run)
            ratio = now["cpu_seconds"] / before["cpu_seconds"]
            print(json.dumps({"before": before, "now": now, "ratio": ratio, "target": "at most 1.3"}))


if __name__ == "__main__":
    main()
