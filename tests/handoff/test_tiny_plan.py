"""What the tiny plan compiles is what plans and readers use: nothing is left to compile behind it."""

import subprocess
import sys

SCRIPT = """
import sys, tempfile
from pathlib import Path
import numpy as np
from gristmill.handoff import _kernels, _kernels_stretch, _kernels_turns
from gristmill.handoff.loader import Loader
from gristmill.handoff.plan import Domain, Plan
from gristmill.handoff.schedule import Segment, quantise
from gristmill.handoff.shards import ShardWriter
from gristmill.handoff.tiny_plan import plan_and_read
from gristmill.corpus.files import file_sha256
from numba.core.dispatcher import Dispatcher

def compiled():
    kernels = [pair for module in (_kernels, _kernels_stretch, _kernels_turns) for pair in vars(module).items()]
    return {name: list(f.signatures) for name, f in kernels if isinstance(f, Dispatcher)}

plan_and_read()
before = compiled()
folder = Path(tempfile.mkdtemp())
for name in "ab":
    with ShardWriter(folder / "shards" / name, row_tokens=16, vocab_size=500, shard_rows=9, batch_rows=4) as writer:
        tokens = np.random.default_rng(1).integers(0, 500, (30, 16))
        writer.write(tokens, [[{"doc_id": "x", "start": 0, "length": 16, "offset": 0}]] * 30)
domains = tuple(Domain(name, 30, file_sha256(folder / "shards" / name / "index.json")) for name in "ab")
shares = (quantise([0.5, 0.5]), quantise([0.1, 0.9]))
plan = Plan.build(domains, row_tokens=16, seed=2, segments=(Segment(20, shares[0], shares[0]), Segment(40, *shares)))
only = quantise([1, 0])
back = (Segment(7, shares[1], shares[1]), Segment(20, only, only), Segment(40, *shares))
Plan.build(domains, row_tokens=16, seed=2, segments=back).locate(0, 40)
plan.save(folder / "plan")
plan.locate(3, 30), plan.counts(2, 8)
sum(len(batch.tokens) for batch in Loader(folder, batch_rows=4))
sys.exit(str(set(map(str, compiled().items())) - set(map(str, before.items()))) if compiled() != before else 0)
"""


def test_a_tiny_plan_compiles_all_that_a_plan_needs():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
