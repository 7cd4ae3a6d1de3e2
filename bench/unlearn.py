"""Unlearning by replay: is the model, to the bit, one that was trained on the overwritten rows from the start?

    python bench/unlearn.py [--closures 20] [--quick] [--json]

A small recipe on samples/ with planted pairs: of two documents with one passage in common, substring removal cut it out
of the later one. For each random closure a copy of the run is retrained and, aside, trained from step 0 on the rows
that the retraining left; every checkpoint that both have is compared byte by byte. Then three faults are planted, each
of which must be seen. The last table: the share of steps that going back spares, by number of kept checkpoints.
"""

import json
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench.compare
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pyarrow.parquet as pq
from safetensors.torch import load_file, save_file

from bench.compare import HOUSE, Comparison, options, peak_rss_mb, say
from gristmill.corpus.files import file_sha256, read_json, write_json
from gristmill.flows.direct import refine_directly
from gristmill.flows.pipeline.open_context import reopen_run
from gristmill.flows.pipeline.publish import train_config
from gristmill.flows.pipeline.stages import stage_named
from gristmill.flows.takedown.overwritten_rows import Erasure, write_overwritten
from gristmill.flows.takedown.retrain import takedown_and_retrain
from gristmill.handoff.plan import Plan
from gristmill.tokenizer.stage import PAD_ID
from gristmill.trainer.training import checkpoint, rewind
from gristmill.trainer.training.loop import train

PAIRS = 12
RECIPE = """
name = "unlearn"
seed = 11
[[sources]]
name = "forum"
path = "samples/forum/fortunes.en.jsonl"
domain = "forum"
[[sources]]
name = "speeches"
path = "samples/legal/state-of-the-union.parquet"
domain = "legal"
[[sources]]
name = "pairs"
path = "{folder}/pairs.jsonl"
domain = "pairs"
[decide]
profiles = ["length"]
[dedup.substrings]
min_tokens = 30
[tokenizer]
vocab_size = 1024
[[curriculum]]
until_tokens = "40K"
shares = {{ forum = 0.6, legal = 0.3, pairs = 0.1 }}
[shards]
row_tokens = 128
heldout = 0.02
[mixing.caps]
max_epochs = 50
[trainer]
batch_rows = 4
checkpoint_steps = 4
keep = 8
threads = 1

[trainer.model]
layers = 2
width = 32
heads = 2
experts = 4
expert_width = 32
dropout = 0.1
"""


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--closures", type=int, default=20)
    given = parser.parse_args()
    os.chdir(HOUSE)
    with tempfile.TemporaryDirectory() as name:
        os.environ["GRISTMILL_HOME"] = str(Path(name) / "home")
        run = mill(Path(name))
        firsts = [*closures(run, Path(name), 3 if given.quick else given.closures, given.json)]
        spared(firsts)
        controls(run, Path(name), given.json)


def mill(folder: Path) -> Path:
    """The run that every closure starts from a copy of."""
    words, chance = (HOUSE / "samples/legal/ATTRIBUTION.md"), random.Random(5)
    vocabulary = sorted(set((words if words.exists() else HOUSE / "README.md").read_text().split()))
    rows = []
    for pair in range(PAIRS):
        passage = " ".join(chance.choices(vocabulary, k=60))
        for place in "ab":
            own = " ".join(chance.choices(vocabulary, k=80))
            rows.append(
                {"id": f"pair{pair}{place}", "text": f"Note {pair}{place}. {own}\n\n{passage}\n\nEnd of {own[::-1]}"}
            )
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "unlearn.toml").write_text(RECIPE.format(folder=folder))
    return Path(refine_directly(folder / "unlearn.toml")["run"])


@contextmanager
def copy_of(run: Path, folder: Path) -> Iterator[Path]:
    """A copy of the home, and the run in it."""
    home = run.parents[2]
    with tempfile.TemporaryDirectory(dir=folder) as name:
        shutil.copytree(home, Path(name) / "home")
        with mock.patch.dict(os.environ, GRISTMILL_HOME=str(Path(name) / "home")):
            yield Path(name) / "home" / run.relative_to(home)


def from_the_start(run: Path, out: Path) -> None:
    """Train on the rows that the run now has, from step 0."""
    with reopen_run(run) as context:
        config = train_config(context, stage_named(context.stages, "train"))
    train(run, out, config)


def differing(run: Path, out: Path) -> list[str]:
    """Files of checkpoints, and tables, that are not equal byte by byte to those of a training from the start."""
    mine, theirs = run / "train" / "checkpoints", out / "checkpoints"
    steps = set(checkpoint.saved_steps(mine)) & set(checkpoint.saved_steps(theirs))
    paths = [
        f"checkpoints/step-{step:09d}/{name}"
        for step in sorted(steps)
        for name in (checkpoint.MODEL, checkpoint.TRAINING, checkpoint.STATE)
    ]
    paths += ["consumption.parquet", "evaluation.parquet", "load.parquet", "summary.json"]
    return [path for path in paths if file_sha256(run / "train" / path) != file_sha256(out / path)]


def kept(run: Path) -> list[str]:
    """doc_ids of kept documents, and the input's ids of the planted pairs."""
    with reopen_run(run) as context:
        return sorted(pq.read_table(context.file("decide", "kept.parquet"))["doc_id"].to_pylist())


