"""The arrays that kernels need for one document and use again for the next, allocated once a batch."""

from collections import namedtuple

import numpy as np

from gristmill.filters.signals._kernels_chars import CLASSES, N_POINTS
from gristmill.filters.signals._kernels_lines import N_FOUND
from gristmill.filters.signals._kernels_repetition import table_size
from gristmill.filters.signals._kernels_words import LENGTHS

Scratch = namedtuple(  # arrays one document needs, used again by the next
    "Scratch",
    "starts ends hashes polynomial char_sums places slots table phrases keys key_chars "
    "counts of_point classes points class_counts lengths found copies top dup facts",
)


def make_scratch(capacity: int) -> Scratch:
    """Scratch for documents of up to ``capacity`` words. Pages are mapped only where a document reaches."""
    words = {name: np.empty(capacity, np.int64) for name in ("starts", "ends", "phrases", "key_chars")}
    words |= {name: np.empty(capacity, np.uint64) for name in ("hashes", "keys")}
    words |= {name: np.empty(capacity, np.uint32) for name in ("places", "slots", "points")}
    return Scratch(
        **words,
        polynomial=np.empty(capacity + 1, np.uint64),
        char_sums=np.empty(capacity + 1, np.int64),
        table=np.empty(table_size(capacity), np.uint64),
        counts=np.empty((4, 256), np.int32),
        of_point=np.zeros(N_POINTS, np.int32),
        classes=np.empty(256, np.int64),
        class_counts=np.empty(len(CLASSES), np.int64),
        lengths=np.empty(LENGTHS, np.int32),
        found=np.empty(N_FOUND, np.int64),
        copies=np.empty((3, 4), np.int64),
        top=np.empty((3, 3)),
        dup=np.empty((3, 6)),
        facts=np.empty(4, np.int64),
    )
