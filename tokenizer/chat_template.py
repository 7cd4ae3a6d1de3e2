"""Chat templates: where one is read from, and conversations put into one, with the answers in it known.

Rendered in Jinja's sandbox. What the clock says is not defined there: a text depends on the recipe and its document.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from gristmill.corpus.errors import SourceError
from gristmill.corpus.own_files import read_own_text
from gristmill.tokenizer.stage import SHIPPED_TEMPLATES, Tokenizer

TEMPLATES = Path(__file__).parent / "templates"
CONTROL = {  # tokens that a shipped template is made of
    "chatml": ("<|im_start|>", "<|im_end|>"),
    "headers": ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    "plain": (),
}
ANSWER, ANSWERED = "\ufdd8", "\ufdd9"  # around what the tag generation encloses; no conversation holds noncharacters
Message = Mapping[str, Any]


def read_template(path: Path) -> str | None:
    """The chat template in a file: a Jinja template, or the one of a tokenizer_config.json; None where that has none.

    Raises
    ------
    SourceError : the file is missing, not UTF-8 or no JSON, or it has several templates
    """
    try:
        text = read_own_text(path)
        found = json.loads(text).get("chat_template") if path.suffix == ".json" else text
    except (OSError, ValueError, AttributeError) as error:
        raise SourceError(f"tokenizer.chat_template: {path} holds no chat template: {error!r}") from None
    if not isinstance(found, str | None):
        raise SourceError(f"tokenizer.chat_template: {path} holds several templates; write the one to use to a file")
    return found


def template_text(section: Tokenizer, file: Path | None) -> str | None:
    """The template of a recipe: in ``file``, shipped, or written out; None where there is none."""
    if file is not None:
        return read_template(file)
    if section.chat_template in SHIPPED_TEMPLATES:
        return (TEMPLATES / f"{section.chat_template}.jinja").read_text(encoding="utf-8")
    return section.chat_template


class ConversationError(Exception):
    """Why a conversation is not trained on; never leaves the room."""

    def __init__(self, reason: str, detail: str = ""):
        super().__init__(reason)
        self.reason, self.detail = reason, detail


class Stretch(NamedTuple):
    """A piece of a rendered conversation; an answer is what the model is to write."""

    text: str
    is_answer: bool


class _Generation(Extension):
    """``{% generation %} ... {% endgeneration %}`` around answers, as transformers has it."""

    tags = {"generation"}  # noqa: RUF012 - the library's own name and type

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_mark"), [], [], body).set_lineno(line)

    def _mark(self, caller: Any) -> str:
        return f"{ANSWER}{caller()}{ANSWERED}"


def _refuse(message: str) -> None:
    raise ConversationError("template_refuses", str(message)[:200])


def _json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


class ChatTemplate:
    """One template.

    Parameters
    ----------
    text : Jinja, as transformers reads it: messages, tools, add_generation_prompt, bos_token, eos_token, pad_token
    tokens : values of the last three
    control : special tokens; white space behind the last one of an answer is no part of it

    Raises
    ------
    SourceError : the text is no template
    """

    def __init__(self, text: str, tokens: Mapping[str, str | None], control: Sequence[str] = ()):
        extensions = [_Generation, "jinja2.ext.loopcontrols"]
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=extensions)
        environment.filters["tojson"] = _json
        environment.globals["raise_exception"] = _refuse
        self._tokens = {name: value or "" for name, value in tokens.items()}
        self._control = tuple(control)
        try:
            self._template = environment.from_string(text)
        except TemplateError as error:
            raise SourceError(f"tokenizer.chat_template: {error}") from None
        self._marks = "endgeneration" in text

    def render(self, messages: Sequence[Message], tools: Sequence[Any], *, prompt: bool = False) -> str:
        """The conversation as one text, ``prompt``: up to where the assistant begins to speak.

        Raises
        ------
        ConversationError : template_refuses (raise_exception), template_fails
        """
        values = {"messages": messages, "tools": list(tools) or None, "add_generation_prompt": prompt}
        try:
            return self._template.render(**values, **self._tokens)
        except ConversationError:
            raise
        except Exception as error:  # noqa: BLE001 - a template may raise anything
            raise ConversationError("template_fails", f"{type(error).__name__}: {error}"[:200]) from None

    def stretches(self, messages: Sequence[Message], tools: Sequence[Any]) -> list[Stretch]:
        """The conversation in order, cut where an answer begins and where it ends.

        Answers are what the template encloses in ``{% generation %}``, else what follows on the text up to each of
        them. Then that text must be the beginning of the whole.

        Raises
        ------
        ConversationError : as ``render``, and template_not_prefix, no_target
        """
        whole = self.render(messages, tools)
        found = _by_marks(whole) if self._marks else self._by_prefixes(whole, messages, tools)
        if not any(one.is_answer and one.text for one in found):
            raise ConversationError("no_target", "the template shows no answer")
        return [one for one in found if one.text]

    def _by_prefixes(self, whole: str, messages: Sequence[Message], tools: Sequence[Any]) -> list[Stretch]:
        found, at = [], 0
        for place, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            before = self.render(messages[:place], tools, prompt=True)
            after = self.render(messages[: place + 1], tools)
            if not (whole.startswith(after) and after.startswith(before) and len(before) >= at):
                raise ConversationError(
                    "template_not_prefix", f"up to message {place} the text is not that of the whole"
                )
            answer = self._without_tail(after[len(before) :])
            found += [Stretch(whole[at : len(before)], False), Stretch(answer, True)]
            at = len(before) + len(answer)
        return [*found, Stretch(whole[at:], False)]

    def _without_tail(self, answer: str) -> str:
        bare = answer.rstrip()
        return bare if bare.endswith(self._control) and self._control else answer


def _by_marks(whole: str) -> list[Stretch]:
    found = []
    for number, piece in enumerate(whole.split(ANSWER)):
        answer, mark, rest = piece.partition(ANSWERED)
        found += [Stretch(answer, bool(number and mark)), Stretch(rest, False)]
    return found


_PROBE = [
    {"role": "user", "content": "first question"},
    {"role": "assistant", "content": "first answer"},
    {"role": "user", "content": "second question"},
    {"role": "assistant", "content": "second answer"},
]


def template_fault(text: str, tokens: Mapping[str, str | None]) -> str | None:
    """Why no conversation can be put into a template; None when two questions and answers can.

    >>> template_fault("{% for m in messages %}{{ m.content }} {% endfor %}", {})
    >>> template_fault("{{ messages[-1].content }}", {})
    'up to message 1 the text is not that of the whole (template_not_prefix)'
    """
    try:
        found = ChatTemplate(text, tokens).stretches(_PROBE, ())
    except SourceError as error:
        return str(error).removeprefix("tokenizer.chat_template: ")
    except ConversationError as error:
        return f"{error.detail} ({error.reason})"
    shown = "".join(one.text for one in found if one.is_answer)
    if "question" in shown or "answer" not in shown:
        return (
            f"what it marks as answers holds {shown[:80]!r}, where the answers are 'first answer' and 'second answer'"
        )
    return None
