"""The lock of a run: everything that decides its bytes, and nothing else. Its hash is the run id."""

from typing import Any

from gristmill.corpus.recipe import Recipe
from gristmill.flows.pipeline.inputs import Inputs
from gristmill.flows.pipeline.versions import library_versions, stage_versions


def build_lock(recipe: Recipe, inputs: Inputs) -> dict[str, Any]:
    """Recipe (without engine, store and schedule), input digests, stage and library versions, as plain JSON."""
    return {
        "format": 1,
        "recipe": recipe.locked(),
        "inputs": inputs.to_json(),
        "versions": {"stages": stage_versions(), "libraries": library_versions()},
    }
