"""From the bytes of a mention to its tokens, for the kept documents of one part."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.corpus.errors import SchemaError
from gristmill.corpus.whole_columns import whole
from gristmill.knowledge.row_mentions import DocumentMentions
from gristmill.tokenizer.conversation_places import in_conversations
from gristmill.tokenizer.cutting import cut_spans
from gristmill.tokenizer.moved_bytes import after_cuts
from gristmill.tokenizer.reference_encoder import Tokens
from gristmill.tokenizer.token_places import NOWHERE, ByteStretches, TokenPlaces


class Part(NamedTuple):
    """The files of one part."""

    documents: Path
    mentions: Path
    tokens: Path


def part_mentions(kept: pa.Table, part: Part, places: TokenPlaces, left_out: Counter[str]) -> DocumentMentions:
    """Mentions of some documents of a part at their tokens; what has none is counted by reason.

    ``cut_text``: a byte of it was cut or masked. ``no_tokens``: nothing of the document was encoded. ``other_text``:
    its tokens do not stand for the bytes of its text. ``rearranged``: it lies on both sides of a cut of fill in middle.

    Parameters
    ----------
    kept : doc_id, row, spans of the documents
    left_out : counts are added to it

    Raises
    ------
    SchemaError : the mentions are of other documents
    """
    kept = kept.sort_by("row").combine_chunks()
    found = pq.read_table(part.mentions).take(kept["row"])
    if found["doc_id"].cast(pa.string()) != kept["doc_id"].cast(pa.string()):
        raise SchemaError(f"{part.mentions} does not belong to the kept rows: other documents stand there")
    lists = found["mentions"].combine_chunks()
    flat = lists.flatten()
    document = np.repeat(np.arange(len(lists)), lists.value_lengths().to_numpy())
    begin, end = (flat.field(name).to_numpy().astype(np.int64) for name in ("start", "end"))
    moved, whole = after_cuts(kept["spans"].combine_chunks(), ByteStretches(document, begin, end))
    encoded = _Encoded(part.tokens, kept["doc_id"].combine_chunks())
    reasons = np.select([~whole, encoded.place[document] < 0, ~encoded.usable(places)[document]], [1, 2, 3])
    left_out.update(
        {name: int((reasons == n).sum()) for n, name in enumerate(("cut_text", "no_tokens", "other_text"), 1)}
    )
    at = np.flatnonzero(reasons == 0)
    stretches = ByteStretches(document[at], moved.start[at], moved.end[at])
    if encoded.conversations and len(at):
        stretches = _in_messages(part.documents, kept, encoded, places, stretches)
        rendered = stretches.start != NOWHERE
        left_out["other_text"] += int((~rendered).sum())
        at, stretches = at[rendered], ByteStretches(*(column[rendered] for column in stretches))
    placed = places.find(encoded.tokens, stretches._replace(document=encoded.place[stretches.document]))
    together = placed.start != NOWHERE
    left_out["rearranged"] += int((~together).sum())
    chosen = pa.array(at[together])
    return DocumentMentions(
        kept["doc_id"].combine_chunks().cast(pa.string()),
        document[at[together]],
        placed.start[together],
        placed.length[together],
        flat.field("entity").take(chosen),
        flat.field("label").take(chosen),
    )


def _in_messages(
    documents: Path, kept: pa.Table, encoded: "_Encoded", places: TokenPlaces, stretches: ByteStretches
) -> ByteStretches:
    """Stretches in the texts that the chat template made."""
    table = pq.read_table(documents, columns=["text", "meta"]).take(kept["row"]).combine_chunks()
    spans = kept["spans"].combine_chunks()
    texts = cut_spans(table["text"].combine_chunks().cast(pa.large_string()), spans)
    offsets, ids = encoded.tokens
    lengths = np.diff(offsets)[encoded.place] * (encoded.place >= 0)
    order = np.repeat(offsets[:-1][encoded.place] - (np.cumsum(lengths) - lengths), lengths) + np.arange(lengths.sum())
    tokens = Tokens(np.append(0, np.cumsum(lengths)), ids[order])  # in order of the kept documents
    return in_conversations(texts, table["meta"].combine_chunks(), spans, tokens, places.words, stretches)


class _Encoded:
    """The tokens of a part's documents; ``place`` of each wanted document among them, -1 where it has none."""

    def __init__(self, path: Path, doc_ids: pa.Array):
        with pq.ParquetFile(path) as file:
            self.conversations = "targets" in file.schema_arrow.names
        table = pq.read_table(
            path, columns=["doc_id", "comes_back", "tokens"], filters=pc.field("doc_id").isin(doc_ids)
        )
        table = table.combine_chunks()
        self.place = pc.index_in(
            doc_ids.cast(pa.string()), value_set=table["doc_id"].combine_chunks().cast(pa.string())
        )
        self.place = self.place.fill_null(-1).to_numpy().astype(np.int64)
        lists = table["tokens"].combine_chunks()
        offsets = np.append(0, np.cumsum(lists.value_lengths().to_numpy().astype(np.int64)))
        self.tokens = Tokens(offsets, lists.flatten().to_numpy())
        self._comes_back = table["comes_back"].to_numpy()

    def usable(self, places: TokenPlaces) -> np.ndarray:
        """Bool [n_docs]: the tokens of the document are the bytes of its text."""
        if not places.joins_bytes:
            return np.zeros(len(self.place), bool)
        return np.append(self._comes_back, False)[self.place].astype(bool)


def together(parts: list[DocumentMentions]) -> DocumentMentions:
    """The mentions of all parts, documents numbered over all."""
    first = np.append(0, np.cumsum([len(part.doc_ids) for part in parts])).tolist()
    nothing, no_text = np.empty(0, np.int64), pa.array([], pa.string())
    return DocumentMentions(
        doc_ids=whole(pa.chunked_array([no_text, *(part.doc_ids for part in parts)])),
        document=np.concatenate([nothing, *(part.document + n for part, n in zip(parts, first, strict=False))]),
        start=np.concatenate([nothing, *(part.start for part in parts)]),
        length=np.concatenate([nothing, *(part.length for part in parts)]),
        entity=whole(pa.chunked_array([no_text, *(part.entity for part in parts)])),
        label=whole(pa.chunked_array([no_text, *(part.label for part in parts)])),
    )
