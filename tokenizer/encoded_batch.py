"""A batch of kept documents as tokens: of texts as they are, or of conversations in their template."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from gristmill.tokenizer.chat_template import ConversationError
from gristmill.tokenizer.conversation_tokens import ConversationEncoder, ConversationTokens
from gristmill.tokenizer.conversations import conversation_of
from gristmill.tokenizer.encoder import CheckedEncoder
from gristmill.tokenizer.reference_encoder import Tokens, flat_tokens
from gristmill.tokenizer.spelling import RoundTrip
from gristmill.tokenizer.text_tokenizer import TextTokenizer

DROPPED_SCHEMA = pa.schema([pa.field(name, pa.string(), False) for name in ("doc_id", "source", "reason", "detail")])


@dataclass(frozen=True, slots=True)
class EncodedBatch:
    """Texts that the tokens stand for, row by row; ``kept`` are the rows of the batch that they come from, None = all.

    ``targets`` are lists of {start, length} in a document's tokens, None where all count.
    """

    texts: pa.LargeStringArray
    tokens: Tokens
    comes_back: np.ndarray  # bool [n_docs]
    kept: np.ndarray | None = None
    targets: list[list[dict[str, int]]] | None = None


class EncodesTexts:
    """Texts, each closed by the end token."""

    beside = ("lang",)

    def __init__(self, encoder: CheckedEncoder):
        self.dropped: list[dict[str, str]] = []
        self._encoder, self._round_trip = encoder, RoundTrip(encoder.text)

    def encode(self, batch: pa.RecordBatch) -> EncodedBatch:
        """All documents of the batch."""
        tokens = self._encoder.encode(batch["text"])
        return EncodedBatch(batch["text"], tokens, self._round_trip.holds(batch["text"], tokens))


class EncodesConversations:
    """Conversations, with answers as targets; one that leaves no target is dropped with its reason."""

    beside = ("lang", "meta", "spans")

    def __init__(self, text: TextTokenizer):
        self.dropped: list[dict[str, str]] = []
        self._text, self._encoder = text, ConversationEncoder(text)

    def encode(self, batch: pa.RecordBatch) -> EncodedBatch:
        """The documents of the batch that have a target."""
        columns = batch.select(["doc_id", "source", "text", "meta", "spans"]).to_pylist()
        found = [(row, one) for row, document in enumerate(columns) if (one := self._encoded(document)) is not None]
        tokens = flat_tokens([one.ids for _, one in found], self._text.vocab_size)
        return EncodedBatch(
            texts=pa.array([one.text for _, one in found], pa.large_string()),
            tokens=tokens,
            comes_back=np.array([self._comes_back(one) for _, one in found], bool),
            kept=np.array([row for row, _ in found], np.int64),
            targets=[one.targets for _, one in found],
        )

    def _encoded(self, document: dict[str, Any]) -> ConversationTokens | None:
        try:
            return self._encoder.encode(conversation_of(document["text"], document["meta"], document["spans"]))
        except ConversationError as error:
            named = {name: document[name] for name in ("doc_id", "source")}
            self.dropped.append({**named, "reason": error.reason, "detail": error.detail})
            return None

    def _comes_back(self, one: ConversationTokens) -> bool:
        decoded = self._text.decode(one.ids)
        return decoded in (one.text, f"{one.text}{self._text.special.end}")
