"""Weights on a disk that has no room for them: an error of the system with its number, as for every other file."""

import errno
import resource

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from gristmill.corpus.disk import disk_problem
from gristmill.trainer import weight_files
from gristmill.trainer.weight_files import write_weights

WEIGHTS = {"layer": torch.arange(4096.0).reshape(64, 64).T}


def test_weights_are_read_as_they_were_written(tmp_path):
    write_weights(tmp_path / "weights", WEIGHTS, {"format": "pt"})
    assert torch.equal(load_file(tmp_path / "weights")["layer"], WEIGHTS["layer"])


def test_a_file_that_may_not_grow_is_an_error_of_the_system(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="too large") as found:
            write_weights(tmp_path / "weights", WEIGHTS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert found.value.errno == errno.EFBIG
    assert disk_problem(found.value).startswith(f"{tmp_path / 'weights'}: ")


def test_any_other_error_of_the_library_stays_what_it_is(tmp_path, monkeypatch):
    def fail(*_):
        raise SafetensorError("a tensor of no kind")

    monkeypatch.setattr(weight_files, "save_file", fail)
    with pytest.raises(SafetensorError, match="of no kind"):
        write_weights(tmp_path / "weights", WEIGHTS)
