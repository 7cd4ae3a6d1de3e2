"""How the rows of a CSV or TSV file are cut: at which character, and may a quote span lines?

Told from the first 64 KiB: the style under which the fewest rows are wrong. A TSV whose quotes are plain characters,
read as if they opened fields, once made one document of four rows. Spreadsheets write ; where the comma is a decimal
sign: where a header line has one column, the other delimiters are tried. Excel's first line ``sep=;`` says it, and is
no header.
"""

import csv
import io
import re
from collections.abc import Iterator
from enum import Enum
from typing import Any

SAMPLE_BYTES = 64 << 10
NO_LIMIT = 2**31 - 1  # of a cell: csv's own is one for the whole process, 128 KiB; a source has record_bytes
DELIMITERS = (",", ";", "\t", "|")


class Style(Enum):
    """What a quote at the beginning of a field means."""

    QUOTED = "it opens a field, which may span lines"
    LINES = "it opens a field, which ends on its line"
    PLAIN = "it is a character"


def tell_delimiter(sample: bytes, encoding: str, usual: str) -> str:
    r"""The delimiter of a file that begins with ``sample``: the usual one, unless it leaves the header in one piece.

    Then the one that gives the header more than one column, and the fewest wrong rows.

    >>> tell_delimiter(b"id;text\n1;one, two\n", "utf-8", ",")
    ';'
    >>> tell_delimiter(b"text\na; b\n", "utf-8", ",")
    ','
    """
    if named := named_delimiter(sample):
        return named
    lines, is_whole = _whole_lines(sample, encoding)
    header = lines[:1]
    found = [one for one in DELIMITERS if any(len(row) > 1 for row in csv.reader(header, delimiter=one))]
    if not found or usual in found:
        return usual
    style = {one: tell_style(sample, encoding, one, None) for one in found}
    return min(found, key=lambda one: _n_wrong(lines, one, style[one], is_whole=is_whole))


def named_delimiter(line: bytes) -> str | None:
    r"""The delimiter that a first line ``sep=;`` names.

    >>> named_delimiter(b"sep=;\r\n1;2"), named_delimiter(b"sep=,text")
    (';', None)
    """
    found = re.match(rb"sep=([,;|:~^\t])\r?\n", line, re.IGNORECASE)
    return found[1].decode() if found else None


def tell_style(sample: bytes, encoding: str, delimiter: str, quotes: bool | None) -> Style:
    r"""The style of a file that begins with ``sample``; ``quotes`` is the recipe's word for it, None for none.

    >>> tell_style(b'id\ttext\n1\t"Well, he spoke\n2\tb\n', "utf-8", "\t", None)
    <Style.PLAIN: 'it is a character'>
    """
    if quotes is not None:
        return Style.QUOTED if quotes else Style.PLAIN
    lines, is_whole = _whole_lines(sample, encoding)
    if '"' not in "".join(lines) or not lines:
        return Style.LINES if delimiter == "\t" else Style.QUOTED
    order = [Style.LINES, Style.PLAIN, Style.QUOTED] if delimiter == "\t" else [Style.QUOTED, Style.LINES, Style.PLAIN]
    return min(order, key=lambda style: _n_wrong(lines, delimiter, style, is_whole=is_whole))


def _whole_lines(sample: bytes, encoding: str) -> tuple[list[str], bool]:
    """The lines that the sample holds to their end, without ``sep=;``, and whether these are the whole file."""
    is_whole = len(sample) < SAMPLE_BYTES
    whole = sample if is_whole else sample[: sample.rfind(b"\n") + 1]
    lines = lines_of(whole.decode(encoding, "replace"))
    return lines[bool(named_delimiter(sample)) :], is_whole


def lines_of(text: str) -> list[str]:
    r"""Lines with their line feeds, which alone end them: U+0085 and U+2028 stand inside of fields.

    >>> lines_of("1\ta\u2028b\n2\tc")
    ['1\ta\u2028b\n', '2\tc']
    """
    return list(io.StringIO(text, newline="\n"))


def rows_of(lines: Iterator[str], delimiter: str, style: Style) -> Iterator[list[str]]:
    """Rows, a csv.Error or what ``lines`` raises for one that is none; the next call goes on behind it."""
    csv.field_size_limit(NO_LIMIT)
    if style is Style.QUOTED:
        return csv.reader(lines, delimiter=delimiter, strict=True)
    return _LineRows(lines, delimiter, style)


class _LineRows(Iterator[list[str]]):
    """One row a line. In a TSV a quote that is not closed on its line was no quote."""

    def __init__(self, lines: Iterator[str], delimiter: str, style: Style):
        self._lines = lines
        self._delimiter = delimiter
        self._style = style

    def __next__(self) -> list[str]:
        line = next(self._lines)
        if self._style is Style.LINES:
            try:
                return self._parsed(line, csv.QUOTE_MINIMAL)
            except csv.Error:
                if self._delimiter != "\t":
                    raise
        return self._parsed(line, csv.QUOTE_NONE)

    def _parsed(self, line: str, quoting: Any) -> list[str]:
        return next(csv.reader([line], delimiter=self._delimiter, quoting=quoting, strict=True), [])


def _n_wrong(lines: list[str], delimiter: str, style: Style, *, is_whole: bool) -> int:
    """Rows of the sample that have another number of columns than its first, or cannot be read."""
    source = iter(lines)
    rows, width, wrong = _strict_rows(source, delimiter, style), None, 0
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return wrong
        except csv.Error as error:
            wrong += "end of data" not in str(error) or style is not Style.QUOTED or is_whole
            continue
        width = len(row) if width is None else width
        wrong += bool(row) and len(row) != width


def _strict_rows(source: Iterator[str], delimiter: str, style: Style) -> Iterator[list[str]]:
    if style is Style.LINES:  # without the way out of _LineRows
        return _StrictLines(source, delimiter, style)
    return rows_of(source, delimiter, style)


class _StrictLines(_LineRows):
    def __next__(self) -> list[str]:
        return self._parsed(next(self._lines), csv.QUOTE_MINIMAL)
