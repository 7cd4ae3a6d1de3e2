"""Where stretches of a document's bytes lie among its tokens.

Tokens are counted in order of the text, also where a document has its middle at the end. Here no text is read: the
bytes of a token follow from the vocabulary, so that documents that do not come back from their tokens, and tokenizers
whose decoders do more than to join bytes, have no places (``comes_back`` and ``joins_bytes`` tell).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gristmill.tokenizer.reference_encoder import Tokens
from gristmill.tokenizer.spelling import is_concatenation, token_bytes
from gristmill.tokenizer.text_tokenizer import TextTokenizer

NOWHERE = -1


class ByteStretches(NamedTuple):
    """Bytes [start, end) of documents, int64 [n] each; ``document`` counts those whose tokens are given."""

    document: np.ndarray
    start: np.ndarray
    end: np.ndarray


class TokenStretches(NamedTuple):
    """First token in the document and number of tokens, int64 [n]; start ``NOWHERE`` where tokens are not together."""

    start: np.ndarray
    length: np.ndarray


class TokenPlaces:
    """The places of one tokenizer.

    Parameters
    ----------
    tokenizer : tokenizer.json
    marks : names of the special tokens before prefix, suffix and middle, where some documents are rearranged

    Raises
    ------
    SourceError : see ``TextTokenizer``
    """

    def __init__(self, tokenizer: Path, marks: Sequence[str] = ()):
        text = TextTokenizer(tokenizer)
        self.joins_bytes = is_concatenation(text.config)
        self.words = token_bytes(text.config)
        self._widths = np.array([len(one) for one in self.words], np.int64)
        self._marks = [text.control[name] for name in marks]
        self._end_id = text.end_id

    def find(self, tokens: Tokens, bytes_: ByteStretches) -> TokenStretches:
        """The tokens that hold any byte of each stretch: whole tokens, so that " Paris" holds Paris.

        Parameters
        ----------
        tokens : whole documents, which come back from them
        bytes_ : inside these documents, none of them empty
        """
        if not len(bytes_.document):
            return TokenStretches(np.empty(0, np.int64), np.empty(0, np.int64))
        order = self._order(tokens)
        ends = np.cumsum(self._widths[tokens.ids[order]])
        first = tokens.offsets[:-1]
        base = np.append(0, ends)[first][bytes_.document]
        begin = np.searchsorted(ends, base + bytes_.start, side="right")
        last = np.searchsorted(ends, base + bytes_.end, side="left")
        together = order[last] - order[begin] == last - begin
        start = np.where(together, order[begin] - first[bytes_.document], NOWHERE)
        return TokenStretches(start, last - begin + 1)

    def _order(self, tokens: Tokens) -> np.ndarray:
        """int64 [n_tokens]: tokens of each document in the order of its text, marks and the end token behind."""
        order = np.arange(len(tokens.ids))
        if not self._marks:
            return order
        starts, stops = tokens.offsets[:-1], tokens.offsets[1:]
        filled = np.flatnonzero(stops > starts)
        for document in filled[tokens.ids[starts[filled]] == self._marks[0]]:
            inside = slice(starts[document], stops[document])
            order[inside] = starts[document] + self._original_order(tokens.ids[inside])
        return order

    def _original_order(self, ids: np.ndarray) -> np.ndarray:
        stop = len(ids) - int(len(ids) > 0 and ids[-1] == self._end_id)
        suffix, middle = (int(np.argmax(ids == mark)) for mark in self._marks[1:])
        pieces = (range(1, suffix), range(middle + 1, stop), range(suffix + 1, middle))
        text = np.concatenate([np.array(piece, np.int64) for piece in pieces])
        return np.concatenate([text, np.setdiff1d(np.arange(len(ids)), text)])
