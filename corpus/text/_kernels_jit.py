"""How kernels of this room are compiled: cached, without the GIL, without reference counts.

The kernels allocate nothing, so counting references to their arrays is waste: it took a fifth of the time (measured).
``_nrt=False`` leaves it out, and makes the compiler refuse a kernel that would allocate.
"""

from numba import njit

_OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy", "_nrt": False}
kernel = njit(**_OPTIONS)
leaf = njit(**_OPTIONS, inline="always")  # for what runs once a word or a character
