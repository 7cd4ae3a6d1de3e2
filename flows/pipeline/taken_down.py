"""Documents that were taken down from a run of the home come back into no other: what would read them is refused.

The run they were taken down from refuses by itself, before it begins. Another one (a bound, a version, a file more) has
another id; whether it reads one of the documents is seen when its parts are read: a record of the same id in a file
with the bytes that it had. Parts that a run of the home has already bring nothing back and are not looked at.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from gristmill.corpus.errors import StoreError
from gristmill.corpus.rundir import RunDir
from gristmill.corpus.tables import read_part
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.home_contents import Home, entries_of
from gristmill.flows.pipeline.jobs import Job
from gristmill.flows.pipeline.measure_documents import DOCUMENTS_FILE


@dataclass(frozen=True, slots=True)
class Removed:
    """What was taken down from another run, and the path and digest of every input that it had."""

    run: RunDir
    doc_ids: frozenset[str]
    files: frozenset[tuple[str, str]]


def removed_from_others(run: RunDir) -> list[Removed]:
    """Of every other run in the home of ``run``.

    Raises
    ------
    DamagedFileError : a record does not say what was taken down
    """
    home = Home.of(run)
    others = [other for other in home.runs if other.path.resolve() != run.path.resolve()] if home else []
    return [_removed(other) for other in others if other.takedowns]


def unnamed(context: RunContext, jobs: Sequence[Job]) -> list[Job]:
    """The jobs of ``documents`` that read files, and whose parts no run of the home has."""
    home = Home.of(context.run)
    named = entries_of(home.runs) if home else set()
    return [job for job in jobs if "files" in job.arguments and ("documents", job.key) not in named]


def _removed(run: RunDir) -> Removed:
    files = ((file.path, file.digest) for source in run.lock.inputs.values() for file in source)
    return Removed(run, frozenset(one for record in run.takedowns for one in record["removed"]), frozenset(files))


def refuse_taken_down(context: RunContext, jobs: Sequence[Job], removed: Sequence[Removed]) -> None:
    """Delete the parts that these jobs have read and that hold a document which was taken down, and refuse the run.

    Parameters
    ----------
    jobs : of ``documents``, with the files that each has read

    Raises
    ------
    StoreError : some do; names the run they were taken down from, and the first place
    """
    back = [(job, *found) for job in jobs for found in _brought_back(context, job, removed)]
    if not back:
        return
    context.run.manifest_path("documents").unlink(missing_ok=True)
    for key in {job.key for job, _, _ in back}:
        context.store.discard("documents", key)
    _, locator, one = back[0]
    raise StoreError(
        f"{len(back):,} of the documents that were taken down from {one.run.path} are read again, the first from "
        f"{locator}: this run would bring them back. What it read is deleted. Remove them from the inputs, or that run"
    )


def _brought_back(context: RunContext, job: Job, removed: Sequence[Removed]) -> Iterator[tuple[str, Removed]]:
    receipt, digests = (
        context.store.find("documents", job.key),
        {file.path: file.digest for file in job.arguments["files"]},
    )
    if receipt is None or not receipt.rows:
        return
    table = read_part(context.store.folder(receipt) / DOCUMENTS_FILE, ["doc_id", "locator"])
    for one in removed:
        hits = table.filter(pc.is_in(table["doc_id"], value_set=pa.array(sorted(one.doc_ids), pa.string())))
        for locator in hits["locator"].to_pylist():
            path = max((path for path in digests if locator.startswith(path)), key=len, default="")
            if (path, digests.get(path, "")) in one.files:
                yield locator, one
