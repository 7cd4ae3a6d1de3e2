"""The journal of a takedown, RUN/.takedown: what was asked for and the manifests as they were, until all is done.

A takedown that was killed is carried on from it; one whose journal cannot be read any more is never taken for done.
"""

import shutil
from dataclasses import dataclass
from typing import Any

from gristmill.corpus.files import write_json
from gristmill.corpus.rundir import JOURNAL as JOURNAL
from gristmill.corpus.rundir import OF_TAKEDOWN, RunDir
from gristmill.corpus.state_files import Record, read_record, read_typed

# in the journal lie manifests/ as they were, names.json, and result.json once all but the deletion is done
NAMES, RETRAINING = "names.json", "retraining"  # the file in the journal, and its key in a takedown that retrains
NAMES_LOST = 'write {"names": [...]} into it, with the documents that were to be taken down, and take them down again'
RESULT, RESULT_LOST = "result.json", "put it back from a copy: the entries that it was made from may be gone"


@dataclass(frozen=True, slots=True)
class Stopped:
    """What a takedown that was killed had been asked for."""

    names: tuple[str, ...]
    retraining: Record | None = None


def open_journal(run: RunDir, journal: RunDir, names: list[str], **more: Any) -> None:
    """Keep the manifests as they are and what is to be done, so that a killed takedown can be carried on."""
    aside = journal.path.with_name(f"{JOURNAL}.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(run.path / "manifests", aside / "manifests")
    write_json(aside / NAMES, {"names": names, **more})
    aside.rename(journal.path)


def read_stopped(journal: RunDir) -> Stopped:
    """What was asked for; DamagedFileError where what is to be removed is unknown by now."""
    return read_typed(Stopped, journal.path / NAMES, NAMES_LOST)


def read_result(journal: RunDir) -> dict[str, Any]:
    """What was done, all but the deletion of old entries; DamagedFileError."""
    return dict(read_record(journal.path / RESULT, OF_TAKEDOWN, RESULT_LOST))
