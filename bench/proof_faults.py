"""Faults planted between the shards and the model, and the sentence by which verify names each.

    python bench/proof_faults.py [--json]

The faults are those of tests/trainer/test_planted_faults.py and test_settling.py; here each is planted in a training of
its own, and what verify says of it is printed. A label that is changed at ingest needs a whole mill:
tests/flows/test_labels.py.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from gristmill.flows.inspect.consumed_digests import compare
from gristmill.flows.inspect.verify_settled import settled_of
from gristmill.flows.inspect.verify_training import wrong_metrics
from tests.trainer import test_planted_faults as planted
from tests.trainer.conftest import changed, make_run, small_config
from tests.trainer.test_settling import SETTLING

INSIDE, LAST = 2, 3  # intervals that are trained again: steps 5 and 6; step 7 and settling behind it


def sentences(run, out, config, interval):
    """What verify says of a training, in the order of its checks."""
    log = planted.trained(run, out, config)
    found = compare(run, log)
    said = [*found.order, *found.content, *wrong_metrics(out / "metrics.parquet", log)]
    said += [check.detail for check in settled_of(out) if not check.ok]
    return said + (list(planted.replayed(run, out, config, interval).values()) if interval else [])


def faults():
    """Name, how it is planted, and which interval is to be trained again."""
    for name, (plant, *_) in planted.FAULTS.items():
        yield name, plant, None
    for name, plant in planted.MORE.items():
        yield name, plant, None
    for name, (plant, *_) in planted.IN_THE_MODEL.items():
        yield f"{name}, in the model", plant, INSIDE
    for name, plant in SETTLING.items():
        yield f"{name}, behind the last step", plant, LAST


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    as_json, missed = parser.parse_args().json, 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = make_run(folder / "run", 26, masked="code")
        config = changed(
            small_config(), layers=1, width=8, heads=1, dropout=0.0, heldout_rows=0, checkpoint_steps=2, keep=2
        )
        for number, (fault, plant, interval) in enumerate([("none", lambda _: None, LAST), *faults()]):
            alone = fault.startswith("embeddings") or interval == LAST  # in training, and not in verify as well
            with pytest.MonkeyPatch.context() as patch:
                plant(patch)
                said = sentences(run, folder / str(number), config, None if alone else interval)
            if alone:
                said += planted.replayed(run, folder / str(number), config, interval).values()
            missed += bool(said) == (fault == "none")
            line = {"fault": fault, "verify": said[0] if said else "nothing"}
            print(json.dumps(line) if as_json else f"| {fault} | {line['verify']} |")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
