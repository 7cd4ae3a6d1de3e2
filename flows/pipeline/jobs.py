"""Jobs: one part of one stage as plain data that any worker can run."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gristmill.corpus.errors import ChangedInputError, DamagedEntryError
from gristmill.corpus.files import content_key
from gristmill.corpus.receipt import Outcome, Receipt
from gristmill.corpus.store import Store


@dataclass(frozen=True, slots=True)
class Ref:
    """A file of a store entry, found by the worker that runs the job."""

    receipt: Receipt
    name: str


@dataclass(frozen=True, slots=True)
class Job:
    """Fill one store entry: ``function(**arguments, folder=...)`` under ``stage/key``.

    ``function`` is importable by name (workers unpickle it); arguments may hold ``Ref``s, also inside tuples, named or
    not, lists and dicts. The key names everything the result depends on: version, parameters, input keys.
    ``n_bytes`` of input is what the job counts while it works (``corpus.meter``); 0 = it counts nothing.
    """

    stage: str
    key: str
    function: Callable[..., Outcome]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    n_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Done:
    """A job's receipt, whether it was found rather than made, and the seconds it took."""

    receipt: Receipt
    reused: bool
    seconds: float


def job_key(stage: str, version: str, inputs: Any, **parameters: Any) -> str:
    """The content key of a part: stage code version, parameters, keys or digests of its inputs."""
    return content_key({"stage": stage, "version": version, "inputs": inputs, "parameters": parameters})


def run_job(store: Store, job: Job) -> Done:
    """Find or make the job's entry."""
    begin = time.perf_counter()

    def make(folder: Path) -> Outcome:
        arguments = {name: resolve(store, value) for name, value in job.arguments.items()}
        return job.function(**arguments, folder=folder)

    receipt, reused = store.produce(job.stage, job.key, make)
    return Done(receipt, reused, time.perf_counter() - begin)


Unusable = ChangedInputError | DamagedEntryError  # what a job cannot read; others can be done


def try_job(store: Store, job: Job) -> Done | Unusable:
    """The same; an input or an entry that this job alone cannot use is returned, so that the others are done first."""
    try:
        return run_job(store, job)
    except (ChangedInputError, DamagedEntryError) as error:
        return error


def settled(results: Iterable[Done | Unusable]) -> list[Done]:
    """The results of all jobs, once all have ended.

    Raises
    ------
    DamagedEntryError : the first entry that a job could not use; what uses it comes after it is made again
    ChangedInputError : names every input that changed
    """
    found = list(results)
    for one in found:
        if isinstance(one, DamagedEntryError):
            raise one
    changed = [str(one) for one in found if isinstance(one, ChangedInputError)]
    if changed:
        raise ChangedInputError(
            f"{'; '.join(dict.fromkeys(changed))}. Nothing of it was stored, and all other parts are: run again, which "
            "lists the inputs anew"
        )
    return [one for one in found if isinstance(one, Done)]


def resolve(store: Store, value: Any) -> Any:
    """Replace every ``Ref`` by a local path."""
    if isinstance(value, Ref):
        return store.folder(value.receipt) / value.name
    if isinstance(value, tuple) and hasattr(value, "_fields"):  # named: it takes its items one by one
        return type(value)(*(resolve(store, item) for item in value))
    if isinstance(value, dict):
        return {name: resolve(store, item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(resolve(store, item) for item in value)
    return value
