"""Faults planted between the shards and the model, and the sentence by which verify names each.

    python bench/proof_faults.py [--json]

The faults are those of tests/trainer/test_planted_faults.py; here each is planted in a training of its own, and what
verify says of it is printed. A label that is changed at ingest needs a whole mill: tests/flows/test_labels.py.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from gristmill.flows.inspect.consumed_digests import compare
from gristmill.flows.inspect.verify_training import wrong_metrics
from tests.trainer import test_planted_faults as planted
from tests.trainer.conftest import changed, make_run, small_config


def sentences(run, out, config, replay):
    """What verify says of a training, in the order of its checks."""
    log = planted.trained(run, out, config)
    found = compare(run, log)
    said = [*found.order, *found.content, *wrong_metrics(out / "metrics.parquet", log)]
    return said + (list(planted.replayed(run, out, config).values()) if replay else [])


def faults():
    """Name, how it is planted, and whether replay is asked for."""
    for name, (plant, *_) in planted.FAULTS.items():
        yield name, plant, False
    for name, plant in planted.MORE.items():
        yield name, plant, False
    for name, (plant, *_) in planted.IN_THE_MODEL.items():
        yield f"{name}, in the model", plant, True


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
        for number, (fault, plant, replay) in enumerate([("none", lambda _: None, True), *faults()]):
            with pytest.MonkeyPatch.context() as patch:
                plant(patch)
                said = sentences(
                    run, folder / str(number), config, replay and fault != "embeddings permuted, in the model"
                )
            if fault.startswith("embeddings"):
                said = list(planted.replayed(run, folder / str(number), config).values())
            missed += bool(said) == (fault == "none")
            line = {"fault": fault, "verify": said[0] if said else "nothing"}
            print(json.dumps(line) if as_json else f"| {fault} | {line['verify']} |")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
