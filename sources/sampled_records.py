"""The first records of a file as they stand in it, before any recipe says what they mean."""

import codecs
import csv
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any

import orjson
import pyarrow.parquet as pq

from gristmill.sources.arrow import slices
from gristmill.sources.charset import decode
from gristmill.sources.columnar import UNREADABLE
from gristmill.sources.csv_style import named_delimiter, rows_of, tell_delimiter, tell_style
from gristmill.sources.listing import InputFile
from gristmill.sources.opening import open_raw, open_stream
from gristmill.sources.reader import RejectError
from gristmill.sources.spec import ReadSpec

RECORDS = 50
SAMPLE_BYTES = 1 << 20
Records = list[dict[str, Any]]


def sampled_records(path: str, format_: str) -> tuple[Records, str]:
    """Up to 50 records of a file whose records have fields, and its encoding; none of one that cannot be read.

    Parameters
    ----------
    format_ : jsonl, csv, parquet or arrow; other formats have no fields, only an encoding

    Raises
    ------
    SourceError : the file cannot be opened
    """
    file, spec = InputFile(path, -1, "", format_), ReadSpec(path.rsplit("/", 1)[-1], "none")
    if format_ in _COLUMNS:
        return list(islice(_COLUMNS[format_](file, spec), RECORDS)), "utf-8"
    with open_stream(file, spec) as stream:
        sample = stream.read(SAMPLE_BYTES)
    encoding = encoding_of_sample(sample)
    read = _LINES.get(format_)
    return (list(islice(read(sample, encoding, path), RECORDS)) if read else []), encoding


def encoding_of_sample(sample: bytes) -> str:
    """A name that Python knows: utf-8 where the bytes are, else what their letters look like.

    >>> encoding_of_sample("naïve café".encode()), encoding_of_sample("Straße, Größe, größer".encode("latin-1"))
    ('utf-8', 'cp1252')
    """
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)  # a character that the sample cuts is no fault
    except UnicodeDecodeError:
        try:
            return codecs.lookup(decode(sample, None, is_html=False).charset).name
        except (RejectError, LookupError):
            return "utf-8"
    return "utf-8"


def _of_lines(sample: bytes, encoding: str, path: str) -> Iterator[dict[str, Any]]:  # noqa: ARG001
    for line in sample.splitlines()[:RECORDS]:
        try:
            record = orjson.loads(line.decode(encoding).removeprefix("\ufeff"))
        except ValueError:
            continue
        if isinstance(record, dict):
            yield record


def _of_rows(sample: bytes, encoding: str, path: str) -> Iterator[dict[str, Any]]:
    sample = sample.removeprefix(codecs.BOM_UTF8)
    delimiter = tell_delimiter(sample, encoding, "\t" if ".tsv" in path.lower() else ",")
    style = tell_style(sample, encoding, delimiter, None)
    lines = sample.decode(encoding, "replace").splitlines(keepends=True)
    rows = rows_of(iter(lines[bool(named_delimiter(sample)) :]), delimiter, style)
    with suppress(csv.Error):  # what a run would reject, or name as no CSV
        names = next(rows, [])
        for row in islice(rows, RECORDS):
            if len(row) == len(names):
                yield dict(zip(names, row, strict=True))


def _of_parquet(file: InputFile, spec: ReadSpec) -> Iterator[dict[str, Any]]:
    with open_raw(file, spec) as raw:
        try:
            for batch in pq.ParquetFile(raw).iter_batches(batch_size=RECORDS):
                yield from batch.to_pylist()
        except UNREADABLE:
            return


def _of_arrow(file: InputFile, spec: ReadSpec) -> Iterator[dict[str, Any]]:
    with open_raw(file, spec) as raw:
        try:
            for batch in slices(raw):
                yield from batch.slice(0, RECORDS).to_pylist()
        except UNREADABLE:
            return


_LINES: Mapping[str, Callable[[bytes, str, str], Iterator[dict[str, Any]]]] = {"jsonl": _of_lines, "csv": _of_rows}
_COLUMNS: Mapping[str, Callable[[InputFile, ReadSpec], Iterator[dict[str, Any]]]] = {
    "parquet": _of_parquet,
    "arrow": _of_arrow,
}
