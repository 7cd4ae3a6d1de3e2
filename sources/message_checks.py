"""What a conversation must be: who speaks after whom, with what, and which tools are called."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from gristmill.corpus.errors import nearest
from gristmill.sources.reader import RejectError

NONCHARACTERS = re.compile("[\ufdd0-\ufdef]")  # templates are rendered with marks of these
_AFTER = {"": ("system", "user"), "system": ("user",), "user": ("assistant",), "tool": ("tool", "assistant")}
Message = Mapping[str, Any]


def check_conversation(messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]) -> None:
    """RejectError with the first thing that is wrong.

    A system message may come first. Then users and assistants take turns; an assistant that calls tools is answered
    by as many tool messages as it has calls, and speaks again. The last word is an assistant's.
    """
    before: Message = {"role": ""}
    for place, message in enumerate(messages):
        _check_turn(before, message, place)
        _check_content(message, place)
        before = message
    if before["role"] != "assistant":
        raise RejectError("no_answer_at_end", f"the last message is by {before['role'] or 'no one'}")
    if before.get("tool_calls"):
        raise RejectError("tool_call_without_answer", "the last message calls a tool")
    _check_tools(messages, tools)


def _check_turn(before: Message, message: Message, place: int) -> None:
    role, last = message["role"], before["role"]
    allowed = ("tool",) if before.get("tool_calls") else _AFTER.get(last, ("user",))
    if role in allowed:
        return
    if role == "system":
        raise RejectError("system_not_first", f"message {place} is by system")
    if role == "tool":
        raise RejectError("tool_answer_without_call", f"message {place} answers no call")
    if before.get("tool_calls"):
        raise RejectError("tool_call_without_answer", f"message {place} comes before the answer of the tool")
    if last in ("", "system"):
        raise RejectError("answer_without_question", f"message {place} is the first, by {role}")
    raise RejectError("roles_do_not_alternate", f"message {place} is by {role}, as the one before")


def _check_content(message: Message, place: int) -> None:
    calls = message.get("tool_calls")
    if calls and message["role"] != "assistant":
        raise RejectError("tool_call_by_another", f"message {place} is by {message['role']} and calls a tool")
    if not message["content"].strip() and not calls:
        raise RejectError("empty_message", f"message {place}, by {message['role']}")


def _check_tools(messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]) -> None:
    declared = {str((tool.get("function") or {}).get("name")) for tool in tools}
    open_calls: list[Mapping[str, Any]] = []
    for place, message in enumerate(messages):
        if message["role"] == "tool":
            if not open_calls:
                raise RejectError("tool_answer_without_call", f"message {place} is one answer too many")
            open_calls = _without_answered(open_calls, message, place)
        elif open_calls:
            raise RejectError("tool_call_without_answer", f"a call of {open_calls[0]['name']!r} has no answer")
        for call in message.get("tool_calls", ()):
            if call["name"] not in declared:
                raise RejectError("tool_not_declared", f"no tool {call['name']!r}{nearest(call['name'], declared)}")
            open_calls = [*open_calls, call]


def _without_answered(calls: list[Mapping[str, Any]], message: Message, place: int) -> list[Mapping[str, Any]]:
    """The calls that are left: the one of the answer's id, or the first."""
    wanted = message.get("tool_call_id")
    if wanted is None or not any(call.get("id") for call in calls):
        return calls[1:]
    left = [call for call in calls if call.get("id") != wanted]
    if len(left) == len(calls):
        raise RejectError("tool_answer_without_call", f"message {place} answers a call {wanted!r} that was not made")
    return left
