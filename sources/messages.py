"""Conversations in a record: messages, instructions with outputs, or ShareGPT, as one checked list of messages.

The text of a document is what its messages hold, so that signals, duplicates and masks see it; ``meta`` says whose
bytes are whose. It is put into a chat template when it is encoded (``gristmill.tokenizer.conversation_tokens``).
"""

import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from gristmill.sources.fields import Fields, columns_of, locate, rename_id
from gristmill.sources.message_checks import NONCHARACTERS, check_conversation
from gristmill.sources.reader import RejectError
from gristmill.sources.spec import ReadSpec

ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "chatgpt": "assistant",
    "function_call": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "tool_response": "tool",
}
_BETWEEN = "\n\n"
Message = dict[str, Any]


class Conversations:
    """How the records of a source with ``messages`` become columns."""

    def __init__(self, spec: ReadSpec):
        self._field = spec.messages or ""
        self._id_field = spec.id_field

    def take(self, record: dict[str, Any]) -> Fields:
        """Empty ``record`` into columns; RejectError says what is wrong with the conversation."""
        owner, name = locate(record, self._field)
        if owner is None or owner.get(name) is None:
            raise RejectError("messages_missing", f"no field {self._field!r} among {', '.join(sorted(record)[:8])}")
        found = owner.pop(name)
        messages = _instruction(found, record) if isinstance(found, str) else _listed(found, record)
        tools = _tools(record.pop("tools", None))
        check_conversation(messages, tools)
        text, pieces = _in_one_text(messages)
        rename_id(record, self._id_field)
        record["messages"] = pieces
        if tools:
            record["tools"] = tools
        return columns_of(text, record)


def _instruction(instruction: str, record: dict[str, Any]) -> list[Message]:
    """``instruction``, ``input`` and ``output``: the question is the first two, one below the other."""
    system, more, output = (record.pop(name, None) for name in ("system", "input", "output"))
    if output is None:
        raise RejectError("output_missing", "no field 'output' beside the instruction")
    question = "\n\n".join(_plain(one) for one in (instruction, more) if one and str(one).strip())
    found = [{"role": "user", "content": question}, {"role": "assistant", "content": _plain(output)}]
    return [{"role": "system", "content": _plain(system)}, *found] if system else found


def _listed(found: Any, record: dict[str, Any]) -> list[Message]:
    if not isinstance(found, list):
        raise RejectError("messages_not_list", f"the messages are {type(found).__name__}")
    if not found:
        raise RejectError("no_messages")
    messages = [_message(one, place) for place, one in enumerate(found)]
    system = record.pop("system", None)
    first = [{"role": "system", "content": _plain(system)}] if system and messages[0]["role"] != "system" else []
    return first + messages


def _message(found: Any, place: int) -> Message:
    if not isinstance(found, Mapping):
        raise RejectError("message_not_object", f"message {place} is {type(found).__name__}")
    stated = found.get("role", found.get("from"))
    if not stated:
        raise RejectError("role_missing", f"message {place} has {', '.join(map(str, found)) or 'nothing'}")
    role = ROLES.get(str(stated).lower())
    if role is None:
        raise RejectError("unknown_role", f"message {place} is by {str(stated)[:40]!r}; known: {', '.join(ROLES)}")
    content = _content(found.get("content", found.get("value")), place)
    calls = found.get("tool_calls") or ()
    if stated == "function_call":
        content, calls = "", [content]
    message: Message = {"role": role, "content": content}
    if calls:
        message["tool_calls"] = [_call(one, place) for one in _as_list(calls, place)]
    named = {name: str(found[name]) for name in ("name", "tool_call_id") if found.get(name)}
    return message | (named if role == "tool" else {})


