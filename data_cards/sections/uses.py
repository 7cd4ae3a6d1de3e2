"""What the corpus is for: what its maker says, and what follows from how it was made."""

from gristmill.data_cards.card import Card
from gristmill.data_cards.page import Section

USES = (
    "Training and studying language models, within the licences of the sources.",
    "Comparing curation choices: every verdict can be asked for (gristmill explain) and tried with other bounds "
    "(gristmill whatif).",
    "Not meant as a source of facts, for evaluation of models trained on it, or where a licence forbids it.",
)


def section(card: Card) -> Section:
    """The maker's sentence first."""
    stated = card.identity.intended_use
    return Section("uses", "Uses", items=[*([stated] if stated else []), *USES])
