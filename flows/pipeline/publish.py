"""The last stages: train the model on the hand-over, write the data card."""

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gristmill.corpus.errors import DamagedFileError
from gristmill.corpus.files import content_key, read_json
from gristmill.corpus.lock import LISTS
from gristmill.corpus.receipt import Manifest, Outcome, Receipt
from gristmill.corpus.rundir import PLUGINS
from gristmill.corpus.seeds import derive_seed
from gristmill.corpus.store_use import using
from gristmill.corpus.typed_json import to_json
from gristmill.flows.pipeline.assemble import tokenizer_facts
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.jobs import Job, job_key
from gristmill.flows.pipeline.latest_tokenizer import FILE as TOKENIZER
from gristmill.flows.pipeline.open_context import stages_of_run
from gristmill.flows.pipeline.planted_facts import fact_tokens, facts_digest
from gristmill.flows.pipeline.run_report import timed
from gristmill.flows.pipeline.stages import Instance
from gristmill.flows.pipeline.training_html import write_training_page
from gristmill.flows.pipeline.training_receipt import DONE, differs, expect_done, read_done, write_done
from gristmill.trainer.config import FREE, TrainConfig
from gristmill.trainer.model.precision import resolve_precision
from gristmill.trainer.training.setting_changes import FILE as CHANGES_FILE
from gristmill.trainer.training.setting_changes import read_changes
from gristmill.trainer.training_stage import TrainingStage

if TYPE_CHECKING:
    from gristmill.trainer.training.metrics import StepFigures

KEPT_OF_TRAINING = (CHANGES_FILE, "lineage.json")  # asked for by people, not computed
log = logging.getLogger(__name__)


def train_model(context: RunContext, stage: Instance) -> Manifest:
    """Train on the plan, or find the finished training again."""
    cost = timed()
    key = train_key(context, stage)
    out = context.run.path / "train"
    finished = _finished_with(context, out) == key and not _drop_damaged(context, out)
    if not finished:
        _train(context, stage)
        seal_training(context, stage)
    manifest = Manifest(stage.name, (_train_receipt(context, key),))
    context.run.write_manifest(manifest)
    context.report.record(manifest, int(finished), cost())
    return manifest


def _finished_with(context: RunContext, out: Path) -> str | None:
    """The key of the finished training in a folder; where its receipt is lost, the training goes on from its end."""
    try:
        if context.run.has("train"):
            expect_done(out)
        done = read_done(out)
        return done.key if done else None
    except DamagedFileError as error:
        if context.healing is None:
            log.warning("%s", error)
        else:
            context.healing.note(f"train/{DONE}", str(error))
        return None


def _drop_damaged(context: RunContext, out: Path) -> bool:
    """Delete a finished training that is not what was written, but for the changes that were asked of it."""
    if context.healing is None:
        return False
    done = read_done(out)
    files = (done.files if done else None) or ()
    problem = next((one for file in files if (one := differs(out, file))), None)
    if problem is None:
        return False
    context.healing.note("train", problem)
    for path in out.iterdir():
        if path.name not in KEPT_OF_TRAINING:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return True


def seal_training(context: RunContext, stage: Instance) -> None:
    """Write the receipt of a finished training: its key, and every file with its digest."""
    write_done(context.run.path / "train", train_key(context, stage))


def train_key(context: RunContext, stage: Instance) -> str:
    """Names a training: plan, held-out rows, the model's settings, what was changed on the way; not where it ran."""
    settings = stage.options.model_dump(exclude={*FREE, "proof"})
    settings["precision"] = resolve_precision(stage.options.precision, stage.options.device)
    plan, heldout = context.run.manifest("plan").key, context.run.manifest("heldout").key
    changes = to_json(read_changes(context.run.path / "train"))
    facts = [facts_digest(context)] if stage.options.proof else []
    start = [_start_digest(context)] if stage.options.start else []
    decides = [plan, heldout, settings, changes, context.recipe.seed, *facts, *start]
    return content_key(["train", stage.spec.version, *decides])


def train_config(context: RunContext, stage: Instance) -> TrainConfig:
    """What the trainer is asked for: the recipe's section, the seed, and what the shards decide."""
    return TrainConfig(
        **{name: value for name, value in stage.options if name != "proof"},
        stage_stops=_stage_stops(context, stage.options.stages),
        start_digest=_start_digest(context),
        seed=derive_seed(context.seed("train"), "trainer"),  # twice, as 0.1.0 did: equal weights
        row_tokens=context.recipe.shards.row_tokens,
        vocab_size=tokenizer_facts(context).vocab_size,
    )


