"""A part's kept documents to token ids, row by row: ``tokens.parquet``."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.corpus.account import Account, passed_on
from gristmill.corpus.languages import primary_subtags
from gristmill.corpus.receipt import Outcome
from gristmill.corpus.schema import token_type
from gristmill.corpus.tables import PartWriter
from gristmill.tokenizer.encoder import CheckedEncoder, Tokens
from gristmill.tokenizer.kept_text import kept_batches
from gristmill.tokenizer.spelling import RoundTrip
from gristmill.tokenizer.stage import TokensFacts
from gristmill.tokenizer.text_counts import USES, Encoded, TextCounter

TOKENS = "tokens.parquet"


def tokens_schema(vocab_size: int) -> pa.Schema:
    """Whole documents as tokens, the last of each the end token; ``comes_back``: decoding gives the text."""
    return pa.schema(
        [
            pa.field("doc_id", pa.string(), False),
            pa.field("source", pa.string(), False),
            pa.field("domain", pa.string(), False),
            pa.field("heldout", pa.bool_(), False),
            pa.field("comes_back", pa.bool_(), False),
            pa.field("tokens", pa.large_list(pa.field("item", token_type(vocab_size), False)), False),
        ]
    )


def encode_part(
    documents: Path,
    kept: pa.Table,
    tokenizer: Path,
    folder: Path,
    *,
    language: Path | None = None,
) -> Outcome:
    """Write ``folder/tokens.parquet``: the kept documents of one part in its order, encoded.

    A document that spells a special token gets ordinary tokens for it, never the special one. Memory: one row group.
    About 27 MB of text a CPU second, file to file.

    Parameters
    ----------
    documents, kept : see ``gristmill.tokenizer.kept_text.kept_batches``
    tokenizer : tokenizer.json, with tokenizer_config.json beside it
    language : language.parquet of the part; without it languages are those that the input states

    Returns
    -------
    Outcome : accounts by source, bytes of text after spans; facts: ``TokensFacts``

    Raises
    ------
    SourceError : tokenizer.json is missing or unusable
    SchemaError : ``kept`` does not belong to ``documents``
    """
    encoder = CheckedEncoder(tokenizer)
    round_trip, schema = RoundTrip(encoder.text), tokens_schema(encoder.vocab_size)
    counts, found = _Counts(encoder), _languages(kept, language)
    with PartWriter(folder / TOKENS, schema) as writer:
        for batch in kept_batches(documents, kept, ["lang"]):
            tokens = encoder.encode(batch["text"])
            comes_back = round_trip.holds(batch["text"], tokens)
            languages = batch["lang"] if found is None else found.slice(writer.rows, batch.num_rows)
            counts.add(batch, tokens, languages, comes_back)
            writer.write(_tokens_batch(batch, tokens, comes_back, schema))
    counts.text.write_uses(folder / USES)
    return Outcome(writer.rows, counts.accounts(), asdict(counts.facts(encoder)))


def _languages(kept: pa.Table, language: Path | None) -> pa.Array | None:
    """The language found for each kept row, in order of row."""
    if language is None:
        return None
    rows = np.sort(kept["row"].to_numpy())
    return pq.read_table(language, columns=["lang_id"])["lang_id"].combine_chunks().take(pa.array(rows))


def _tokens_batch(batch: pa.RecordBatch, tokens: Tokens, comes_back: np.ndarray, schema: pa.Schema) -> pa.RecordBatch:
    kind = schema.field("tokens").type
    lists = pa.LargeListArray.from_arrays(pa.array(tokens.offsets), pa.array(tokens.ids), type=kind)
    names = [batch[name] for name in ("doc_id", "source", "domain", "heldout")]
    return pa.record_batch([*names, pa.array(comes_back), lists], schema=schema)


class _Counts:
    """Documents, bytes and tokens so far."""

    def __init__(self, encoder: CheckedEncoder) -> None:
        self.text = TextCounter(encoder.vocab_size, end_tokens=int(encoder.text.end_id is not None))
        self._documents, self._source_bytes = Counter(), Counter()
        self._domain_bytes, self._domain_tokens = Counter(), Counter()

    def add(self, batch: pa.RecordBatch, tokens: Tokens, languages: pa.Array, comes_back: np.ndarray) -> None:
        n_bytes = pc.binary_length(batch["text"]).to_numpy()
        self._documents.update(sum_by(batch["source"], np.ones(batch.num_rows, np.int64)))
        self._source_bytes.update(sum_by(batch["source"], n_bytes))
        self._domain_bytes.update(sum_by(batch["domain"], n_bytes))
        self._domain_tokens.update(sum_by(batch["domain"], np.diff(tokens.offsets)))
        self.text.add(Encoded(batch["text"], tokens, batch["domain"], primary_subtags(languages)[0], comes_back))

    def accounts(self) -> dict[str, Account]:
        return {name: passed_on(n, self._source_bytes[name]) for name, n in sorted(self._documents.items())}

    def facts(self, encoder: CheckedEncoder) -> TokensFacts:
        tokens, n_bytes = (dict(sorted(found.items())) for found in (self._domain_tokens, self._domain_bytes))
        return TokensFacts(tokens, n_bytes, encoder.vocab_size, encoder.engine, self.text.counts())


def sum_by(names: pa.StringArray | pa.ChunkedArray, values: np.ndarray) -> dict[str, int]:
    """Sum of ``values`` int64 [n] for each distinct name.

    >>> sum_by(pa.array(["a", "b", "a"]), np.array([1, 2, 3]))
    {'a': 4, 'b': 2}
    """
    array = names.combine_chunks() if isinstance(names, pa.ChunkedArray) else names
    coded = array.dictionary_encode()
    total = np.zeros(len(coded.dictionary), np.int64)
    np.add.at(total, coded.indices.to_numpy(), values)
    return dict(zip(coded.dictionary.to_pylist(), total.tolist(), strict=True))
