"""What was cut from, or masked in, the kept text: by source and reason, every byte once."""

from dataclasses import dataclass

from gristmill.corpus.span_tables import MASK
from gristmill.data_cards.reading import Reading
from gristmill.filters.decide.stage import EditsFacts


@dataclass(frozen=True, slots=True)
class Edits:
    """Spans of one source and reason; a reason that begins with ``mask:`` leaves a marker behind."""

    source: str
    reason: str
    documents: int
    spans: int
    bytes: int

    @property
    def masks(self) -> bool:
        """True where bytes were masked and not cut."""
        return self.reason.startswith(MASK)


def edits(reading: Reading) -> tuple[Edits, ...]:
    """In order of source and reason; empty for a run that edits no text."""
    facts = reading.fact("edits", EditsFacts)
    by_reason = facts.by_reason if facts else {}
    return tuple(
        Edits(source, reason, counts.documents, counts.spans, counts.bytes)
        for source, reasons in sorted(by_reason.items())
        for reason, counts in sorted(reasons.items())
    )