def closures(run: Path, folder: Path, number: int, as_json: bool) -> Iterator[tuple[int, int]]:
    """Retrain for random closures; yields first step and steps of each."""
    known = kept(run)
    for seed in range(number):
        chance = random.Random(seed)
        names = chance.sample(known, chance.choice([1, 1, 2, 3])) + ([f"pair{seed % PAIRS}a"] if seed % 3 == 0 else [])
        with copy_of(run, folder) as copied:
            found = takedown_and_retrain(copied, names, date="2026-01-31")["certificate"]
            from_the_start(copied, folder / "scratch")
            wrong = differing(copied, folder / "scratch")
            shutil.rmtree(folder / "scratch")
        steps, replayed = found["cost"]["steps"], found["replayed_steps"]
        note = f"{len(found['closure'])} documents, first step {found['first_step']}, base {found['base_checkpoint']}"
        note += "".join(f"; differs: {path}" for path in wrong)
        ratio, equal = steps / max(replayed, 1), not wrong
        say(Comparison(f"closure {seed}", "trained from the start", "", "steps", replayed, steps, ratio, "equal",
                       equal, peak_rss_mb(), note), as_json)  # fmt: skip
        if found["first_step"]:
            yield found["first_step"], steps


def controls(run: Path, folder: Path, as_json: bool) -> None:
    """Three planted faults: the weights must differ from those of a training from the start on the right rows."""
    for pair in range(PAIRS):  # the first whose training does not go back to the start
        whole = [f"pair{pair}a"]
        with copy_of(run, folder) as copied:
            base = takedown_and_retrain(copied, whole, date="2026-01-31")["certificate"]["base_checkpoint"]
            if 0 < base < checkpoint.saved_steps(copied / "train" / "checkpoints")[-1]:
                from_the_start(copied, folder / "right")
                break
    real_base, real_back = rewind.base_before, rewind.go_back

    def later(out: Path, *rest: Any) -> int:
        saved = [step for step in checkpoint.saved_steps(out / "checkpoints") if step > real_base(out, *rest)]
        return saved[0]

    def alter(run: Path, out: Path, config: Any, base: int) -> None:
        real_back(run, out, config, base)
        path = checkpoint.folder_of(out / "checkpoints", base)
        tensors = load_file(path / checkpoint.TRAINING)
        tensors["optimizer.exp_avg.embedding"][3, 3] += 1e-4
        save_file(tensors, path / checkpoint.TRAINING)
        document = read_json(path / checkpoint.STATE)
        document["files"][checkpoint.TRAINING] = file_sha256(path / checkpoint.TRAINING)
        write_json(path / checkpoint.STATE, document)

    with copy_of(run, folder) as copied:
        forgetful(copied, whole[0])
        report("the other copy of a pair forgotten", copied, folder / "right", base, as_json)
    faults: dict[str, tuple[Any, str, Callable]] = {
        "one moment of the optimizer altered": (rewind, "go_back", alter),
        "the wrong checkpoint": (rewind, "base_before", later),
    }
    for name, (module, function, fault) in faults.items():
        with copy_of(run, folder) as copied, mock.patch.object(module, function, fault):
            takedown_and_retrain(copied, whole, date="2026-01-31")
            report(name, copied, folder / "right", base, as_json)


def report(fault: str, run: Path, right: Path, base: int, as_json: bool) -> None:
    """One line: how many files of weights differ from the right ones."""
    wrong = [path for path in differing(run, right) if path.endswith(checkpoint.MODEL)]
    note = f"base was {base}; {len(wrong)} files of weights differ"
    say(Comparison(f"control: {fault}", "trained from the start", "", "files", len(wrong), None, None, "> 0",
                   bool(wrong), peak_rss_mb(), note), as_json)  # fmt: skip


def forgetful(run: Path, name: str) -> None:
    """Retrain with one document of the pair overwritten and the other left: by hand, for takedown refuses to."""
    with reopen_run(run) as context:
        documents = pq.read_table(context.file("documents", "documents.parquet", -1), columns=["doc_id", "meta"])
        config = train_config(context, stage_named(context.stages, "train"))
    (asked,) = [row["doc_id"] for row in documents.to_pylist() if json.loads(row["meta"])["id"] == name]
    shards, plan = run / "shards" / "pairs", Plan.load(run / "plan")
    write_overwritten(shards, run / "overwritten", Erasure((asked,), PAD_ID))
    shutil.rmtree(shards)
    (run / "overwritten").rename(shards)
    index = file_sha256(shards / "index.json")
    domains = tuple(replace(one, index=index) if one.name == "pairs" else one for one in plan.domains)
    replace(plan, domains=domains).save(run / "plan")
    rewind.go_back(run, run / "train", config, 0)
    train(run, run / "train", config)


def spared(firsts: list[tuple[int, int]]) -> None:
    """The mean share of steps that going back spares, by number of kept checkpoints; without closures no step saw."""
    for keep in (0, 1, 2, 4, 8, 16, 32):
        shares = [base_of(first, steps, keep) / steps for first, steps in firsts]
        late = [base_of(first, steps, keep) / steps for first, steps in firsts if first > steps / 4]
        line = f"keep {keep:2}: {np.mean(shares):6.1%} of the steps spared; first step behind a quarter: "
        sys.stderr.write(line + (f"{np.mean(late):.1%} of {len(late)} closures\n" if late else "no closure\n"))


def base_of(first: int, steps: int, keep: int, every: int = 4) -> int:
    """Steps of the last kept checkpoint before step ``first``, as the trainer keeps them."""
    saved = [*range(every, steps, every), steps]
    wanted = checkpoint.spread_evenly(keep, steps)
    stay = set(saved[-checkpoint.KEEP :]) | {min(saved, key=lambda s, w=w: (abs(s - w), s)) for w in wanted}
    return max((step for step in stay if step < first), default=0)


if __name__ == "__main__":
    main()
