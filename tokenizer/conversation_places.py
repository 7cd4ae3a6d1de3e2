"""Where the bytes of a conversation's messages lie in the text that its template made of them.

A loop over documents, a named exception to columns, as encoding conversations is. A message that the template changes,
other than to trim it, has no place.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from gristmill.tokenizer.conversations import message_bytes
from gristmill.tokenizer.reference_encoder import Tokens
from gristmill.tokenizer.token_places import NOWHERE, ByteStretches

Message = tuple[int, int, int]  # first byte in the document and behind the last, first byte in the rendered text


def in_conversations(
    texts: pa.Array, metas: pa.Array, spans: pa.ListArray, tokens: Tokens, words: Sequence[bytes], bytes_: ByteStretches
) -> ByteStretches:
    """The same stretches in rendered texts; start ``NOWHERE`` where a message has no place, or two share the stretch.

    Parameters
    ----------
    texts, metas, spans : of each document; texts are those after the cuts of ``spans``
    tokens : of the same documents, in order
    words : the bytes of each token
    bytes_ : in the texts after their cuts, in order of document
    """
    start, end = bytes_.start.copy(), bytes_.end.copy()
    firsts = np.flatnonzero(np.diff(bytes_.document, prepend=-1))
    for first, stop in zip(firsts, [*firsts[1:], len(start)], strict=True):
        document = int(bytes_.document[first])
        ids = tokens.ids[tokens.offsets[document] : tokens.offsets[document + 1]].tolist()
        rendered = b"".join(words[one] for one in ids)
        text = texts[document].as_py().encode()
        messages = _placed(text, message_bytes(metas[document].as_py(), spans[document].as_py()), rendered)
        for n in range(first, stop):
            moved = next((at - a for a, b, at in messages if a <= start[n] and end[n] <= b), None)
            start[n], end[n] = (NOWHERE, NOWHERE) if moved is None else (start[n] + moved, end[n] + moved)
    return ByteStretches(bytes_.document, start, end)


def _placed(text: bytes, messages: Sequence[tuple[int, int]], rendered: bytes) -> list[Message]:
    """Messages where they stand in the rendered text, one after the other."""
    found, behind = [], 0
    for start, end in messages:
        content = text[start:end]
        trimmed = content.strip()
        at = rendered.find(trimmed, behind) if trimmed else -1
        if at >= 0:
            first = start + content.index(trimmed)
            found.append((first, first + len(trimmed), at))
            behind = at + len(trimmed)
    return found
