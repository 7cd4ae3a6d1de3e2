"""Reading one part of a source into documents.parquet and rejects.parquet. Formats stand in a module each."""

import unicodedata
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from gristmill.corpus.errors import SourceError, nearest
from gristmill.corpus.receipt import Outcome
from gristmill.sources import arrow, csv_rows, html, jsonl, parquet, warc
from gristmill.sources import plain_text as text
from gristmill.sources.listing import InputFile
from gristmill.sources.opening import not_that_format
from gristmill.sources.part import SKIPPED, Part, RejectError
from gristmill.sources.spec import ReadSpec

VERSION = "1"
READERS: dict[str, Callable[[InputFile, ReadSpec, Part], None]] = {
    "jsonl": jsonl.read,
    "parquet": parquet.read,
    "csv": csv_rows.read,
    "text": text.read,
    "html": html.read,
    "warc": warc.read,
    "wet": warc.read,
    "arrow": arrow.read,
}


def read_part(files: Sequence[InputFile], spec: ReadSpec, folder: Path) -> Outcome:
    """Read ``files``, in order, into the empty ``folder``.

    Parameters
    ----------
    files : one part, from ``listing.list_files`` and ``listing.group_parts``
    spec : source and limits
    folder : receives documents.parquet (``DOCUMENTS``) and rejects.parquet (``REJECTS``)

    Returns
    -------
    Outcome : rows are documents. The account counts records and their raw bytes: unpacked lines, files, WARC blocks;
        for Parquet and Arrow the bytes of the text. facts: rejects and skipped by reason, passed_over by WARC
        record type, text_bytes, files

    Raises
    ------
    SourceError : a file cannot be opened, or is not what its format says
    """
    with Part(folder, spec) as part:
        for file in files:
            reader = READERS.get(file.format)
            if reader is None:
                hint = nearest(file.format, READERS)
                raise SourceError(f"sources.{spec.name}.format: no reader for {file.format!r}{hint}")
            try:
                reader(file, spec, part)
            except OSError as error:
                raise SourceError(f"sources.{spec.name}.path: cannot read {file.path}: {error}") from error
            except RejectError as error:  # of a whole table: its columns nest too deep for JSON
                raise not_that_format(file, spec, error.detail) from None
    return Outcome(part.documents, {spec.name: part.account}, _facts(part, len(files)))


def library_versions() -> dict[str, str]:
    """What decides the text beside this room's own code; part of the store key.

    >>> sorted(library_versions())
    ['fastwarc', 'orjson', 'pyarrow', 'resiliparse', 'unicode']
    """
    found = {name: version(name) for name in ("fastwarc", "orjson", "pyarrow", "resiliparse")}
    return {**found, "unicode": unicodedata.unidata_version}


def _facts(part: Part, files: int) -> dict[str, object]:
    reasons = dict(sorted(part.rejected.items()))
    return {
        "rejects": {reason: count for reason, count in reasons.items() if reason not in SKIPPED},
        "skipped": {reason: count for reason, count in reasons.items() if reason in SKIPPED},
        "passed_over": dict(sorted(part.passed_over.items())),
        "text_bytes": part.text_bytes,
        "files": files,
    }
