"""Planted facts as the run's tokenizer writes them, and their place in the key of a training."""

from pathlib import Path

from gristmill.corpus.errors import TrainError
from gristmill.corpus.files import file_sha256
from gristmill.flows.pipeline.context import RunContext
from gristmill.trainer.stage import Proof
from gristmill.trainer.training.fact_pairs import FactTokens, read_facts, spelled


def facts_digest(context: RunContext) -> str:
    """The facts that the run was made with."""
    return context.run.brief_lock.artefacts["train"]["proof.facts"]


def fact_tokens(context: RunContext, proof: Proof | None) -> FactTokens | None:
    """The facts as token ids, for the trainer to ask for; None for a recipe without.

    Raises
    ------
    TrainError : the file is not the one that the run was made with
    """
    from gristmill.tokenizer.text_tokenizer import load_reference

    if proof is None:
        return None
    path = Path(proof.facts)
    if not path.is_file() or file_sha256(path) != facts_digest(context):
        raise TrainError(f"trainer.proof.facts: {path} is missing or has changed since; run the recipe again")
    tokenizer = load_reference(context.run.path / "tokenizer" / "tokenizer.json")
    keys, values = zip(*map(spelled, read_facts(path)), strict=True)
    ids = ((tuple(tokenizer.encode(text).ids) for text in texts) for texts in (keys, values))
    return FactTokens(*map(tuple, ids))
