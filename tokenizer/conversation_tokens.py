"""Conversations to tokens: into the chat template, special tokens where it says so, and only answers as targets.

A loop over documents, a named exception to columns: Jinja renders one text at a time.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tokenizers import AddedToken, Tokenizer

from gristmill.corpus.errors import SourceError
from gristmill.tokenizer.chat_template import ChatTemplate, ConversationError, Stretch
from gristmill.tokenizer.conversations import Conversation
from gristmill.tokenizer.text_tokenizer import CLOSE, OPEN, TextTokenizer, renamed

_SPELLED = "\ufdd2"  # stands in a special token that a message spells; no conversation holds noncharacters


class ConversationTokens(NamedTuple):
    """One conversation: ids, its end token among them, the places of targets, the text that the ids stand for."""

    ids: list[int]
    targets: list[dict[str, int]]  # start, length
    text: str


class ConversationEncoder:
    """Puts conversations into the template that stands beside a tokenizer.

    A border between a prompt and an answer is a border between tokens, as it is where a model answers. About 0.5 MB a
    CPU second.

    Raises
    ------
    SourceError : there is no chat template beside the tokenizer
    """

    def __init__(self, text: TextTokenizer):
        special = text.special
        if not special.chat_template:
            raise SourceError("tokenizer.chat_template: conversations need one, and the tokenizer has none")
        self._text = text
        tokens = {"bos_token": special.begin, "eos_token": special.end, "pad_token": special.pad}
        names = sorted(text.control, key=len, reverse=True)
        self._template = ChatTemplate(special.chat_template, tokens, names)
        self._control = re.compile("|".join(map(re.escape, names)) or "(?!)")
        self._tokenizer, self._border, self._border_id = _with_border(text)

    def encode(self, conversation: Conversation) -> ConversationTokens:
        """Tokens and targets of one conversation.

        Raises
        ------
        ConversationError : as ``ChatTemplate.stretches``; no_target where no token is left of the answers
        """
        messages, tools = self._spelled(conversation.messages), self._spelled(conversation.tools)
        stretches = self._template.stretches(messages, tools)
        line = self._border.join(self._marked(one.text) for one in stretches)
        pieces = _split(self._tokenizer.encode(line, add_special_tokens=False).ids, self._border_id)
        ids = [token for piece in pieces for token in piece]
        targets = _targets(pieces, stretches)
        if not targets:
            raise ConversationError("no_target", "no token is left of the answers")
        end = [] if self._text.end_id in (None, ids[-1]) else [self._text.end_id]
        return ConversationTokens(ids + end, targets, "".join(one.text for one in stretches).replace(_SPELLED, ""))

    def _spelled(self, value: Any) -> Any:
        """``value`` with a mark in each special token that it spells: what the template adds has none."""
        if isinstance(value, str):
            return self._control.sub(lambda found: f"{found[0][0]}{_SPELLED}{found[0][1:]}", value)
        if isinstance(value, Mapping):
            return {self._spelled(name): self._spelled(item) for name, item in value.items()}
        return [self._spelled(item) for item in value] if isinstance(value, list | tuple) else value

    def _marked(self, text: str) -> str:
        return self._control.sub(lambda found: self._text.names[found[0]], text).replace(_SPELLED, "")


def _with_border(text: TextTokenizer) -> tuple[Tokenizer, str, int]:
    """A tokenizer that takes the names of special tokens for them, and one more token, which marks a border."""
    tokenizer = Tokenizer.from_str(json.dumps(renamed(text.config, text.names)))
    for number in range(text.vocab_size + 1):  # where ids are left free, the first new ones may be taken
        name = f"{OPEN}border{number}{CLOSE}"
        tokenizer.add_special_tokens([AddedToken(name, normalized=False)])
        found = tokenizer.token_to_id(name)
        if found is not None and found >= text.vocab_size:
            return tokenizer, name, found
    raise AssertionError("more new tokens than ids")


def _split(ids: Sequence[int], border: int) -> list[list[int]]:
    """Ids between borders.

    >>> _split([1, 9, 2, 3, 9], 9)
    [[1], [2, 3], []]
    """
    pieces: list[list[int]] = [[]]
    for token in ids:
        if token == border:
            pieces.append([])
        else:
            pieces[-1].append(token)
    return pieces


def _targets(pieces: Sequence[Sequence[int]], stretches: Sequence[Stretch]) -> list[dict[str, int]]:
    """Places of the answers' tokens; never the first of all, which nothing comes before."""
    found, at = [], 0
    for piece, stretch in zip(pieces, stretches, strict=True):
        start = max(at, 1)
        at += len(piece)
        if stretch.is_answer and at > start:
            found.append({"start": start, "length": at - start})
    return found
