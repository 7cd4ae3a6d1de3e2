"""What the recipe says of the data card, and the stage that writes it."""

from datetime import date

from gristmill.corpus.recipe_values import Section
from gristmill.corpus.stage import CorpusStage


class CardSpec(Section):
    """What no run can know of itself, for the data card."""

    creator: str | None = None  # person or organisation
    contact: str | None = None  # an address for questions and takedowns
    published: date | None = None
    collected: str | None = None  # when the sources were collected, such as "2019 to 2024"
    collection: str | None = None  # how
    intended_use: str | None = None


CARD = CorpusStage(
    name="card",
    extra="card",
    version="7",
    section=CardSpec,
    reads=("documents", "decide", "shards", "plan"),
    title="the data card",
    always=True,
    run="gristmill.flows.pipeline.publish:publish_card",
)