def _content(found: Any, place: int) -> str:
    """Text, also of a list of parts; an image or a sound is no text."""
    if found is None:
        return ""
    if isinstance(found, list):
        kinds = {str(part.get("type")) if isinstance(part, Mapping) else type(part).__name__ for part in found}
        if kinds - {"text", "str"}:
            raise RejectError("content_not_text", f"message {place} holds {', '.join(sorted(kinds))}")
        return _plain("".join(part if isinstance(part, str) else part.get("text") or "" for part in found))
    if not isinstance(found, str):
        raise RejectError("content_not_text", f"the content of message {place} is {type(found).__name__}")
    return _plain(found)


def _as_list(calls: Any, place: int) -> list[Any]:
    if not isinstance(calls, list):
        raise RejectError("tool_call_not_object", f"the tool calls of message {place} are {type(calls).__name__}")
    return calls


def _call(found: Any, place: int) -> dict[str, Any]:
    """Name and arguments of a call, as OpenAI nests it or flat; arguments as an object, where JSON says so."""
    call = _from_json(found, "tool_call_not_object", place)
    function = call.get("function", call)
    if not isinstance(function, Mapping) or not function.get("name"):
        raise RejectError("tool_call_without_name", f"a call of message {place} names no function")
    arguments = function.get("arguments")
    arguments = {} if arguments in (None, "") else _from_json(arguments, "tool_arguments_not_object", place)
    return {
        **({"id": str(call["id"])} if call.get("id") else {}),
        "name": str(function["name"]),
        "arguments": arguments,
    }


def _from_json(found: Any, reason: str, place: int) -> dict[str, Any]:
    try:
        value = orjson.loads(found) if isinstance(found, str) else found
    except orjson.JSONDecodeError as error:
        raise RejectError(reason, f"message {place}: {error}") from None
    if not isinstance(value, Mapping):
        raise RejectError(reason, f"message {place}: a JSON {type(value).__name__}")
    return dict(value)


def _tools(found: Any) -> list[dict[str, Any]]:
    """Declared tools, each as {"type": "function", "function": {...}}."""
    if found in (None, "", []):
        return []
    try:
        listed = orjson.loads(found) if isinstance(found, str) else found
    except orjson.JSONDecodeError as error:
        raise RejectError("tools_not_list", str(error)) from None
    if not isinstance(listed, list) or not all(isinstance(one, Mapping) for one in listed):
        raise RejectError("tools_not_list", f"the tools are {type(listed).__name__}")
    return [dict(one) if "function" in one else {"type": "function", "function": dict(one)} for one in listed]


def _plain(text: Any) -> str:
    """A text as documents hold it: NFC, lines that end in LF; then its bytes stay where they are."""
    found = str(text).replace("\r\n", "\n").replace("\r", "\n")
    if not found.isascii():
        found = unicodedata.normalize("NFC", found)
        if NONCHARACTERS.search(found):
            raise RejectError("noncharacter", "U+FDD0 to U+FDEF are no characters of a text")
    return found


def _in_one_text(messages: list[Message]) -> tuple[str, list[Message]]:
    """All that messages hold as one text, and each message with the bytes [start, end) of it that are its own.

    >>> _in_one_text([{"role": "user", "content": "é"}, {"role": "assistant", "content": "b"}])[1]
    [{'role': 'user', 'content': [0, 2]}, {'role': 'assistant', 'content': [4, 5]}]
    """
    texts: list[str] = []
    at = 0

    def place(text: str) -> list[int]:
        nonlocal at
        start = at + (len(_BETWEEN) if at and text else 0)
        at = start + len(text.encode())
        texts.extend([text] if text else [])
        return [start, at]

    pieces = [{**message, **dict(_places(message, place))} for message in messages]
    return _BETWEEN.join(texts), pieces


def _places(message: Message, place: Any) -> Iterator[tuple[str, Any]]:
    yield "content", place(message["content"])
    if "tool_calls" in message:
        dumped = (
            orjson.dumps(call["arguments"], option=orjson.OPT_INDENT_2).decode() for call in message["tool_calls"]
        )
        calls = zip(message["tool_calls"], dumped, strict=True)
        yield "tool_calls", [{**call, "arguments": place(_plain(text))} for call, text in calls]
