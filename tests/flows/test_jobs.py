"""Jobs and engines: same receipts on threads and on a cluster, also when a worker is killed."""

import os
import signal
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import pytest

from gristmill.corpus.errors import RecipeError, SourceError
from gristmill.corpus.receipt import Outcome
from gristmill.corpus.store import LocalStore
from gristmill.flows.pipeline.engine import ClusterEngine, ThreadEngine, Watch, open_engine
from gristmill.flows.pipeline.jobs import Job, Ref, job_key, resolve, run_job
from gristmill.flows.pipeline.recipe import Engine as EngineSpec

UNHEARD = Watch(nullcontext, lambda done: None)


def write(text: str, folder: Path, seconds: float = 0.0) -> Outcome:
    time.sleep(seconds)
    (folder / "data").write_text(text)
    return Outcome(len(text))


def refuse(folder: Path) -> Outcome:
    raise SourceError("this input is not good")


def test_keys_depend_on_everything_and_on_nothing_else():
    key = job_key("write", "1", ["a"], bound=1)
    assert key == job_key("write", "1", ["a"], bound=1)
    others = [("read", "1", ["a"], 1), ("write", "2", ["a"], 1), ("write", "1", ["b"], 1), ("write", "1", ["a"], 2)]
    assert key not in {job_key(stage, version, inputs, bound=bound) for stage, version, inputs, bound in others}


def test_results_come_in_the_order_of_the_jobs(tmp_path):
    heard = []
    watch = Watch(nullcontext, heard.append)
    planned = [Job("write", f"k{n}", write, {"text": "x" * n, "seconds": 0.02 * (4 - n)}) for n in range(5)]
    done = ThreadEngine(3).run(LocalStore(tmp_path), planned, watch)
    assert [result.receipt.rows for result in done] == [0, 1, 2, 3, 4]
    assert len(heard) == 5
    again = ThreadEngine(1).run(LocalStore(tmp_path), planned, watch)
    assert all(result.reused for result in again)


def test_a_users_error_comes_through(tmp_path):
    with pytest.raises(SourceError, match="this input is not good"):
        ThreadEngine(2).run(LocalStore(tmp_path), [Job("refuse", "k", refuse)], UNHEARD)


def test_refs_become_paths_also_inside_tuples(tmp_path):
    store = LocalStore(tmp_path)
    receipt = run_job(store, Job("write", "k", write, {"text": "abc"})).receipt
    found = resolve(store, [(Ref(receipt, "data"), 5), "plain"])
    assert found == [(tmp_path / "write" / "k" / "data", 5), "plain"]


class Named(NamedTuple):
    file: object
    number: int


def test_refs_become_paths_in_named_tuples_which_keep_their_names(tmp_path):
    store = LocalStore(tmp_path)
    receipt = run_job(store, Job("write", "k", write, {"text": "abc"})).receipt
    found = resolve(store, {"one": Named([Ref(receipt, "data")], 5)})["one"]
    assert (found.file, found.number) == ([tmp_path / "write" / "k" / "data"], 5)


def test_the_recipe_chooses_the_engine():
    assert isinstance(open_engine(EngineSpec(workers=2)), ThreadEngine)
    assert open_engine(EngineSpec()).workers == os.cpu_count()


@pytest.mark.filterwarnings("ignore")  # distributed warns about its own shutdown
def test_no_cluster_at_that_address():
    with pytest.raises(RecipeError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:1"):
        open_engine(EngineSpec(address="tcp://127.0.0.1:1"))


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_gives_the_same_and_survives_a_killed_worker(tmp_path):
    import cloudpickle
    from distributed import LocalCluster

    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import a test module
    planned = [Job("write", f"k{n}", write, {"text": "x" * n, "seconds": 0.15}) for n in range(12)]
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as cluster:
        engine = ClusterEngine(cluster.scheduler_address)
        victims = [worker.pid for worker in cluster.workers.values()][:1]

        def kill_one(done) -> None:
            while victims:
                os.kill(victims.pop(), signal.SIGKILL)

        done = engine.run(LocalStore(tmp_path / "cluster"), planned, Watch(nullcontext, kill_one))
        engine.close()
    here = ThreadEngine(2).run(LocalStore(tmp_path / "threads"), planned, UNHEARD)
    assert [result.receipt for result in done] == [result.receipt for result in here]
