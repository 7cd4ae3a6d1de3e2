"""What is wrong with [mixing.order] and [mixing.upsample]: a signal that nothing measures."""

from collections.abc import Iterator

from gristmill.corpus.errors import nearest
from gristmill.corpus.recipe_values import Mistake
from gristmill.flows.pipeline.catalogue import Catalogue
from gristmill.flows.pipeline.recipe import Recipe


def order_mistakes(recipe: Recipe, catalogue: Catalogue) -> Iterator[Mistake]:
    """Signals that there are not, or that this recipe does not measure; domains are checked with all others."""
    measured = {name for one in catalogue.stages_of(recipe) for name in one.signals}
    for table in ("order", "upsample"):
        for domain, asked in getattr(recipe.mixing, table).items():
            key = ("mixing", table, domain, "by")
            if asked.by in measured:
                continue
            if asked.by in catalogue.signals:
                section = catalogue.signals[asked.by][0].recipe_key
                yield Mistake((key, section), f"nothing measures {asked.by!r} here; add [{section}]")
            else:
                known = {*measured, *catalogue.signals}
                yield Mistake((key, "plugins"), f"unknown signal {asked.by!r}{nearest(asked.by, known)}")
