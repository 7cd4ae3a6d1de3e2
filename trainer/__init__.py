"""The trainer: a compact Mixture-of-Experts language model that trains on a run directory and nothing else of the mill.

The only room that imports torch. It proves the hand-over: every row that the model consumed is written down
and can be compared with the plan.
"""

import os
import sys

from gristmill.corpus import _rooms

_rooms.check(__name__)

# oneDNN keeps a compiled kernel for every new shape, and packed documents have ever new lengths: at its default of
# 1,024 the sample's training reached 2.9 GB; it reads this once, before the first matrix product
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")

# libgomp's threads spin while they wait: two beside a busy process cost 6.6 times the CPU of one; asleep, 1.05 times.
# It reads this once, when torch loads it
_TORCH_CAME_FIRST = "torch" in sys.modules
if not _TORCH_CAME_FIRST:
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def spins() -> bool:
    """Whether torch's threads spin while they wait, because torch came first and no variable says otherwise."""
    return _TORCH_CAME_FIRST and "OMP_WAIT_POLICY" not in os.environ
