"""Models that documents were scored with: references by name and digest with where good text lies, and classifiers."""

from gristmill.data_cards.card import Card
from gristmill.data_cards.page import Section, Table
from gristmill.data_cards.parts.models import ClassifierRow, Reference
from gristmill.data_cards.wording import number, one_line
from gristmill.filters.models.stage import Spread

REFERENCES = (
    "Every document was scored by these character n-gram models. Cross-entropy is in bits per character; word order "
    "is what the words before a word save on it, in bits per word. The last columns give the 5th to 95th percentile "
    "of held-out text. A language that a model was not fitted on is as surprising to it as noise."
)
CLASSIFIERS = "Every document was scored by these fastText classifiers; the figures are of held-out examples."


def section(card: Card) -> Section | None:
    """None where the recipe has neither."""
    if not (card.references or card.classifiers):
        return None
    text = [text for text, there in ((REFERENCES, card.references), (CLASSIFIERS, card.classifiers)) if there]
    references = ("reference", "sha256", "texts", "held out", "n-grams", "cross-entropy", "word order")
    classifiers = ("classifier", "label", "trained on", "held out", "accuracy", "precision", "recall", "AUC")
    tables = [
        Table(references, [_reference(one) for one in card.references], left=2),
        Table(classifiers, [_classifier(one) for one in card.classifiers], left=2),
    ]
    return Section("models", "Models that score documents", text, tables=tables)


def _reference(one: Reference) -> tuple[str, ...]:
    name, digest, fitted = one_line(one.name), one.sha256[:16], one.fitted
    if fitted is None:
        return name, digest, "given", "given", "given", "", ""
    counts = map(number, (fitted.fitted_on, fitted.heldout, fitted.ngrams))
    return name, digest, *counts, _lies(fitted.cross_entropy), _lies(fitted.word_order)


def _lies(spread: Spread) -> str:
    return "" if spread.p5 is None or spread.p95 is None else f"{spread.p5:.2f} to {spread.p95:.2f}"


def _classifier(one: ClassifierRow) -> tuple[str, ...]:
    trained = one.trained
    if trained is None:
        return one_line(one.name), one_line(one.label), "given", "", "", "", "", ""
    scores = trained.labels.get(one.label)
    figures = (scores.precision, scores.recall, scores.auc) if scores else (None, None, None)
    return (
        one_line(one.name),
        one_line(one.label),
        *map(number, (trained.trained_on, trained.heldout, trained.accuracy, *figures)),
    )
