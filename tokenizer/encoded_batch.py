"""A batch of kept documents as tokens: of texts as they are, or of conversations in their template."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from gristmill.tokenizer.chat_template import ConversationError
from gristmill.tokenizer.conversation_tokens import ConversationEncoder, ConversationTokens
from gristmill.tokenizer.conversations import conversation_of
from gristmill.tokenizer.encoder import CheckedEncoder
from gristmill.tokenizer.fill_in_middle import PIECES, arranged, cut_texts, cuts_of
from gristmill.tokenizer.reference_encoder import Tokens, flat_tokens
from gristmill.tokenizer.spelling import RoundTrip
from gristmill.tokenizer.stage import FillInMiddle
from gristmill.tokenizer.text_counts import sum_by
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
        self.rearranged = Counter[str]()
        self._encoder, self._round_trip = encoder, RoundTrip(encoder.text)

    def encode(self, batch: pa.RecordBatch) -> EncodedBatch:
        """All documents of the batch."""
        tokens = self._encoder.encode(batch["text"])
        return EncodedBatch(batch["text"], tokens, self._round_trip.holds(batch["text"], tokens))


class RearrangesTexts(EncodesTexts):
    """Texts, some with their middle at the end (``gristmill.tokenizer.fill_in_middle``)."""

    def __init__(self, encoder: CheckedEncoder, section: FillInMiddle, seed: int):
        super().__init__(encoder)
        self._section, self._seed, self._end_id = section, seed, encoder.text.end_id
        self._marks = [encoder.text.control[name] for name in section.named]

    def encode(self, batch: pa.RecordBatch) -> EncodedBatch:
        """All documents of the batch; one comes back where its three pieces do."""
        cuts = cuts_of(batch, batch["text"], self._section, self._seed)
        if not cuts.chosen.any():
            return super().encode(batch)
        self.rearranged.update(sum_by(batch["domain"], cuts.chosen.astype(np.int64)))
        texts = cut_texts(batch["text"], cuts)
        pieces = self._encoder.encode(texts)
        holds = np.all(self._round_trip.holds(texts, pieces).reshape(-1, PIECES), axis=1)
        return EncodedBatch(batch["text"], arranged(pieces, cuts, self._marks, self._end_id), holds)


class EncodesConversations:
    """Conversations, with answers as targets; one that leaves no target is dropped with its reason."""

    beside = ("lang", "meta", "spans")

    def __init__(self, text: TextTokenizer):
        self.dropped: list[dict[str, str]] = []
        self.rearranged = Counter[str]()
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


@dataclass(frozen=True, slots=True)
class Encoding:
    """How the documents of a part are encoded.

    ``conversations``: they are put into the chat template, and their answers alone are targets.
    ``fill_in_middle``: of the recipe, for texts that are no conversations; ``seed`` decides which documents.
    """

    conversations: bool = False
    fill_in_middle: FillInMiddle | None = None
    seed: int = 0

    def of(self, encoder: CheckedEncoder) -> EncodesTexts | EncodesConversations:
        """What encodes the batches of one part."""
        if self.conversations:
            return EncodesConversations(encoder.text)
        if self.fill_in_middle is None:
            return EncodesTexts(encoder)
        return RearrangesTexts(encoder, self.fill_in_middle, self.seed)


AS_THEY_ARE = Encoding()
