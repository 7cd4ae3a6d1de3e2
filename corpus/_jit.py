"""Where numba keeps compiled kernels.

numba's own cache key covers only the file of the cached function, so a change in an imported kernel
would leave a stale caller behind (seen: a caller went on returning 22 instead of 2002). The folder
therefore carries a hash of every kernel source in the house.
"""

import hashlib
import os
import sys
from pathlib import Path

from gristmill.corpus._rooms import HOUSE, ROOMS


def kernel_sources() -> list[Path]:
    """Every ``_kernels*.py`` and ``_unicode*.py`` of the house, sorted by path."""
    found = [path for room in ROOMS for path in (HOUSE / room).rglob("_*.py")]
    return sorted(path for path in found if path.name.startswith(("_kernels", "_unicode")))


def kernels_digest() -> str:
    """16 hex characters over names and bytes of all kernel sources."""
    digest = hashlib.blake2b(digest_size=8)
    for path in kernel_sources():
        digest.update(path.relative_to(HOUSE).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def use_versioned_cache() -> None:
    """Set NUMBA_CACHE_DIR, unless the user has chosen one."""
    if "NUMBA_CACHE_DIR" in os.environ:
        return
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    os.environ["NUMBA_CACHE_DIR"] = str(home / "gristmill" / "numba" / kernels_digest())
    if "numba" in sys.modules:  # numba reads the variable when it is imported
        sys.modules["numba"].config.CACHE_DIR = os.environ["NUMBA_CACHE_DIR"]
