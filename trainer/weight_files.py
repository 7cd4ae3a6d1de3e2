"""Writing weights: safetensors files, whole on the disk, and a full disk is the error that every other file gives."""

import re
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from gristmill.corpus.files import fsync_path

_NUMBER = re.compile(r"\(os error (\d+)\)")  # as Rust's standard library ends a message of the system


def write_weights(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write tensors, from whatever device they are on, and flush the file.

    Raises
    ------
    OSError : with the number of the system; the library has a kind of its own
    """
    try:
        save_file({name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}, path, metadata)
    except SafetensorError as error:
        found = _NUMBER.search(str(error))
        if found is None:
            raise
        number = int(found[1])
        raise OSError(number, str(error).removesuffix(found[0]).strip(), str(path)) from None
    fsync_path(path)
