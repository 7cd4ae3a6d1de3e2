"""All sections, in reading order. This is the one place that names them."""

from collections.abc import Callable

from gristmill.data_cards.card import Card
from gristmill.data_cards.page import Section
from gristmill.data_cards.sections import (
    compared_tokenizers,
    contact,
    dropping_rules,
    duplicates,
    evaluation_passages,
    funnel,
    knowledge,
    languages,
    lengths,
    limits,
    mixture,
    models,
    packed_rows,
    provenance,
    screens,
    sources,
    takedowns,
    tokens,
    training,
    uses,
    way_back,
)

ORDER: tuple[Callable[[Card], Section | None], ...] = (
    sources.section,
    funnel.section,
    dropping_rules.section,
    duplicates.section,
    screens.section,
    evaluation_passages.section,
    takedowns.section,
    languages.section,
    lengths.section,
    models.section,
    knowledge.section,
    mixture.section,
    packed_rows.section,
    tokens.section,
    compared_tokenizers.section,
    training.section,
    uses.section,
    limits.section,
    provenance.section,
    way_back.section,
    contact.section,
)


def sections(card: Card) -> list[Section]:
    """Sections that have something to show, without empty tables."""
    made = [section for make in ORDER if (section := make(card))]
    return [section for one in made if (section := one.filled())]
