"""A source whose first records are all rejected for what one recipe key causes is a mistake in the recipe, not loss.

A wrong text_field once rejected 200 of 200 records with exit status 0, and the source was missing from the table.
"""

from dataclasses import dataclass

from gristmill.corpus.errors import SourceError

FIRST_RECORDS = 50
_KEY = {
    **dict.fromkeys(("field_missing", "text_not_string", "text_null"), "text_field"),
    **dict.fromkeys(("messages_missing", "messages_not_list"), "text_field"),
    **dict.fromkeys(("not_json", "not_object", "not_csv", "column_count", "truncated"), "format"),
    **dict.fromkeys(("invalid_utf8", "invalid_encoding", "html_undecodable"), "encoding"),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Which part of its source a part is."""

    number: int  # from 0
    n_parts: int


class FirstRecords:
    """Watches the first records of a source, up to the first that is a document or is rejected under another key.

    Reasons of one key go together: JSON on several lines is now truncated, now no JSON. Blank lines say nothing.
    """

    def __init__(self, source: str, text_key: str, place: Place | None):
        self._source = source
        self._text_key = text_key
        self._watches = place is not None and place.number == 0
        self._is_whole = place is not None and place.n_parts == 1
        self._count = 0
        self._first: tuple[str, str] | None = None

    @property
    def watches(self) -> bool:
        """False once a record was a document, or a reject that no key causes; from then on nothing is wrong."""
        return self._watches

    def document(self) -> None:
        """One record became a document."""
        self._watches = False

    def reject(self, reason: str, detail: str | None, head: bytes) -> None:
        """One record was rejected; SourceError when it is the fiftieth of nothing else."""
        if not self._watches or reason == "blank_line":
            return
        if reason not in _KEY or (self._first is not None and _KEY[self._first[0]] != _KEY[reason]):
            self._watches = False
            return
        self._first = self._first or (reason, f"{detail or reason}; it begins {head[:40]!r}")
        self._count += 1
        if self._count == FIRST_RECORDS:
            raise self._error(f"the first {FIRST_RECORDS} records are all rejected")

    def end(self) -> None:
        """The part is read; SourceError when it was the whole source, and nothing but such rejects."""
        if self._watches and self._is_whole and self._first is not None:
            raise self._error(
                "its only record is rejected" if self._count == 1 else f"all {self._count} records are rejected"
            )

    def _error(self, what: str) -> SourceError:
        reason, detail = self._first or ("", "")
        key = self._text_key if _KEY[reason] == "text_field" else _KEY[reason]
        return SourceError(f"sources.{self._source}: {what} as {reason} ({detail}); set sources.{self._source}.{key}")
