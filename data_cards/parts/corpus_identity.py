"""Who made the corpus, what it is called, and what its maker says of it."""

from dataclasses import dataclass

from gristmill.data_cards.parts.environment import environment
from gristmill.data_cards.reading import Reading
from gristmill.data_cards.wording import flat

NOT_STATED = "not stated"
STATED = ("creator", "contact", "published", "collected", "collection", "intended_use")


@dataclass(frozen=True, slots=True)
class Identity:
    """Names of the corpus; what the section [card] of the recipe says, each on one line, None where it is silent."""

    name: str
    run: str
    version: str
    seed: int
    description: str
    url: str
    creator: str | None
    contact: str | None
    published: str | None  # ISO 8601 date
    collected: str | None  # the time that the texts are from
    collection: str | None  # how they were collected
    intended_use: str | None


def identity(reading: Reading) -> Identity:
    """From the lock's recipe and the run's name."""
    recipe, run_id = reading.recipe, reading.run.path.name
    section = recipe.get("card") or {}
    stated = {key: flat(str(section.get(key) or "")) or None for key in STATED}
    return Identity(
        name=recipe["name"],
        run=run_id,
        version=f"{environment(reading)['gristmill']}+{run_id}",
        seed=recipe["seed"],
        description=flat(recipe["description"]) or f"The training corpus {recipe['name']}, made with gristmill.",
        url=f"urn:gristmill:{recipe['name']}:{run_id}",
        **stated,
    )
