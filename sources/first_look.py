"""A first look at where a source begins: what a wrong key of the recipe does to it, before any part is read.

Sources were found wrong one after the other, each after those before it had been read. Here each is opened up to its
first document. What is wrong further in is reported by ``FirstRecords`` and by counts of rejects, as parts are read.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from gristmill.corpus.errors import ChangedInputError, SourceError
from gristmill.sources.first_records import Place
from gristmill.sources.listing import InputFile
from gristmill.sources.part import Part
from gristmill.sources.read import read_file
from gristmill.sources.reader import Reader
from gristmill.sources.spec import ReadSpec


class _SeenError(Exception):
    """Enough of the source was read."""


class _Look(Part):
    """A part that ends at its first document, or at a reject that no key of the recipe causes."""

    def add(self, locator: str, n_bytes: int, text: str, *columns: str | None) -> None:
        super().add(locator, n_bytes, text, *columns)
        raise _SeenError

    def write(self, records: pa.RecordBatch) -> None:
        super().write(records)
        self._expect_more()

    def reject(self, *record: Any) -> None:
        super().reject(*record)
        self._expect_more()

    def _expect_more(self) -> None:
        if not self.first.watches:
            raise _SeenError


def first_mistake(files: Sequence[InputFile], spec: ReadSpec, extra: Sequence[Reader], place: Place) -> str | None:
    """What is wrong with a source by its first records, as ``read_part`` would say; None when a document is read.

    Parameters
    ----------
    files, place : the first part of the source, of which the first file is looked at
    spec, extra : as for ``read_part``

    A file that changed meanwhile is left to the part that reads it.
    """
    whole = len(files) == 1 and place.n_parts == 1
    try:
        with tempfile.TemporaryDirectory() as folder, _Look(Path(folder), spec, Place(0, 1 if whole else 2)) as part:
            read_file(files[0], spec, part, extra)
    except _SeenError:
        return None
    except ChangedInputError:
        return None
    except SourceError as error:
        return str(error)
    return None
