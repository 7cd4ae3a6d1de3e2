"""The store on S3 (moto on loopback): data first, receipt last, a cache that is checked."""

import pytest

from gristmill.corpus.errors import StoreError
from gristmill.corpus.receipt import Outcome
from gristmill.corpus.remote import RemoteStore, open_store
from gristmill.corpus.store import LocalStore


@pytest.fixture(scope="module")
def bucket():
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    options = {"key": "k", "secret": "s", "endpoint_url": f"http://127.0.0.1:{port}"}
    import s3fs

    s3fs.S3FileSystem(**options, skip_instance_cache=True).mkdir("mill")
    yield options
    server.stop()


def make(folder):
    (folder / "data").write_text("text")
    return Outcome(1, {}, {"n": 1})


@pytest.mark.filterwarnings("ignore")  # boto and moto warn about each other's futures
def test_a_part_goes_there_and_comes_back(bucket, tmp_path):
    one = RemoteStore("s3://mill/store", tmp_path / "one", **bucket)
    receipt, reused = one.produce("stage", "key", make)
    assert not reused
    other = RemoteStore("s3://mill/store", tmp_path / "other", **bucket)
    found, reused = other.produce("stage", "key", make)
    assert reused
    assert found == receipt
    assert (other.folder(found) / "data").read_text() == "text"


@pytest.mark.filterwarnings("ignore")
def test_data_without_receipt_is_no_part(bucket, tmp_path):
    store = RemoteStore("s3://mill/half", tmp_path / "cache", **bucket)
    store._fs.pipe_file("mill/half/stage/key/data", b"half")
    assert store.find("stage", "key") is None
    receipt, reused = store.produce("stage", "key", make)
    assert not reused
    assert receipt.files[0].bytes == 4


@pytest.mark.filterwarnings("ignore")
def test_a_second_receipt_is_refused_by_the_service(bucket, tmp_path):
    store = RemoteStore("s3://mill/twice", tmp_path / "cache", **bucket)
    store._put_receipt("stage", "key", b"first")
    store._put_receipt("stage", "key", b"second")
    assert store._fs.cat_file("mill/twice/stage/key/receipt.json") == b"first"


@pytest.mark.filterwarnings("ignore")
def test_damaged_data_is_not_fetched(bucket, tmp_path):
    one = RemoteStore("s3://mill/bad", tmp_path / "one", **bucket)
    receipt, _ = one.produce("stage", "key", make)
    one._fs.pipe_file("mill/bad/stage/key/data", b"tex?")
    other = RemoteStore("s3://mill/bad", tmp_path / "other", **bucket)
    with pytest.raises(StoreError, match="data is not what its receipt says"):
        other.folder(receipt)


def test_open_store_chooses_by_protocol(tmp_path):
    assert isinstance(open_store(str(tmp_path), tmp_path), LocalStore)
    assert isinstance(open_store(f"file://{tmp_path}", tmp_path), LocalStore)
    assert isinstance(open_store("memory://mill", tmp_path), RemoteStore)
