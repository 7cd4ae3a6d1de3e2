"""Readers of examples for classifiers: texts and labels from Parquet and JSON lines, columns only."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.json as pj
import pyarrow.parquet as pq

from gristmill.corpus.errors import SourceError

TEXT, LABEL = "text", "label"
_JSON = (".jsonl", ".json", ".ndjson")
_COMPRESSED = (".gz", ".zst", ".bz2")


def read_examples(positive: Sequence[Path], negative: Sequence[Path], labelled: Sequence[Path]) -> pa.Table:
    """All examples: text large_string, label string, in the order of the files.

    Texts without a character and rows without text or label are left out: they teach nothing.

    Raises
    ------
    SourceError : a file is missing, is neither Parquet nor JSON lines, or lacks a column
    """
    tables = [pa.table({TEXT: pa.array([], pa.large_string()), LABEL: pa.array([], pa.string())})]
    for paths, label in ((positive, "positive"), (negative, "negative"), (labelled, None)):
        tables += [_labelled(path, label) for path in paths]
    table = pa.concat_tables(tables).drop_null()
    return table.filter(pa.compute.greater(pa.compute.binary_length(table[TEXT]), 0))


def read_texts(paths: Sequence[Path]) -> pa.ChunkedArray:
    """Texts of all files, large_string, in the order of the files, none of them empty.

    Raises
    ------
    SourceError : a file is missing, is neither Parquet nor JSON lines, lacks the column, or there is no text
    """
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise SourceError(f"no texts at {missing[0]}; set references.texts")
    columns = [_read(path, [TEXT])[TEXT].cast(pa.large_string()) for path in paths]
    texts = pa.chunked_array([chunk for column in columns for chunk in column.chunks], pa.large_string()).drop_null()
    texts = texts.filter(pa.compute.greater(pa.compute.binary_length(texts), 0))
    if not len(texts):
        raise SourceError("there is no text to fit a reference on; set references.texts")
    return texts


def _labelled(path: Path, label: str | None) -> pa.Table:
    if not path.is_file():
        raise SourceError(f"no examples at {path}; set classifiers.positive, negative or labelled")
    table = _read(path, [TEXT] if label else [TEXT, LABEL])
    labels = pa.repeat(label, len(table)) if label else table[LABEL].cast(pa.string())
    return pa.table({TEXT: table[TEXT].cast(pa.large_string()), LABEL: labels})


def _read(path: Path, columns: list[str]) -> pa.Table:
    suffixes = [suffix for suffix in path.suffixes if suffix not in _COMPRESSED]
    try:
        if suffixes[-1:] == [".parquet"]:
            return pq.read_table(path, columns=list(_present(pq.read_schema(path).names, columns, path)))
        if suffixes and suffixes[-1] in _JSON:
            table = pj.read_json(path, parse_options=pj.ParseOptions(newlines_in_values=False))
            return table.select(list(_present(table.column_names, columns, path)))
    except pa.ArrowInvalid as error:
        raise SourceError(f"{path} is not what its name says ({error}); expected Parquet or JSON lines") from None
    raise SourceError(f"{path}: examples are read from .parquet and .jsonl (.gz, .zst); convert the file")


def _present(found: Sequence[str], wanted: Sequence[str], path: Path) -> Iterator[str]:
    for name in wanted:
        if name not in found:
            raise SourceError(f"{path} has no column {name!r}; it has {', '.join(found)}")
        yield name
