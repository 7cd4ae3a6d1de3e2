"""When a model cannot be made what it would have been without some documents, and what no retraining reaches."""

from collections.abc import Collection, Iterator
from pathlib import Path

from gristmill.corpus.errors import StoreError
from gristmill.corpus.rundir import RunDir
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.training_lineage import read_lineage
from gristmill.flows.takedown.search import Slices, Vocabulary, file_blocks

BEGAN = {"warm": "began from", "teacher": "learned from"}


def expect_retrainable(context: RunContext, closure: Collection[str], slices: Slices) -> None:
    """Refuse where the weights, or the rows, would keep something of the documents all the same.

    Raises
    ------
    StoreError : no training; the vocabulary spells the text; or a model that saw it stands before this one
    """
    run = context.run
    if run.brief_lock.format == 1 or not (run.path / "train").exists():
        raise StoreError(f"{run.path} has no training of this version to go back in: take down without --retrain")
    if slices.count_in(Vocabulary(context.file("tokenizer", "tokenizer.json")).table):
        raise StoreError(
            f"{run.path}: a token of the vocabulary spells the text. The tokenizer would have to be fitted anew, every "
            "token would change its number, and no step of the old training could stay: take down without --retrain, "
            "which does just that"
        )
    for sentence in _ancestors(run.path, closure, slices, set()):
        raise StoreError(f"{run.path}: {sentence}. Its weights hold the documents before the first step: train anew")


def _ancestors(run: Path, closure: Collection[str], slices: Slices, seen: set[Path]) -> Iterator[str]:
    """A sentence for every model before this one that saw the documents, or of which that is unknown."""
    for entry in read_lineage(run):
        other = _folder_of(run, entry.run)
        if entry.kind not in BEGAN or other in seen:
            continue
        seen.add(other)
        began = f"the training {BEGAN[entry.kind]} {other if entry.run else 'weights outside of any run'}"
        if not (other / "lock.json").exists():
            yield f"{began}, which is not there, so that nothing shows whether it saw the documents"
        elif _saw(other, closure, slices):
            yield f"{began}, which saw the documents"
        else:
            yield from _ancestors(other, closure, slices, seen)


def _folder_of(run: Path, name: str) -> Path:
    """Where a run lies that the lineage of ``run`` names: a whole path, or NAME/ID in the same home."""
    return run.resolve().parents[1] / name


def _saw(run: Path, closure: Collection[str], slices: Slices) -> bool:
    """Whether the rows of a run hold a slice of the documents, or held them before a takedown."""
    if any(not set(closure).isdisjoint(record["removed"]) for record in RunDir(run).takedowns):
        return True
    vocabulary = Vocabulary(run / "tokenizer" / "tokenizer.json")
    files = sorted((run / "shards").rglob("*.arrow"))
    return any(slices.count_in(block) for file in files for block in file_blocks(file, vocabulary))


def not_covered(context: RunContext) -> list[str]:
    """What stays as it was, in sentences."""
    fitted = [
        name for name in ("classifiers", "references") if any(s.startswith(name[:-1]) for s in context.stage_names)
    ]
    sentences = [
        "copies of the weights and of the rows that were made before, wherever they are",
        "models that were trained elsewhere on this run's rows or text",
        "the tokenizer, which was fitted on text that held the documents: no token spells them, but they counted",
        "thresholds, the mixture and other choices that were made while the documents were in the corpus",
        "the raw input files: a new run of the recipe reads them again",
        "another build of torch or another kind of processor: weights are equal to the bit on the same ones alone",
    ]
    sentences += [f"{name} that were fitted on text with the documents in it" for name in fitted]
    sentences += [f"the export in {folder}" for folder in context.run.exports]
    return sentences + [f"the proxy run {one.run}" for one in read_lineage(context.run.path) if one.kind == "proxy"]
