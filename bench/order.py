"""The order of rows under torch's loader: every pair of ranks and workers from many points, and with real processes.

    python bench/order.py [--points 100] [--json]

Worlds 1, 2, 3, 4, 5, 7, 8 x workers 0, 1, 2, 4. In this process: ``--points`` random points for each of the 28 pairs,
each with a random batch size, get_worker_info planted. With the processes of torch's ``DataLoader``: each pair once,
from a random point. The digests of all rows must be those of one plain pass, each row once; any other answer is shown.
"""

import argparse
import json
import tempfile
import time
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from loader import make_run
from torch.utils.data import DataLoader

from gristmill.handoff import torch as handed
from gristmill.handoff.loader import Loader
from gristmill.handoff.torch import PlannedBatches

WORLDS, WORKERS = (1, 2, 3, 4, 5, 7, 8), (0, 1, 2, 4)
SAMPLES = 600


def in_turn(folder, workers, place, state):
    """What ``DataLoader`` would hand out of copies that each think themselves one of ``workers``."""
    copies = []
    for _ in range(max(workers, 1)):
        data = PlannedBatches(folder, digests=True, **place)
        data.load_state_dict(state)
        copies.append(iter(data))
    left = list(range(len(copies)))
    while left:
        for worker in list(left):
            info = SimpleNamespace(id=worker, num_workers=workers) if workers else None
            handed.get_worker_info = lambda info=info: info
            item = next(copies[worker], None)
            if item is None:
                left.remove(worker)
            else:
                yield item


def with_processes(folder, workers, place, state):
    data = PlannedBatches(folder, digests=True, **place)
    data.load_state_dict(state)
    return DataLoader(data, batch_size=None, num_workers=workers)


def unequal(read, folder, pair, state, whole):
    """What is wrong with the stream of one pair from one point; empty when nothing is."""
    world, workers, batch_rows = pair
    found, steps = {}, set()
    for rank in range(world):
        items = list(read(folder, workers, {"batch_rows": batch_rows, "rank": rank, "world": world}, state))
        steps.add(tuple(int(item["step"]) for item in items))
        for item in items:
            for sample, digest in zip(item["sample"].tolist(), item["digest"].numpy(), strict=True):
                if sample in found:
                    return f"{pair} from {state['cursor']}: sample {sample} came twice"
                found[sample] = digest.tobytes()
    expected = {sample: digest for sample, digest in whole.items() if sample >= state["cursor"]}
    in_order = steps == {tuple(range(-(-(SAMPLES - state["cursor"]) // batch_rows)))}
    return "" if found == expected and in_order else f"{pair} from {state['cursor']}: another stream"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rng, wrong, streams, began = np.random.default_rng(5), [], {"in this process": 0, "with processes": 0}, time.time()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_run(folder, SAMPLES, 32)
        loader = Loader(folder, batch_rows=64)
        plan = loader.plan.digest
        warnings.filterwarnings("ignore", message="This DataLoader will create")  # more processes than cores
        whole = {int(s): d.tobytes() for b in loader for s, d in zip(b.sample, b.digest, strict=True)}
        known = handed.get_worker_info
        ways = {"with processes": (with_processes, 1), "in this process": (in_turn, arguments.points)}
        for way, (read, points) in ways.items():
            handed.get_worker_info = known
            for world in WORLDS:
                for workers in WORKERS:
                    for _ in range(points):
                        pair = (world, workers, int(rng.integers(1, 80)))
                        state = {"cursor": int(rng.integers(SAMPLES + 1)), "step": 0, "plan": plan}
                        wrong += [problem] if (problem := unequal(read, folder, pair, state, whole)) else []
                        streams[way] += 1
    line = {
        "work": "streams of ranks and workers",
        **streams,
        "wrong": len(wrong),
        "seconds": round(time.time() - began),
    }
    print(json.dumps(line) if arguments.json else line)
    print("\n".join(wrong[:20]))
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
