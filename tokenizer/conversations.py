"""Kept conversations out of the documents table: the messages that ``meta`` describes, with their text after cuts."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from gristmill.tokenizer.chat_template import ConversationError
from gristmill.tokenizer.cutting import marker

Span = Mapping[str, Any]


class Conversation(NamedTuple):
    """Messages and tools as a chat template reads them."""

    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]]


def conversation_of(text: str, meta: str | None, spans: Sequence[Span]) -> Conversation:
    r"""The conversation of one document.

    Parameters
    ----------
    text : what remains after ``spans``
    meta : of the document; its messages name bytes of the text before the cuts
    spans : cut or masked, in order

    Raises
    ------
    ConversationError : no_conversation, message_cut_away, tool_call_cut

    >>> meta = '{"messages": [{"role": "user", "content": [0, 2]}, {"role": "assistant", "content": [4, 6]}]}'
    >>> [one["content"] for one in conversation_of("hi\n\nyo", meta, []).messages]
    ['hi', 'yo']
    """
    found = orjson.loads(meta or "{}")
    if not isinstance(found.get("messages"), list):
        raise ConversationError("no_conversation", "the document has no messages")
    cut = _CutText(text.encode(), spans)
    return Conversation([_message(one, cut) for one in found["messages"]], found.get("tools") or [])


def message_bytes(meta: str | None, spans: Sequence[Span]) -> list[tuple[int, int]]:
    """Where the content of each message lies in the text that remains after ``spans``; empty for no conversation.

    >>> meta = '{"messages": [{"content": [0, 2]}, {"content": [4, 6]}]}'
    >>> message_bytes(meta, [{"start": 0, "end": 1, "reason": "x"}])
    [(0, 1), (3, 5)]
    """
    cut = _CutText(b"", spans)
    found = orjson.loads(meta or "{}").get("messages") or []
    return [(cut.now(one["content"][0]), cut.now(one["content"][1])) for one in found]


def _message(found: Mapping[str, Any], cut: "_CutText") -> dict[str, Any]:
    content = cut.between(*found["content"])
    if not content.strip() and "tool_calls" not in found:
        raise ConversationError("message_cut_away", f"nothing is left of what {found['role']} wrote")
    named = {name: found[name] for name in ("name", "tool_call_id") if name in found}
    message = {"role": found["role"], "content": content, **named}
    if "tool_calls" in found:
        message["tool_calls"] = [_call(one, cut) for one in found["tool_calls"]]
    return message


def _call(found: Mapping[str, Any], cut: "_CutText") -> dict[str, Any]:
    try:
        arguments = orjson.loads(cut.between(*found["arguments"]))
    except orjson.JSONDecodeError as error:
        raise ConversationError("tool_call_cut", f"a cut left {error}") from None
    identified = {"id": found["id"]} if "id" in found else {}
    return {**identified, "type": "function", "function": {"name": found["name"], "arguments": arguments}}


class _CutText:
    """Where bytes of a text before its cuts stand after them. What a mask leaves belongs to where the span begins."""

    def __init__(self, text: bytes, spans: Sequence[Span]):
        self._text = text
        self._spans = [(span["start"], span["end"], len(marker(span["reason"]).encode())) for span in spans]

    def between(self, start: int, end: int) -> str:
        """What remains of the bytes [start, end)."""
        return self._text[self.now(start) : self.now(end)].decode()

    def now(self, at: int) -> int:
        """Where the byte ``at`` stands."""
        moved = at
        for start, end, left in self._spans:
            if start >= at:
                break
            moved += left - (min(end, at) - start)
        return moved
