"""A run in an object store (moto on loopback): the same batches through a bounded folder, damage never handed out."""

import pickle
import socket

import numpy as np
import pytest
from pyarrow import fs
from torch.utils.data import DataLoader

from gristmill.handoff.failures import StoreError
from gristmill.handoff.loader import Loader
from gristmill.handoff.remote_run import RemoteRun, _with_endpoint
from gristmill.handoff.torch import PlannedBatches


@pytest.fixture(scope="module")
def bucket(written):
    """The run in a bucket, and its address."""
    from moto.server import ThreadedMotoServer

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    patch = pytest.MonkeyPatch()
    for name, value in (("ACCESS_KEY_ID", "k"), ("SECRET_ACCESS_KEY", "s"), ("DEFAULT_REGION", "us-east-1")):
        patch.setenv(f"AWS_{name}", value)
    patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    store = fs.S3FileSystem(allow_bucket_creation=True, endpoint_override=f"127.0.0.1:{port}", scheme="http")
    store.create_dir("rows")
    fs.copy_files(str(written[0]), "rows/run", destination_filesystem=store)
    yield "s3://rows/run", store
    patch.undo()
    server.stop()


def batches(run, **places):
    return list(Loader(run, batch_rows=8, **places))


def same(one, other):
    pairs = zip(one, other, strict=True)
    return all(np.array_equal(a.tokens, b.tokens) and np.array_equal(a.digest, b.digest) for a, b in pairs)


def held(run):
    return list(run.folder.glob("shards/*/*.arrow"))


@pytest.mark.parametrize("max_bytes", [1 << 30, 12_000, 1])
def test_batches_are_those_of_the_folder_whatever_the_bound(bucket, written, tmp_path, max_bytes):
    run = RemoteRun(bucket[0], tmp_path, max_bytes)
    assert same(batches(run), batches(written[0]))
    largest = max(path.stat().st_size for path in (written[0] / "shards").rglob("*.arrow"))
    assert sum(path.stat().st_size for path in held(run)) <= max(max_bytes, largest)
    assert not list(run.folder.rglob(".*"))
    assert same(batches(run, rank=1, world=3, cursor=16), batches(written[0], rank=1, world=3, cursor=16))


def test_what_was_fetched_is_not_fetched_again(bucket, written, tmp_path, monkeypatch):
    batches(RemoteRun(bucket[0], tmp_path))
    again = RemoteRun(bucket[0], tmp_path)
    monkeypatch.setattr(RemoteRun, "_fetch", lambda *_: pytest.fail("fetched"))
    assert same(batches(again), batches(written[0]))


@pytest.mark.parametrize("fault", ["flipped", "cut", "swapped", "missing"])
def test_a_fault_in_the_store_is_named_before_a_batch_leaves(bucket, written, tmp_path, fault):
    address, store = bucket
    name = "shards/web/" + sorted(path.name for path in (written[0] / "shards/web").glob("*.arrow"))[1]
    whole = (written[0] / name).read_bytes()
    other = sorted((written[0] / "shards/web").glob("*.arrow"))[2].read_bytes()
    bad = {"flipped": whole[:900] + bytes([whole[900] ^ 1]) + whole[901:], "cut": whole[:-8], "swapped": other}.get(
        fault
    )
    try:
        if bad is None:
            store.delete_file(f"rows/run/{name}")
        else:
            with store.open_output_stream(f"rows/run/{name}") as file:
                file.write(bad)
        with pytest.raises(StoreError, match=rf"web/{name.rpartition('/')[2]}"):
            batches(RemoteRun(address, tmp_path))
    finally:
        with store.open_output_stream(f"rows/run/{name}") as file:
            file.write(whole)


def test_a_damaged_copy_on_this_machine_is_fetched_again(bucket, written, tmp_path):
    run = RemoteRun(bucket[0], tmp_path)
    batches(run)
    for path in held(run):
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert same(batches(RemoteRun(bucket[0], tmp_path)), batches(written[0]))


@pytest.mark.parametrize("workers", [0, 2])
def test_worker_processes_share_the_folder(bucket, written, tmp_path, workers):
    data = PlannedBatches(RemoteRun(bucket[0], tmp_path, 12_000), batch_rows=40)
    context = "fork" if workers else None  # the harder way: a connection does not outlive a fork
    found = list(DataLoader(data, batch_size=None, num_workers=workers, multiprocessing_context=context))
    expected = list(PlannedBatches(written[0], batch_rows=40))
    assert all((one["input_ids"] == other["input_ids"]).all() for one, other in zip(found, expected, strict=True))


def test_another_process_opens_its_own_connection(bucket, tmp_path):
    copy = pickle.loads(pickle.dumps(RemoteRun(bucket[0], tmp_path)))
    assert copy._store is None
    assert copy.sizes("web")


@pytest.mark.parametrize("address", ["s3://rows/none", "s3://nowhere/run", "gopher://x/y"])
def test_no_run_at_an_address_is_one_sentence(bucket, tmp_path, address):
    with pytest.raises(StoreError, match=address):
        RemoteRun(address, tmp_path)


def test_an_address_without_a_place_for_shards_is_refused():
    with pytest.raises(StoreError, match=r"read it through RemoteRun"):
        Loader("s3://rows/run", batch_rows=8)


@pytest.mark.parametrize(
    ("endpoint", "address", "asked"),
    [
        ("", "s3://b/run", "s3://b/run"),
        ("http://127.0.0.1:9000/", "s3://b/run", "s3://b/run?endpoint_override=127.0.0.1%3A9000&scheme=http"),
        ("minio.example", "s3://b/run", "s3://b/run?endpoint_override=minio.example&scheme=https"),
        ("http://127.0.0.1:9000", "file:///b/run", "file:///b/run"),
    ],
)
def test_the_endpoint_of_the_environment_is_for_s3_alone(monkeypatch, endpoint, address, asked):
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    assert _with_endpoint(address) == asked


def test_two_runs_in_one_folder_keep_apart(bucket, written, tmp_path):
    other = RemoteRun(written[0].as_uri(), tmp_path)
    assert other.folder != RemoteRun(bucket[0], tmp_path).folder
    assert same(batches(other), batches(written[0]))


def test_what_another_process_removed_is_let_go_and_fetched_again(bucket, written, tmp_path):
    run = RemoteRun(bucket[0], tmp_path)
    loader = Loader(run, batch_rows=8)
    start, first = loader.state, list(loader)
    for path in held(run):
        path.unlink()
    run._make_room(0)
    assert not run._release
    assert all(shard is None for reader in loader._readers for shard in reader._shards)
    loader.resume(start)
    assert same(list(loader), first)
    assert held(run)
