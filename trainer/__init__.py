"""The trainer: a compact Mixture-of-Experts language model that trains on a run directory and nothing else of the mill.

The only room that imports torch. It proves the hand-over: every row that the model consumed is written down
and can be compared with the plan.
"""

import os

from gristmill.corpus import _rooms

_rooms.check(__name__)

# oneDNN keeps a compiled kernel for every new shape, and packed documents have ever new lengths: at its default of
# 1,024 the sample's training reached 2.9 GB; it reads this once, before the first matrix product
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
