"""Where numba keeps compiled kernels: in a folder named by all that decides them, and by nothing else.

numba's own index knows a function by the path of its file and the content of that one file. A change in an imported
kernel would leave a stale caller behind (seen: a caller went on returning 22 instead of 2002), and a copy of the house,
a wheel or a container would compile everything again (90 CPU seconds for the sample). Here the folder carries a digest
over every kernel source, numba, llvmlite, the CPU and the options of the compiler; files in it are named by place in
the house. ``_kernel_cache`` is numba's side of it, loaded when numba is.
"""

import hashlib
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from functools import lru_cache
from pathlib import Path

from gristmill.corpus._rooms import HOUSE, ROOMS

# options of numba that change the code it makes
OPTIONS = ("BOUNDSCHECK", "OPT", "ENABLE_AVX", "LOOP_VECTORIZE", "SLP_VECTORIZE", "DEBUGINFO_DEFAULT", "DISABLE_JIT")


@dataclass(frozen=True, slots=True)
class Machine:
    """What compiles kernels, and for which CPU."""

    python: str
    numba: str
    llvmlite: str
    cpu: str  # LLVM's name of it
    features: str  # as LLVM lists them
    options: tuple[str, ...]


def kernel_sources() -> list[Path]:
    """Every ``_kernels*.py`` and ``_unicode*.py`` of the house, sorted by path."""
    found = [path for room in ROOMS for path in (HOUSE / room).rglob("_*.py")]
    return sorted(path for path in found if path.name.startswith(("_kernels", "_unicode")))


def sources_digest() -> str:
    """16 hex characters over names and bytes of all kernel sources, wherever the house stands."""
    digest = hashlib.blake2b(digest_size=8)
    for path in kernel_sources():
        content = path.read_bytes()
        digest.update(f"{path.relative_to(HOUSE).as_posix()}\n{len(content)}\n".encode() + content)
    return digest.hexdigest()


def this_machine() -> Machine:
    """Versions, CPU and options of this process; numba has been imported."""
    import llvmlite
    import numba
    from llvmlite import binding
    from numba.core import config

    cpu, features = config.CPU_NAME, config.CPU_FEATURES  # set by NUMBA_CPU_NAME, NUMBA_CPU_FEATURES
    return Machine(
        python=sys.implementation.cache_tag or "",
        numba=numba.__version__,
        llvmlite=llvmlite.__version__,
        cpu=cpu or binding.get_host_cpu_name(),
        features=binding.get_host_cpu_features().flatten() if features is None else features,
        options=tuple(f"{name}={getattr(config, name, None)}" for name in OPTIONS),
    )


def cache_name(sources: str, machine: Machine) -> str:
    """Name of the folder that kernels of these sources, compiled by this machine, are kept in."""
    return hashlib.blake2b(repr((sources, astuple(machine))).encode(), digest_size=8).hexdigest()


@lru_cache(maxsize=1)
def cache_folder() -> Path | None:
    """The folder of this process, made when missing; None where nothing can be written. numba has been imported."""
    name = cache_name(sources_digest(), this_machine())
    return next((root / name for root in _roots() if _writable(root / name)), None)


def _roots() -> Sequence[Path]:
    """Where caches may lie: what the user chose, else the user's cache, else a folder of one's own among temporary."""
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        return (Path(chosen),)
    home = os.environ.get("XDG_CACHE_HOME") or (os.environ.get("HOME") and Path(os.environ["HOME"], ".cache"))
    own = Path(tempfile.gettempdir(), f"gristmill-{os.getuid()}", "numba")
    return (*([Path(home, "gristmill", "numba")] if home else []), *([own] if _is_private(own.parent) else []))


def _is_private(folder: Path) -> bool:
    """A folder that no other user can have filled: what numba loads from it is run."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder.stat().st_uid == os.getuid() and not folder.stat().st_mode & 0o022
    except OSError:
        return False


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True
