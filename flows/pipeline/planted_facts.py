"""Planted facts of a recipe: what [trainer.proof] must fulfil, and the facts as the run's tokenizer writes them."""

from collections.abc import Iterator
from pathlib import Path

from gristmill.corpus.errors import GristmillError, TrainError
from gristmill.corpus.files import file_sha256
from gristmill.corpus.recipe_values import Mistake
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.recipe import Recipe
from gristmill.mixing.shapes import SHAPES
from gristmill.mixing.stage import Phase
from gristmill.trainer.facts import FactTokens, read_facts, spelled
from gristmill.trainer.stage import Proof


def planted_fact_mistakes(recipe: Recipe) -> Iterator[Mistake]:
    """Facts that cannot be read, or a domain that more phases than one draw, the first one among them."""
    proof = recipe.trainer.proof if recipe.trainer else None
    if proof is None:
        return
    if Path(proof.facts).is_file():
        try:
            read_facts(Path(proof.facts))
        except GristmillError as error:
            yield Mistake(("trainer.proof.facts",), str(error).removeprefix("trainer.proof.facts: "))
    drawn = [number for number in range(len(recipe.curriculum)) if _draws(recipe.curriculum, number, proof.domain)]
    if len(drawn) != 1 or drawn == [0]:
        named = ", ".join(str(number + 1) for number in drawn) or "none"
        text = f"one phase of the curriculum, and not the first, must draw {proof.domain!r}; phases that do: {named}"
        yield Mistake(("trainer.proof.domain", "curriculum"), text)


def _draws(phases: tuple[Phase, ...], number: int, domain: str) -> bool:
    """Whether a phase gives the domain a share at any time; a ramp begins with that of the phase before."""
    ramp = number and phases[number].shape in SHAPES and SHAPES[phases[number].shape].is_ramp
    return any(phase.shares.get(domain, 0) for phase in phases[number - 1 if ramp else number : number + 1])


def facts_digest(context: RunContext) -> str:
    """The facts that the run was made with."""
    return context.run.lock.artefacts["train"]["proof.facts"]


def fact_tokens(context: RunContext, proof: Proof | None) -> FactTokens | None:
    """The facts as token ids, for the trainer to ask for; None for a recipe without.

    Raises
    ------
    TrainError : the file is not the one that the run was made with
    """
    from gristmill.tokenizer.vocabulary import load_reference

    if proof is None:
        return None
    path = Path(proof.facts)
    if not path.is_file() or file_sha256(path) != facts_digest(context):
        raise TrainError(f"trainer.proof.facts: {path} is missing or has changed since; run the recipe again")
    tokenizer = load_reference(context.run.path / "tokenizer" / "tokenizer.json")
    keys, values = zip(*map(spelled, read_facts(path)), strict=True)
    ids = ((tuple(tokenizer.encode(text).ids) for text in texts) for texts in (keys, values))
    return FactTokens(*map(tuple, ids))
