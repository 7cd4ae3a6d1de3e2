"""Floor 0: what every room shares and nothing else: schema, store, recipe, ledger, text kernels, errors.

Importing any room imports this package first; it refuses a room under a second name
(``_rooms``) and points numba at a cache that no stale kernel can survive in (``_jit``).
"""

from gristmill.corpus import _numba_hook, _rooms

_rooms.check(__name__)
_numba_hook.use_kernel_cache()
