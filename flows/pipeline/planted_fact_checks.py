"""What [trainer.proof] of a recipe must fulfil: readable facts, in a domain that one later phase alone draws."""

from collections.abc import Iterator
from pathlib import Path

from gristmill.corpus.errors import GristmillError
from gristmill.corpus.recipe_values import Mistake
from gristmill.flows.pipeline.recipe import Recipe
from gristmill.mixing.shapes import SHAPES
from gristmill.mixing.stage import Phase


def planted_fact_mistakes(recipe: Recipe) -> Iterator[Mistake]:
    """Facts that cannot be read, or a domain that more phases than one draw, the first one among them."""
    proof = recipe.trainer.proof if recipe.trainer else None
    if proof is None:
        return
    from gristmill.trainer.training.fact_pairs import (
        read_facts,  # numpy and pyarrow: most recipes need neither to be checked
    )

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
    return any(phase.may_draw(domain) for phase in phases[number - 1 if ramp else number : number + 1])
