"""Dask engines: threads of this process, or a running Dask cluster. Neither changes what is computed.

Not Prefect's DaskTaskRunner: it costs 40 times the client CPU of ``client.submit`` (44 ms against 1 ms a task).
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from gristmill.corpus.errors import RecipeError
from gristmill.corpus.store import Store
from gristmill.flows.pipeline.jobs import Done, Job, Unusable, settled, try_job
from gristmill.flows.pipeline.recipe import Engine as EngineSpec


@dataclass(frozen=True, slots=True)
class Watch:
    """Hears of jobs while they run."""

    running: Callable[[Job], AbstractContextManager[None]]  # open in the thread that works; on threads alone
    done: Callable[[Done], None]


class Engine(Protocol):
    """Runs jobs, in any order, and returns their results in the order given."""

    workers: int

    def run(self, store: Store, jobs: Sequence[Job], watch: Watch) -> list[Done]:
        """Run all jobs; ``watch`` hears of each. The first failure ends the run, one of an input alone comes last."""
        ...

    def close(self) -> None:
        """Let go of the workers."""
        ...


class ThreadEngine:
    """Dask's threaded scheduler: no cluster, no start-up; kernels and Arrow release the GIL."""

    def __init__(self, workers: int):
        self.workers = workers or os.cpu_count() or 1

    def run(self, store: Store, jobs: Sequence[Job], watch: Watch) -> list[Done]:
        """Run all jobs on ``workers`` threads."""
        from dask.base import compute
        from dask.delayed import delayed
        from dask.threaded import get  # by its name "threads" Dask imports all of distributed first: 0.6 CPU seconds

        def work(job: Job) -> Done | Unusable:
            with watch.running(job):
                done = try_job(store, job)
            if isinstance(done, Done):
                watch.done(done)
            return done

        # no arguments: Dask would look for tasks of its own in every leaf of each, 18 ms for the receipts of 20 parts
        tasks = [delayed(partial(work, job), pure=False, traverse=False)() for job in jobs]
        return settled(compute(*tasks, scheduler=get, num_workers=self.workers, traverse=False))

    def close(self) -> None:
        """Nothing to let go of: Dask's thread pools end with the call."""


class ClusterEngine:
    """A running Dask cluster whose workers see the same store.

    Each future is released as soon as its receipt is here: Dask recomputes finished work of a lost worker
    while its result is held (32 executions for 24 jobs held, 25 released).
    """

    def __init__(self, address: str):
        from distributed import Client

        try:
            self._client = Client(address, timeout="10s", set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise RecipeError(f"engine.address: no Dask scheduler answers at {address}: {error}") from None
        self.workers = max(1, sum(self._client.nthreads().values()))

    def run(self, store: Store, jobs: Sequence[Job], watch: Watch) -> list[Done]:
        """Submit all jobs and gather their receipts."""
        found: dict[int, Done | Unusable] = {}
        for place, done in self._finished(store, jobs):
            found[place] = done
            if isinstance(done, Done):
                watch.done(done)
        return settled(found[place] for place in range(len(jobs)))

    def _finished(self, store: Store, jobs: Sequence[Job]) -> Iterator[tuple[int, Done | Unusable]]:
        from distributed import as_completed

        places = {self._client.submit(try_job, store, job, pure=False): place for place, job in enumerate(jobs)}
        finished = as_completed(list(places), with_results=True, loop=self._client.loop)
        for future, done in finished:  # type: ignore[misc]
            yield places.pop(future), done
            future.release()

    def close(self) -> None:
        """Disconnect; the cluster goes on."""
        self._client.close()


def open_engine(spec: EngineSpec) -> Engine:
    """The engine that the recipe names."""
    return ClusterEngine(spec.address) if spec.address else ThreadEngine(spec.workers)
