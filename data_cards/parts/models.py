"""Models that documents were scored with: classifiers and references."""

from dataclasses import dataclass

from gristmill.data_cards.reading import Reading
from gristmill.filters.models.stage import ClassifierModelFacts, ReferenceFacts, ReferenceModelFacts


@dataclass(frozen=True, slots=True)
class ClassifierRow:
    """A classifier; ``trained`` is None where the recipe gives a model."""

    name: str
    label: str
    trained: ClassifierModelFacts | None


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference by name and sha256; ``fitted`` is None where the recipe gives a model."""

    name: str
    sha256: str
    texts: tuple[str, ...]
    fitted: ReferenceModelFacts | None


def classifiers(reading: Reading) -> tuple[ClassifierRow, ...]:
    """Every classifier of the recipe, in its order."""
    return tuple(
        ClassifierRow(
            spec["name"], spec["label"], reading.fact(f"classifier-model-{spec['name']}", ClassifierModelFacts)
        )
        for spec in reading.recipe.get("classifiers") or ()
    )


def references(reading: Reading) -> tuple[Reference, ...]:
    """Every reference of the recipe, in its order."""
    return tuple(_reference(reading, spec["name"], spec["texts"]) for spec in reading.recipe.get("references") or ())


def _reference(reading: Reading, name: str, texts: list[str]) -> Reference:
    scored, *_ = reading.facts(f"reference-{name}", ReferenceFacts)
    return Reference(name, scored.reference, tuple(texts), reading.fact(f"reference-model-{name}", ReferenceModelFacts))
