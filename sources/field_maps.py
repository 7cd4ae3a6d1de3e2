"""Which of the two ways a source's records become columns: text and fields, or a conversation."""

from typing import Any, Protocol

from gristmill.sources.fields import FieldMap, Fields
from gristmill.sources.messages import Conversations
from gristmill.sources.spec import ReadSpec


class TakesFields(Protocol):
    """Anything that empties a record into columns."""

    def take(self, record: dict[str, Any]) -> Fields:
        """Columns of ``record``; RejectError where it is no document."""
        ...


def field_map(spec: ReadSpec) -> TakesFields:
    """Of a source with ``messages`` its conversations, else its texts."""
    return Conversations(spec) if spec.messages else FieldMap(spec)
