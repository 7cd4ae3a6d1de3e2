"""Names of devices as torch reads them, without torch: a recipe's mistake is reported before anything is loaded."""

import re

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
