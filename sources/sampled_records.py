"""The first records of a file as they stand in it, before any recipe says what they mean."""

import codecs
import csv
import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any

import orjson
import pyarrow.parquet as pq

from gristmill.corpus.errors import SourceError
from gristmill.sources.arrow import slices
from gristmill.sources.charset import MAX_REPLACED, decode
from gristmill.sources.columnar import UNREADABLE
from gristmill.sources.csv_style import lines_of, named_delimiter, rows_of, tell_delimiter, tell_style
from gristmill.sources.json_values import holds_values, values
from gristmill.sources.listing import InputFile
from gristmill.sources.opening import open_raw, open_stream
from gristmill.sources.reader import RejectError
from gristmill.sources.recoding import HEAD_BYTES, marked_encoding
from gristmill.sources.spec import ReadSpec

RECORDS = 50
SAMPLE_BYTES = 1 << 20
MAX_NAME_CHARS = 100  # of a column; a longer one is a text, and the file has no header line
_PYTHON_NAMES = {"windows-874": "cp874", "euc-kr": "cp949", "x-mac-cyrillic": "mac_cyrillic", "macintosh": "mac_roman"}
Records = list[dict[str, Any]]


def sampled_records(path: str, format_: str) -> tuple[Records, str]:
    """Up to 50 records of a file whose records have fields, and its encoding; none of one that cannot be read.

    Parameters
    ----------
    format_ : jsonl, csv, parquet or arrow; other formats have no fields, only an encoding

    Raises
    ------
    SourceError : the file cannot be opened, or is a table without a header line
    """
    file, spec = InputFile(path, -1, "", format_), ReadSpec(path.rsplit("/", 1)[-1], "none")
    if format_ in _COLUMNS:
        return list(islice(_COLUMNS[format_](file, spec), RECORDS)), "utf-8"
    with open_stream(file, spec, of_lines=True) as stream:
        sample = stream.read(SAMPLE_BYTES)
    encoding = encoding_of_sample(sample)
    read = _of_values if format_ == "jsonl" and holds_values(path, sample) else _LINES.get(format_)
    return (list(islice(read(sample, encoding, path), RECORDS)) if read else []), encoding


def encoding_of_sample(sample: bytes) -> str:
    """A name that Python knows: utf-8 where the bytes are or a mark names another, else what their letters look like.

    >>> encoding_of_sample("naïve café".encode()), encoding_of_sample("Straße, Größe, größer".encode("latin-1"))
    ('utf-8', 'cp1252')
    >>> encoding_of_sample("Straße".encode("utf-16")), encoding_of_sample("Straße".encode("utf-16-le"))
    ('utf-8', 'utf-16-le')
    """
    if marked_encoding(sample):
        return "utf-8"  # what readers take for it believes the mark
    if b"\0" in sample[:HEAD_BYTES]:
        evens, odds = sample[:HEAD_BYTES:2].count(0), sample[1:HEAD_BYTES:2].count(0)
        return "utf-16-le" if odds > 2 * evens else "utf-16-be" if evens > 2 * odds else "utf-8"
    return next((name for name in ("utf-8", _detected(sample)) if _is_in(sample, name)), "utf-8")


def _detected(sample: bytes) -> str:
    try:
        charset = decode(sample, None, is_html=False).charset
        return codecs.lookup(_PYTHON_NAMES.get(charset, charset)).name
    except (RejectError, LookupError):
        return "utf-8"


def _is_in(sample: bytes, encoding: str) -> bool:
    """True where few characters are wrong; one that the end of the sample cuts is not."""
    text = codecs.getincrementaldecoder(encoding)("replace").decode(sample)
    wrong = text.count("\ufffd")
    return not wrong or (encoding != "utf-8" and wrong <= MAX_REPLACED * len(text))


def _of_values(sample: bytes, encoding: str, path: str) -> Iterator[dict[str, Any]]:  # noqa: ARG001
    for value in values(io.BytesIO(sample), SAMPLE_BYTES):
        with suppress(ValueError):
            record = orjson.loads(value.data.decode(encoding))
            if isinstance(record, dict):
                yield record


def _of_lines(sample: bytes, encoding: str, path: str) -> Iterator[dict[str, Any]]:  # noqa: ARG001
    for line in sample.split(b"\n")[:RECORDS]:
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
    lines = lines_of(sample.decode(encoding, "replace"))
    rows = rows_of(iter(lines[bool(named_delimiter(sample)) :]), delimiter, style)
    with suppress(csv.Error):  # what a run would reject, or name as no CSV
        names = next(rows, [])
        if long := next((name for name in names if len(name) > MAX_NAME_CHARS), None):
            raise SourceError(
                f"{path} has no header line: a column would be called {long[:40]!r}...; "
                "put a line with the names of its columns before the first"
            )
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
