"""The kept documents of a part, batch by batch, with their spans cut out: what every encoder reads."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.corpus.errors import SchemaError
from gristmill.corpus.languages import primary_subtags
from gristmill.corpus.schema import KEPT, expect_columns
from gristmill.corpus.tables import read_batches, read_part
from gristmill.corpus.text.columns import is_blank
from gristmill.tokenizer.cutting import cut_spans

KEPT_TEXT = pa.schema(
    [
        pa.field("doc_id", pa.string(), False),
        pa.field("text", pa.large_string(), False),
        pa.field("source", pa.string(), False),
        pa.field("domain", pa.string(), False),
        pa.field("heldout", pa.bool_(), False),
        pa.field("weight", pa.float32(), False),
    ]
)


def kept_batches(documents: Path, kept: pa.Table, beside: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
    """The kept documents of one part in the part's order, at most one batch per row group.

    Parameters
    ----------
    documents : Parquet file of ``gristmill.corpus.schema.DOCUMENTS``
    kept : rows of ``gristmill.corpus.schema.KEPT`` that belong to this part, in any order
    beside : further columns, of the documents or of ``kept``

    Yields
    ------
    RecordBatch of KEPT_TEXT and of the columns beside; text is what remains after ``kept.spans``

    Raises
    ------
    SchemaError : ``kept`` names a row that the part lacks, names one twice, or another document stands there
    """
    expect_columns(kept.schema, tuple(KEPT.names), "the kept table")
    kept = kept.take(pc.sort_indices(kept, [("row", "ascending")])).combine_chunks()
    rows = kept["row"].to_numpy()
    first, done = 0, 0
    more = [name for name in beside if name not in KEPT.names]
    for batch in read_batches(documents, ["doc_id", "text", *more]):
        stop = int(np.searchsorted(rows, first + batch.num_rows))
        if stop > done:
            part = _kept_batch(documents, batch, rows[done:stop] - first, kept.slice(done, stop - done))
            yield part.select([*KEPT_TEXT.names, *beside])
        first, done = first + batch.num_rows, stop
    if done < len(rows):
        raise SchemaError(f"kept names row {rows[done]} of {documents}, which has {first} rows")


def languages_of_kept(documents: Path, kept: pa.Table, language: Path | None) -> Iterator[pa.RecordBatch]:
    """``kept_batches`` less the blank ones, with ``known_lang``: the language found, else the one that is stated.

    Parameters
    ----------
    language : language.parquet of the part; None where no language was looked for
    """
    found, seen = found_languages(kept, language), 0
    for whole in kept_batches(documents, kept, ("lang",)):
        stated = whole["lang"] if found is None else found.slice(seen, whole.num_rows)
        seen += whole.num_rows
        yield filled(whole.append_column("known_lang", primary_subtags(stated)[0]))


def found_languages(kept: pa.Table, language: Path | None) -> pa.Array | None:
    """The language found for each kept row, in order of row."""
    if language is None:
        return None
    rows = np.sort(kept["row"].to_numpy())
    return read_part(language, ["lang_id"])["lang_id"].combine_chunks().take(pa.array(rows))


def filled(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The documents of which the spans left more than white space; the others are not trained on.

    Parameters
    ----------
    batch : RecordBatch of KEPT_TEXT

    Returns
    -------
    RecordBatch of KEPT_TEXT; ``batch`` itself, uncopied, when nothing is left out
    """
    blank = is_blank(batch["text"])
    return batch.filter(pc.invert(blank)) if blank.true_count else batch


def _kept_batch(documents: Path, batch: pa.RecordBatch, at: np.ndarray, kept: pa.Table) -> pa.RecordBatch:
    whole = len(at) == batch.num_rows
    if not whole:
        batch = batch.take(pa.array(at))
    columns = {name: kept[name].combine_chunks() for name in kept.schema.names}
    differs = pc.not_equal(batch["doc_id"].cast(pa.string()), columns["doc_id"].cast(pa.string()))
    if len(np.unique(at)) < len(at) or pc.any(differs).as_py():
        raise SchemaError(f"kept does not belong to {documents}: its rows repeat or name other documents")
    text = cut_spans(batch["text"].cast(pa.large_string()), columns["spans"])
    values = {**{name: batch[name] for name in batch.schema.names}, **columns, "text": text}
    values |= {field.name: values[field.name].cast(field.type) for field in KEPT_TEXT}
    fields = [
        *KEPT_TEXT,
        *(pa.field(name, value.type) for name, value in values.items() if name not in KEPT_TEXT.names),
    ]
    return pa.record_batch([values[field.name] for field in fields], schema=pa.schema(fields))
