"""A part's kept documents to token ids, row by row: ``tokens.parquet``."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.corpus.account import Account
from gristmill.corpus.meter import count
from gristmill.corpus.receipt import Outcome
from gristmill.corpus.schema import token_type
from gristmill.corpus.tables import PartWriter
from gristmill.tokenizer.encoder import CheckedEncoder, Tokens
from gristmill.tokenizer.kept_text import filled, kept_batches
from gristmill.tokenizer.stage import TokensFacts

VERSION = "2"
TOKENS = "tokens.parquet"


def tokens_schema(vocab_size: int) -> pa.Schema:
    """Whole documents as tokens, the last of each <|endoftext|>."""
    return pa.schema(
        [
            pa.field("doc_id", pa.string(), False),
            pa.field("source", pa.string(), False),
            pa.field("domain", pa.string(), False),
            pa.field("heldout", pa.bool_(), False),
            pa.field("tokens", pa.large_list(pa.field("item", token_type(vocab_size), False)), False),
        ]
    )


def encode_part(documents: Path, kept: pa.Table, tokenizer: Path, folder: Path) -> Outcome:
    """Write ``folder/tokens.parquet``: the kept documents of one part in its order, encoded.

    A document of which the spans left white space alone is dropped: it would be a row of bare end tokens.
    A document that spells ``<|endoftext|>`` gets ordinary tokens for it, never the special one. Memory: one row group.
    About 27 MB of text a CPU second, file to file.

    Parameters
    ----------
    documents, kept : see ``gristmill.tokenizer.kept_text.kept_batches``
    tokenizer : tokenizer.json

    Returns
    -------
    Outcome : accounts by source, bytes of text after spans; facts: ``TokensFacts``

    Raises
    ------
    SourceError : tokenizer.json is missing or unusable
    SchemaError : ``kept`` does not belong to ``documents``
    """
    encoder = CheckedEncoder(tokenizer)
    schema = tokens_schema(encoder.vocab_size)
    counts = _Counts()
    with PartWriter(folder / TOKENS, schema) as writer:
        for whole in kept_batches(documents, kept):
            counts.take(whole)
            batch = filled(whole)
            tokens = encoder.encode(batch["text"])
            writer.write(_tokens_batch(batch, tokens, schema))
            counts.add(batch, tokens)
            count(batch.num_rows, pc.sum(pc.binary_length(batch["text"])).as_py() or 0)
    return Outcome(writer.rows, counts.accounts(), asdict(counts.facts(encoder)))


def _tokens_batch(batch: pa.RecordBatch, tokens: Tokens, schema: pa.Schema) -> pa.RecordBatch:
    kind = schema.field("tokens").type
    lists = pa.LargeListArray.from_arrays(pa.array(tokens.offsets), pa.array(tokens.ids), type=kind)
    return pa.record_batch([batch[name] for name in ("doc_id", "source", "domain", "heldout")] + [lists], schema=schema)


class _Counts:
    """Documents, bytes and tokens so far."""

    def __init__(self) -> None:
        self._taken, self._taken_bytes = Counter(), Counter()
        self._documents, self._source_bytes = Counter(), Counter()
        self._domain_bytes, self._domain_tokens = Counter(), Counter()

    def take(self, batch: pa.RecordBatch) -> None:
        """Documents before those without text are left out."""
        self._taken.update(sum_by(batch["source"], np.ones(batch.num_rows, np.int64)))
        self._taken_bytes.update(sum_by(batch["source"], pc.binary_length(batch["text"]).to_numpy()))

    def add(self, batch: pa.RecordBatch, tokens: Tokens) -> None:
        n_bytes = pc.binary_length(batch["text"]).to_numpy()
        self._documents.update(sum_by(batch["source"], np.ones(batch.num_rows, np.int64)))
        self._source_bytes.update(sum_by(batch["source"], n_bytes))
        self._domain_bytes.update(sum_by(batch["domain"], n_bytes))
        self._domain_tokens.update(sum_by(batch["domain"], np.diff(tokens.offsets)))

    def accounts(self) -> dict[str, Account]:
        return {name: self._account(name) for name in sorted(self._taken)}

    def _account(self, source: str) -> Account:
        n, kept = self._taken[source], self._documents[source]
        n_bytes, kept_bytes = self._taken_bytes[source], self._source_bytes[source]
        return Account(n, kept, n - kept, 0, n_bytes, kept_bytes, n_bytes - kept_bytes, 0)

    def facts(self, encoder: CheckedEncoder) -> TokensFacts:
        tokens, n_bytes = (dict(sorted(found.items())) for found in (self._domain_tokens, self._domain_bytes))
        return TokensFacts(tokens, n_bytes, encoder.vocab_size, encoder.engine)


def sum_by(names: pa.StringArray, values: np.ndarray) -> dict[str, int]:
    """Sum of ``values`` int64 [n] for each distinct name.

    >>> sum_by(pa.array(["a", "b", "a"]), np.array([1, 2, 3]))
    {'a': 4, 'b': 2}
    """
    coded = names.dictionary_encode()
    total = np.zeros(len(coded.dictionary), np.int64)
    np.add.at(total, coded.indices.to_numpy(), values)
    return dict(zip(coded.dictionary.to_pylist(), total.tolist(), strict=True))
