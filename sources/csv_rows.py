"""CSV and TSV with a header line. Locators are ``path:line``, the line on which the row begins, from 1.

A loop over rows, a named exception to columns: pyarrow.csv ends a file at its first bad byte or stray quote
and tells no row's size, so its rejects could not be counted. Here one bad row is one reject.
"""

import csv
from collections.abc import Iterator

from gristmill.sources.csv_style import SAMPLE_BYTES, named_delimiter, rows_of, tell_delimiter, tell_style
from gristmill.sources.field_maps import TakesFields, field_map
from gristmill.sources.fields import check_columns
from gristmill.sources.jsonl import BYTE_ORDER_MARK, too_long
from gristmill.sources.listing import InputFile
from gristmill.sources.opening import Stream, not_that_format, open_stream
from gristmill.sources.part import HEAD_BYTES, Part
from gristmill.sources.reader import RejectError
from gristmill.sources.recoding import line_encoding
from gristmill.sources.spec import ReadSpec, is_utf8


def read(file: InputFile, spec: ReadSpec, part: Part) -> None:
    """Add every row of ``file`` as a document or a reject."""
    encoding = line_encoding(spec)
    fields = field_map(spec)
    with open_stream(file, spec, of_lines=True) as stream:
        lines = _Lines(stream, file.path, spec.record_bytes, encoding)
        sample = _sample(file, spec)
        delimiter = spec.delimiter or tell_delimiter(sample, encoding, _usual_delimiter(file))
        style = tell_style(sample, encoding, delimiter, spec.quotes)
        rows = rows_of(lines, delimiter, style)
        names = _header(rows, lines, file, spec)
        while True:
            _read_rows(names, rows, lines, fields, part)
            at = f"{file.path}:{lines.number + 1}"
            if not part.reject_damage(stream, at, lines.n_bytes, lines.head):
                return
            lines.begin_member()
            rows = rows_of(lines, delimiter, style)  # a row that the damage cut is not gone on with


def _read_rows(names: list[str], rows: Iterator[list[str]], lines: "_Lines", fields: TakesFields, part: Part) -> None:
    """All rows up to the end of the stream, or of what can be read of it."""
    while not lines.at_end:
        lines.begin_row()
        locator = f"{lines.path}:{lines.number + 1}"
        try:
            record = _record(names, next(rows), lines)
            part.add(locator, lines.n_bytes, *fields.take(record))
        except StopIteration:
            return
        except (RejectError, csv.Error) as error:
            if not lines.cut:
                part.reject(locator, lines.n_bytes, *_explain(error), lines.head)


def _usual_delimiter(file: InputFile) -> str:
    return "\t" if ".tsv" in file.path.lower() else ","


def _sample(file: InputFile, spec: ReadSpec) -> bytes:
    with open_stream(file, spec, of_lines=True) as stream:
        return stream.read(SAMPLE_BYTES).removeprefix(BYTE_ORDER_MARK)


class _Lines(Iterator[str]):
    """Decoded lines for csv.reader, which asks for more while a quote is open; knows the bytes of the row."""

    def __init__(self, stream: Stream, path: str, max_bytes: int, encoding: str):
        self.path = path
        self.number = 0  # lines read
        self.at_end = False
        self.cut = False  # an archive's damage ended the row
        self._stream = stream
        self._max_bytes = max_bytes  # of a row
        self._encoding = encoding
        self.begin_row()

    def begin_member(self) -> None:
        """Go on behind a damaged member; the line that it cut has the number of the reject."""
        self.number += 1
        self.at_end = self.cut = False

    def begin_row(self) -> None:
        """Forget the row before."""
        self.n_bytes, self.head = 0, b""
        self.wrong: RejectError | None = None

    def __next__(self) -> str:
        most = self._max_bytes
        line = self._stream.readline(most + 1)
        whole = line[-1:] == b"\n" or len(line) > most
        self.at_end = not line
        self.cut = bool(self._stream.damage) and not whole
        self.n_bytes += len(line)
        self.head = (self.head + line[:HEAD_BYTES])[:HEAD_BYTES]
        if self.at_end or self.cut:
            self.at_end = True
            raise StopIteration
        self.number += 1
        self._check_bytes(line, most)
        return self._decode(line.removeprefix(BYTE_ORDER_MARK) if self.number == 1 else line)

    def _check_bytes(self, line: bytes, most: int) -> None:
        if len(line) > most:
            error = too_long(self._stream, line)
            self.n_bytes += error.n_bytes - len(line)
            raise error
        if self.n_bytes > most:
            raise RejectError("record_too_large", f"{self.n_bytes} bytes in an open quote; see limits.record_bytes")

    def _decode(self, line: bytes) -> str:
        """A bad byte is remembered, not raised, so that the row is read to its end."""
        try:
            return line.decode(self._encoding)
        except UnicodeDecodeError as error:
            self.wrong = RejectError("invalid_utf8" if is_utf8(self._encoding) else "invalid_encoding", str(error))
            return line.decode(self._encoding, errors="replace")


def _header(rows: Iterator[list[str]], lines: _Lines, file: InputFile, spec: ReadSpec) -> list[str]:
    try:
        names = next(rows, [])
        if named_delimiter(lines.head.removeprefix(BYTE_ORDER_MARK)):
            names = next(rows, [])
    except (RejectError, csv.Error) as error:
        raise not_that_format(file, spec, f"its header line cannot be read ({error})") from None
    if lines.wrong:
        raise not_that_format(file, spec, f"its header line is not {spec.encoding}")
    if names:
        check_columns(names, file.path, spec)
    return names


def _record(names: list[str], values: list[str], lines: _Lines) -> dict[str, str]:
    if lines.wrong:
        raise lines.wrong
    if len(values) != len(names):
        raise RejectError("column_count" if values else "blank_line", f"{len(values)} columns, not {len(names)}")
    return dict(zip(names, values, strict=True))


def _explain(error: RejectError | csv.Error) -> tuple[str, str | None]:
    if isinstance(error, RejectError):
        return error.reason, error.detail
    return "truncated" if "end of data" in str(error) else "not_csv", str(error)
