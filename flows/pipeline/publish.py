"""The last stages: train the model on the hand-over, write the data card."""

import time
from typing import TYPE_CHECKING, Any

from gristmill.corpus.files import content_key, read_json, write_json
from gristmill.corpus.receipt import Manifest, Outcome, Receipt
from gristmill.corpus.rundir import STAGES
from gristmill.corpus.seeds import derive_seed
from gristmill.flows.pipeline.assemble import vocab_size
from gristmill.flows.pipeline.context import Mill
from gristmill.flows.pipeline.jobs import Job, job_key
from gristmill.flows.pipeline.versions import environment_versions, stage_version

if TYPE_CHECKING:
    from gristmill.trainer.metrics import StepFigures


def train_model(mill: Mill) -> Manifest | None:
    """Train on the plan, or find the finished training again; only when the recipe has [trainer]."""
    if mill.recipe.trainer is None:
        return None
    begin = time.perf_counter()
    key = train_key(mill)
    out = mill.run.path / "train"
    finished = (out / "done.json").exists() and read_json(out / "done.json")["key"] == key
    if not finished:
        _train(mill)
        write_json(out / "done.json", {"key": key})
    manifest = Manifest("train", (_train_receipt(mill, key),))
    mill.run.write_manifest(manifest)
    mill.record("train", manifest, int(finished), time.perf_counter() - begin)
    return manifest


def train_key(mill: Mill) -> str:
    """Names a training: the plan, the held-out rows and the model's settings. Threads do not change the result."""
    assert mill.recipe.trainer is not None
    settings = mill.recipe.trainer.model_dump(exclude={"threads", "checkpoint_steps", "device"})
    plan, heldout = mill.run.manifest("plan").key, mill.run.manifest("heldout").key
    return content_key(["train", train_version(), plan, heldout, settings, mill.recipe.seed])


def train_version() -> str:
    """The trainer's VERSION; its loop imports torch only when it trains."""
    from gristmill.trainer.config import VERSION

    return VERSION


def _train(mill: Mill) -> None:
    from gristmill.handoff.plan import Plan
    from gristmill.trainer.config import TrainConfig
    from gristmill.trainer.loop import train

    assert mill.recipe.trainer is not None
    config = TrainConfig(
        **mill.recipe.trainer.model_dump(),
        seed=derive_seed(derive_seed(mill.recipe.seed, "train"), "trainer"),  # twice, as 0.1.0 did: equal weights
        row_tokens=mill.recipe.shards.row_tokens,
        vocab_size=vocab_size(mill),
    )
    steps = -(-Plan.load(mill.run.path / "plan").samples // config.batch_rows)
    with mill.progress("train", steps) as progress:
        train(mill.run.path, mill.run.path / "train", config, on_step=lambda step: progress.advance(_step_note(step)))


def _step_note(step: "StepFigures") -> str:
    return f"loss {step.loss:.3f}"


def _train_receipt(mill: Mill, key: str) -> Receipt:
    summary = read_json(mill.run.path / "train" / "summary.json")
    return Receipt("train", key, summary["steps"], {}, {"summary": summary}, ())


def publish_card(mill: Mill) -> Manifest:
    """The data card, from the run's manifests alone."""
    from gristmill.data_cards.render import write_card
    from gristmill.data_cards.takedowns import takedowns

    stages = [stage for stage in STAGES if mill.run.has(stage)]
    inputs = {stage: mill.run.manifest(stage).key for stage in stages}
    text = (mill.run.path / "recipe.toml").read_text(encoding="utf-8")  # the card holds it word for word
    said = {
        "lock": mill.run.lock,
        "text": text,
        "environment": environment_versions(),
        "takedowns": takedowns(mill.run),
    }
    key = job_key("card", stage_version("card"), inputs, **said)

    def write(folder: Any) -> Outcome:
        files = write_card(mill.run, mill.store.folder, folder)
        return Outcome(len(files))

    manifest = mill.stage("card", [Job("card", key, write)], here=True)
    mill.run.place(mill.store.folder(manifest.parts[0]), "card")
    return manifest
