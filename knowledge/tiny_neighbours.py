"""Drawing the neighbours of one entity, so that the kernel is compiled before a run needs it."""

import numpy as np


def draw() -> None:
    """Draw from one triple, with arrays of the types that ``neighbourhoods`` hands over."""
    from gristmill.knowledge._kernels_neighbours import draw_neighbours

    one, none, ends = np.zeros(1, np.int64), np.empty(0, np.int32), np.zeros(2, np.int64)
    names = (np.zeros(2, np.uint64), np.zeros(2, np.uint64))
    head = (np.array([0, 1, 1]), np.zeros(1, np.int32), np.ones(1, np.int32))
    tail = (np.array([0, 0, 1]), np.zeros(1, np.int32), np.zeros(1, np.int32))
    asked = (ends, np.empty(0, np.int64), np.zeros(1, np.int64), none)
    draw_neighbours(one, one, names[0][:1], asked, head, tail, names, np.empty((1, 2, 2), np.int32), one.copy(), ends)
