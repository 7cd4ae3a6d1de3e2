"""Devices by the names that torch gives them: is it a name (without torch), and does this machine have it?

A recipe's mistake is reported before anything is loaded, a device that is not there before anything is milled.
"""

import re
from typing import Any

from gristmill.corpus.errors import TrainError

# torch.device takes these and no other; most need a build of torch that has them
TYPES = ("cpu", "cuda", "mps", "xpu", "hpu", "mtia", "maia", "xla", "vulkan", "privateuseone", "meta", "lazy")
TYPES += ("ipu", "mkldnn", "opengl", "opencl", "ideep", "hip", "ve", "fpga")
_NAME = re.compile(r"([a-z]+)(?::(0|[1-9][0-9]{0,2}))?")
LARGEST_INDEX = 127  # torch keeps it in eight bits, with a sign


def is_device(name: str) -> bool:
    """Whether torch can read ``name``; whether this machine has such a device, training finds out.

    >>> is_device("cuda:1"), is_device("gpu"), is_device("cuda:")
    (True, False, False)
    """
    found = _NAME.fullmatch(name)
    return bool(found) and found[1] in TYPES and int(found[2] or 0) <= LARGEST_INDEX


def expect_trainable(options: Any) -> None:
    """Refuse a ``trainer.stage.Trainer`` that cannot run on this machine, before the hours of the stages that it reads.

    torch is loaded for any device but the CPU, which is everywhere.
    """
    if options.device.partition(":")[0] != "cpu":
        expect_device(options.device)


def expect_device(name: str) -> None:
    """Refuse a device that this machine, or this build of torch, cannot compute on.

    Raises
    ------
    TrainError : names the key and the devices that are here
    """
    import torch

    try:
        works = torch.ones(2, device=name).sum().item() == 2
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # what torch raises differs by device
        works, why = False, str(error).partition("\n")[0]
    else:
        why = "it computes nothing"
    if not works:
        here = ", ".join(["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))])
        raise TrainError(f"trainer.device is {name!r}, which this machine does not have: {why}. It has {here}")
