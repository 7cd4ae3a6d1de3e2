"""The store on an S3 where three of ten requests fail, half of them after they were carried out: nothing is lost."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # for bench.flaky_s3

from bench import flaky_s3
from gristmill.corpus.receipt import Outcome
from gristmill.corpus.remote import RemoteStore

PARTS = 2


@pytest.fixture(scope="module")
def address():
    with flaky_s3.serving(1) as url:
        yield url


def make(text):
    def work(folder):
        (folder / "data").write_text(text)
        return Outcome(1, {}, {})

    return work


@pytest.mark.filterwarnings("ignore")  # boto and moto warn about each other's futures
def test_every_part_is_there_once_and_whole(address, tmp_path):
    options = {"key": "k", "secret": "s", "endpoint_url": address}
    flaky_s3.set_errors(address, 0.3)
    one = RemoteStore(f"s3://{flaky_s3.BUCKET}/store", tmp_path / "one", **options)
    made = [one.produce("stage", f"key{n}", make(f"text {n}"))[0] for n in range(PARTS)]
    other = RemoteStore(f"s3://{flaky_s3.BUCKET}/store", tmp_path / "other", **options)
    found = [other.find("stage", f"key{n}") for n in range(PARTS)]
    texts = [(other.folder(receipt) / "data").read_text() for receipt in found]
    requests, failures = flaky_s3.set_errors(address, 0.0)
    assert found == made
    assert texts == [f"text {n}" for n in range(PARTS)]
    assert 0 < failures < requests
    assert sorted(one._fs.find(f"{flaky_s3.BUCKET}/store")) == sorted(
        f"{flaky_s3.BUCKET}/store/stage/key{n}/{name}" for n in range(PARTS) for name in ("data", "receipt.json")
    )
