"""The inputs of a run as its context has them: digests of earlier runs are believed, renamed files keep their names."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gristmill.corpus.errors import ChangedInputError
from gristmill.flows.pipeline.former_names import Names, names_of_latest, with_former_names
from gristmill.flows.pipeline.inputs import Inputs, list_inputs
from gristmill.flows.pipeline.recipe import Recipe
from gristmill.flows.pipeline.recipe_reading import CheckedRecipe
from gristmill.sources.digest_cache import DigestCache

DIGESTS_FILE = "digests.txt"  # of a home
DIFFERING = "its size and times are as before and its bytes are not: it was read again"


def digests_of(home: Path, recipe: Recipe) -> DigestCache | None:
    """What earlier runs of the home read; None where [store] trust_mtime forbids it."""
    return DigestCache(home / DIGESTS_FILE, recipe.store.scrub_bytes) if recipe.store.trust_mtime else None


def listed_inputs(
    checked: CheckedRecipe, home: Path, digests: DigestCache | None = None, names: Names | None = None
) -> Inputs:
    """List the inputs of a recipe.

    Parameters
    ----------
    digests : of earlier runs; the caller saves it
    names : of a card, for sources with ``renamed``; those of the latest run where they are left out

    Raises
    ------
    SourceError, RecipeError : as ``list_inputs``
    """
    found = list_inputs(checked.recipe, checked.stages, checked.catalogue.readers, digests)
    known = names_of_latest(checked.recipe, home / "runs") if names is None else names
    return with_former_names(found, checked.recipe, known)


@contextmanager
def doubted(digests: DigestCache | None) -> Iterator[None]:
    """Where a file turns out to be another one than it was listed as, no digest of earlier runs is believed again."""
    try:
        yield
    except ChangedInputError:
        if digests is not None:
            digests.forget()
        raise
