"""A part's kept documents to token ids, row by row: ``tokens.parquet``."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.corpus.account import Account
from gristmill.corpus.languages import primary_subtags
from gristmill.corpus.meter import count
from gristmill.corpus.receipt import Outcome
from gristmill.corpus.schema import ROW_TARGETS, token_type
from gristmill.corpus.tables import PartWriter
from gristmill.tokenizer.encoded_batch import AS_THEY_ARE, DROPPED_SCHEMA, EncodedBatch, Encoding
from gristmill.tokenizer.encoder import CheckedEncoder
from gristmill.tokenizer.kept_text import filled, found_languages, kept_batches
from gristmill.tokenizer.stage import TokensFacts
from gristmill.tokenizer.text_counts import USES, Encoded, TextCounter, sum_by

TOKENS = "tokens.parquet"
DROPPED = "dropped.parquet"


def tokens_schema(vocab_size: int, *, targets: bool = False) -> pa.Schema:
    """Whole documents as tokens, the last of each the end token; ``comes_back``: decoding gives the text.

    ``targets``: with the places of predicted tokens that count; without the column all do.
    """
    places = [pa.field("targets", pa.list_(ROW_TARGETS), False)] if targets else []
    return pa.schema(
        [
            pa.field("doc_id", pa.string(), False),
            pa.field("source", pa.string(), False),
            pa.field("domain", pa.string(), False),
            pa.field("heldout", pa.bool_(), False),
            pa.field("comes_back", pa.bool_(), False),
            pa.field("tokens", pa.large_list(pa.field("item", token_type(vocab_size), False)), False),
            *places,
        ]
    )


def encode_part(
    documents: Path,
    kept: pa.Table,
    tokenizer: Path,
    folder: Path,
    *,
    language: Path | None = None,
    encoding: Encoding = AS_THEY_ARE,
) -> Outcome:
    """Write ``folder/tokens.parquet``: the kept documents of one part in its order, encoded.

    A document of which the spans left white space alone is dropped: it would be a row of bare end tokens.
    A document that spells a special token gets ordinary tokens for it, never the special one. Memory: one row group.
    About 27 MB of text a CPU second, file to file; conversations about 0.5.

    Parameters
    ----------
    documents, kept : see ``gristmill.tokenizer.kept_text.kept_batches``
    tokenizer : tokenizer.json, with tokenizer_config.json beside it
    language : language.parquet of the part; without it languages are those that the input states
    encoding : what the documents are, and whether some are rearranged. A conversation that has no answer is dropped,
        counted by reason and listed in ``dropped.parquet``

    Returns
    -------
    Outcome : accounts by source, bytes of text after spans; facts: ``TokensFacts``

    Raises
    ------
    SourceError : tokenizer.json is missing or unusable
    SchemaError : ``kept`` does not belong to ``documents``
    """
    encoder = CheckedEncoder(tokenizer)
    work = encoding.of(encoder)
    schema = tokens_schema(encoder.vocab_size, targets=encoding.conversations)
    counts, found = _Counts(encoder), found_languages(kept, language)
    with PartWriter(folder / TOKENS, schema) as writer:
        for whole in kept_batches(documents, kept, work.beside):
            stated = whole["lang"] if found is None else found.slice(counts.seen, whole.num_rows)
            counts.take(whole)
            batch = filled(whole.append_column("known_lang", primary_subtags(stated)[0]))
            encoded = work.encode(batch)
            counts.add(batch, encoded)
            writer.write(_tokens_batch(batch, encoded, schema))
            count(batch.num_rows, pc.sum(pc.binary_length(batch["text"])).as_py() or 0)
    counts.text.write_uses(folder / USES)
    if encoding.conversations:
        pq.write_table(pa.Table.from_pylist(work.dropped, DROPPED_SCHEMA), folder / DROPPED)
    engine = encoder.engine if not encoding.conversations else "templates"
    reasons = Counter(one["reason"] for one in work.dropped)
    facts = replace(counts.facts(encoder.vocab_size, engine, reasons), rearranged=dict(sorted(work.rearranged.items())))
    return Outcome(writer.rows, counts.accounts(), asdict(facts))


def _tokens_batch(batch: pa.RecordBatch, encoded: EncodedBatch, schema: pa.Schema) -> pa.RecordBatch:
    kind = schema.field("tokens").type
    if encoded.kept is not None:
        batch = batch.take(pa.array(encoded.kept))
    lists = pa.LargeListArray.from_arrays(pa.array(encoded.tokens.offsets), pa.array(encoded.tokens.ids), type=kind)
    names = [batch[name] for name in ("doc_id", "source", "domain", "heldout")]
    places = [pa.array(encoded.targets, schema.field("targets").type)] if encoded.targets is not None else []
    return pa.record_batch([*names, pa.array(encoded.comes_back), lists, *places], schema=schema)


class _Counts:
    """Documents, bytes and tokens so far."""

    def __init__(self, encoder: CheckedEncoder) -> None:
        self.seen = 0
        self.text = TextCounter(encoder.vocab_size, end_tokens=int(encoder.text.end_id is not None))
        self._taken, self._taken_bytes = Counter(), Counter()
        self._documents, self._source_bytes = Counter(), Counter()
        self._domain_bytes, self._domain_tokens = Counter(), Counter()

    def take(self, batch: pa.RecordBatch) -> None:
        """Documents before those without text are left out, and conversations without an answer."""
        self.seen += batch.num_rows
        self._taken.update(sum_by(batch["source"], np.ones(batch.num_rows, np.int64)))
        self._taken_bytes.update(sum_by(batch["source"], pc.binary_length(batch["text"]).to_numpy()))

    def add(self, batch: pa.RecordBatch, encoded: EncodedBatch) -> None:
        batch = batch if encoded.kept is None else batch.take(pa.array(encoded.kept))
        self._documents.update(sum_by(batch["source"], np.ones(batch.num_rows, np.int64)))
        self._source_bytes.update(sum_by(batch["source"], pc.binary_length(batch["text"]).to_numpy()))
        self._domain_bytes.update(sum_by(batch["domain"], pc.binary_length(encoded.texts).to_numpy()))
        self._domain_tokens.update(sum_by(batch["domain"], np.diff(encoded.tokens.offsets)))
        self.text.add(Encoded(encoded.texts, encoded.tokens, batch["domain"], batch["known_lang"], encoded.comes_back))

    def accounts(self) -> dict[str, Account]:
        return {name: self._account(name) for name in sorted(self._taken)}

    def _account(self, source: str) -> Account:
        n, kept = self._taken[source], self._documents[source]
        n_bytes, kept_bytes = self._taken_bytes[source], self._source_bytes[source]
        return Account(n, kept, n - kept, 0, n_bytes, kept_bytes, n_bytes - kept_bytes, 0)

    def facts(self, vocab_size: int, engine: str, dropped: Mapping[str, int]) -> TokensFacts:
        tokens, n_bytes = (dict(sorted(found.items())) for found in (self._domain_tokens, self._domain_bytes))
        return TokensFacts(tokens, n_bytes, vocab_size, engine, self.text.counts(), dict(sorted(dropped.items())))
