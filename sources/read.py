"""Reading one part of a source into documents.parquet and rejects.parquet. Formats stand in ``catalogue``."""

import unicodedata
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from gristmill.corpus.disk import FULL
from gristmill.corpus.errors import GristmillError, SourceError
from gristmill.corpus.meter import counted_whole
from gristmill.corpus.receipt import Outcome
from gristmill.sources.catalogue import find_reader, load_function
from gristmill.sources.checked_file import as_listed
from gristmill.sources.first_records import Place
from gristmill.sources.listing import InputFile
from gristmill.sources.opening import not_that_format
from gristmill.sources.outside import read_with
from gristmill.sources.part import SKIPPED, Part
from gristmill.sources.reader import Reader, RejectError
from gristmill.sources.spec import ReadSpec

OF_RECORDS = ("jsonl", "parquet", "arrow", "csv")  # formats whose records have fields


def read_part(
    files: Sequence[InputFile],
    spec: ReadSpec,
    folder: Path,
    extra: Sequence[Reader] = (),
    place: Place | None = None,
) -> Outcome:
    """Read ``files``, in order, into the empty ``folder``.

    Parameters
    ----------
    files : one part, from ``listing.list_files`` and ``listing.group_parts``
    spec : source and limits
    folder : receives documents.parquet (``DOCUMENTS``) and rejects.parquet (``REJECTS``)
    extra : readers of plug-ins, beside the built-in ones; their ``read`` is looked up in this process
    place : which part of its source this is; when it is the first, a source that is rejected whole is a SourceError

    Returns
    -------
    Outcome : rows are documents. The account counts records and their raw bytes: unpacked lines, files, WARC blocks;
        for Parquet and Arrow the bytes of the text. facts: rejects and skipped by reason, passed_over by WARC
        record type, text_bytes, line_ends (documents whose CRLF or CR became LF),
        mended_lengths (WARC records read to the next one), files

    Raises
    ------
    SourceError : a file cannot be opened, or is not what its format says; the first 50 records of the source (or all,
        when it has fewer) are rejected for one reason that a key of the recipe causes
    """
    with Part(folder, spec, place) as part:
        for file in files:
            with counted_whole(file.bytes):
                read_file(file, spec, part, extra)
    return Outcome(
        part.documents,
        {spec.name: part.account},
        _facts(part, sum(map(_is_beginning, files))),
    )


def _is_beginning(file: InputFile) -> bool:
    """True for a whole file and for the first of its pieces, so that a split file counts once."""
    return file.piece is None or file.piece.start == 0


def read_file(file: InputFile, spec: ReadSpec, part: Part, extra: Sequence[Reader] = ()) -> None:
    """Add the records of one file to ``part``; SourceError as ``read_part``."""
    reader = find_reader(file.format, spec.name, extra)
    function = load_function(reader)
    if spec.messages and reader.name not in OF_RECORDS:
        raise SourceError(
            f"sources.{spec.name}.messages: {file.path} is {reader.name}, which has no fields; leave it out"
        )
    try:
        with as_listed(file):
            function(file, spec, part) if reader.fills_part else read_with(reader, function, file, part)
    except GristmillError:
        raise
    except OSError as error:
        if error.errno in FULL:  # of what is written, not of what is read
            raise
        raise SourceError(f"sources.{spec.name}.path: cannot read {file.path}: {error}") from error
    except RejectError as error:  # of a whole table: its columns nest too deep for JSON
        raise not_that_format(file, spec, error.detail) from None


def library_versions() -> dict[str, str]:
    """What decides the text beside this room's own code; part of the store key.

    >>> sorted(library_versions())
    ['brotli', 'fastwarc', 'orjson', 'pyarrow', 'resiliparse', 'unicode']
    """
    found = {name: version(name) for name in ("fastwarc", "orjson", "pyarrow", "resiliparse")}
    try:
        found["brotli"] = version("brotli")
    except PackageNotFoundError:  # pages in that coding are rejects then
        found["brotli"] = "none"
    return {**found, "unicode": unicodedata.unidata_version}


def _facts(part: Part, files: int) -> dict[str, object]:
    reasons = dict(sorted(part.rejected.items()))
    return {
        "rejects": {reason: count for reason, count in reasons.items() if reason not in SKIPPED},
        "skipped": {reason: count for reason, count in reasons.items() if reason in SKIPPED},
        "passed_over": dict(sorted(part.passed_over.items())),
        "text_bytes": part.text_bytes,
        "line_ends": part.line_ends,
        "mended_lengths": part.mended,
        "files": files,
    }