def _stage_stops(context: RunContext, stages: Sequence[TrainingStage]) -> tuple[int, ...]:
    """Samples of the plan at which each stage ends."""
    ends = context.run.manifest("plan").parts[0].facts["phases"] if stages else ()
    return tuple(ends[sum(stage.phases for stage in stages[: number + 1]) - 1] for number in range(len(stages)))


def _start_digest(context: RunContext) -> str:
    """The weights that the run goes on from; empty where it begins with new ones."""
    return context.run.brief_lock.artefacts.get("train", {}).get("start", "")


def _train(context: RunContext, stage: Instance) -> None:
    from gristmill.handoff.plan import Plan
    from gristmill.trainer.training.checkpoint import saved_steps
    from gristmill.trainer.training.loop import train
    from gristmill.trainer.training.ranks import current

    config = train_config(context, stage)
    steps = -(-Plan.load(context.run.path / "plan").samples // config.batch_rows)
    out, facts = context.run.path / "train", fact_tokens(context, stage.options.proof)
    begun = max(saved_steps(out / "checkpoints"), default=0)
    with context.report.progress("train", steps) as progress:
        if begun:  # or a line that comes before the next step would count from 0
            progress.advance("resumed", begun)
        current().first_says(True)  # the others begin too (``flows.pipeline.train_together``)
        train(
            context.run.path,
            out,
            config,
            on_step=lambda step: progress.advance(_step_note(step), step.step),
            facts=facts,
        )
    write_training_page(context.run.path, stage.options.alarms)


def _step_note(step: "StepFigures") -> str:
    return f"loss {step.loss:.3f}"


def _train_receipt(context: RunContext, key: str) -> Receipt:
    summary = read_json(context.run.path / "train" / "summary.json")
    return Receipt("train", key, summary["steps"], {}, {"summary": summary}, ())


def _add_what_a_rebuild_needs(context: RunContext, folder: Path) -> int:
    """A card goes out alone and is rebuilt alone: put plug-ins, lists of inputs and another run's tokenizer beside it.

    Returns how many files were added.
    """
    plugins = sorted((context.run.path / PLUGINS).glob("*.py"))
    for path in plugins:
        (folder / PLUGINS).mkdir(exist_ok=True)
        shutil.copyfile(path, folder / PLUGINS / path.name)
    lists = [one.expect_list(context.run.path) for one in context.run.brief_lock.beside.values()]
    for path in lists:
        (folder / LISTS).mkdir(exist_ok=True)
        shutil.copyfile(path, folder / LISTS / path.name)
    others_tokenizer = context.recipe.tokenizer.from_ is not None  # of a run that need not be there
    if others_tokenizer:
        (folder / TOKENIZER.parent).mkdir()
        shutil.copyfile(context.run.path / TOKENIZER, folder / TOKENIZER)
    return len(plugins) + len(lists) + int(others_tokenizer)


def publish_card(context: RunContext, stage: Instance) -> Manifest:
    """The data card, from the run's receipts and tables alone."""
    from gristmill.data_cards.parts.environment import environment
    from gristmill.data_cards.reading import Reading
    from gristmill.data_cards.render import write_card
    from gristmill.data_cards.takedowns import takedowns

    context.run.describe(context.described, with_card=True)
    read = [name for name in stages_of_run(context.run).names if name != stage.name and context.run.has(name)]
    inputs = {name: context.run.manifest(name).key for name in read}
    text = (context.run.path / "recipe.toml").read_text(encoding="utf-8")  # the card holds it word for word
    options = {
        "lock": context.run.brief_lock.to_json(),
        "text": text,
        "environment": environment(Reading(context.run, context.store.folder)),  # as the run recorded it
        "stages": context.run.stages.to_json(),
        "takedowns": takedowns(context.run),
    }
    if "train" in read:  # of one key on other ranks, or made anew on them, losses differ in their last digits
        options["training"] = context.run.manifest("train").parts[0].facts
    key = job_key(stage.name, stage.spec.version, inputs, **options)

    def write(folder: Path) -> Outcome:
        files = write_card(context.run, context.store.folder, folder)
        return Outcome(len(files) + _add_what_a_rebuild_needs(context, folder))

    with using(context.store.root):  # training does not hold it: it may take days
        manifest = context.compute(stage.name, [Job(stage.name, key, write)], here=True)
    context.place("card", manifest.parts[0])
    return manifest
