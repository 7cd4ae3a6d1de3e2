"""A run in an object store, read through a bounded folder on this machine: whole shards, checked as they arrive.

Plan and indexes are fetched when the run is opened. A shard is fetched when a row of it is asked for, which is a window
ahead of the steps (``gristmill.handoff.loader``); the one fetched longest ago makes room. Whole shards, since a plan
draws rows from all over a shard: at 16,384 rows each a window asks for most record batches of most shards.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pyarrow as pa
import xxhash
from pyarrow import fs

from gristmill.handoff.asides import END, beside, sweep
from gristmill.handoff.durable import file_sha256
from gristmill.handoff.failures import StoreError
from gristmill.handoff.shards import INDEX

CHUNK_BYTES = 8 << 20
TRIES = 3


class RemoteRun:
    """A run directory at an address of ``pyarrow.fs``: s3://bucket/run, gs://, or file:///path.

    Credentials and region come from the environment; ``AWS_ENDPOINT_URL`` names another store than Amazon's. Processes
    of one machine may share ``cache``: they take shards that another has fetched, and the bound holds for all of them.

    Parameters
    ----------
    address : of the run directory
    cache : folder on this machine; kept, so that a second pass or another process reads from it
    max_bytes : of shards in ``cache``; a shard that is larger is fetched all the same, and alone

    Raises
    ------
    StoreError : the store cannot be reached, or has no plan at the address
    """

    def __init__(self, address: str, cache: Path, max_bytes: int = 64 << 30):
        self.address, self.max_bytes = address.rstrip("/"), max_bytes
        self.folder = cache / xxhash.xxh3_64_hexdigest(self.address.encode())
        self._process, self._store = -1, None
        self._release: dict[Path, Callable[[], None]] = {}  # of shards that this process has mapped
        for name in self._plan_files():
            self._fetch(name, None)

    def __getstate__(self) -> Mapping[str, Any]:
        """Without the connection: another process makes its own."""
        return {**self.__dict__, "_process": -1, "_store": None, "_release": {}}

    def _open(self) -> tuple[fs.FileSystem, str]:
        if self._store is None or self._process != os.getpid():
            try:
                self._store = fs.FileSystem.from_uri(_with_endpoint(self.address))
            except (pa.ArrowException, OSError, ValueError) as error:
                raise StoreError(f"cannot open {self.address}: {error}") from None
            self._process = os.getpid()
        return self._store

    def _plan_files(self) -> Iterator[str]:
        """Plan, and the index of every domain."""
        store, root = self._open()
        try:
            found = store.get_file_info(fs.FileSelector(f"{root}/plan"))
            yield from (f"plan/{one.base_name}" for one in found if one.type == fs.FileType.File)
            found = store.get_file_info(fs.FileSelector(f"{root}/shards"))
            yield from (f"shards/{one.base_name}/{INDEX}" for one in found if one.type == fs.FileType.Directory)
        except (pa.ArrowException, OSError) as error:
            raise StoreError(f"{self.address} holds no plan and shards: {error}") from None

    def sizes(self, domain: str) -> dict[str, int]:
        """Bytes of every file of a domain's shards in the store."""
        store, root = self._open()
        try:
            return {one.base_name: one.size for one in store.get_file_info(fs.FileSelector(f"{root}/shards/{domain}"))}
        except (pa.ArrowException, OSError) as error:
            raise StoreError(f"cannot list {self.address}/shards/{domain}: {error}") from None

    def shard(self, domain: str, entry: Mapping[str, Any], release: Callable[[], None]) -> None:
        """See to it that a shard stands in ``folder``, whole and as its index says.

        Parameters
        ----------
        entry : name, bytes and sha256, as index.json lists them
        release : called when the file has been removed, so that the reader that has it mapped lets it go

        Raises
        ------
        StoreError : it cannot be fetched, or is not what was written; names the address
        """
        name = f"shards/{domain}/{entry['name']}"
        path = self.folder / name
        if not (path.is_file() and path.stat().st_size == entry["bytes"] and file_sha256(path) == entry["sha256"]):
            self._make_room(entry["bytes"])
            if not any(self._fetch(name, entry["sha256"]) for _ in range(TRIES)):
                raise StoreError(f"{self.address}/{name} is not what its index says; write the run again")
        self._release[path] = release

    def _fetch(self, name: str, sha256: str | None) -> bool:
        """Copy one file; False, with nothing left behind, where it has another digest."""
        store, root = self._open()
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        try:
            with store.open_input_stream(f"{root}/{name}") as source, beside(path) as target:
                while block := source.read(CHUNK_BYTES):
                    digest.update(block)
                    target.write(block)
                target.flush()
                if sha256 is None or digest.hexdigest() == sha256:
                    Path(target.name).replace(path)
                    return True
        except (pa.ArrowException, OSError) as error:
            raise StoreError(f"cannot fetch {self.address}/{name} to {self.folder}: {error}") from None
        return False

    def _make_room(self, n_bytes: int) -> None:
        """Remove shards, the one fetched longest ago first, until ``n_bytes`` more fit."""
        sweep(self.folder.glob(f"shards/*/.*{END}"))
        found = sorted(self._shards_held())
        held = sum(size for _, size, _ in found)
        for _, size, path in found:
            if held + n_bytes <= self.max_bytes:
                break
            path.unlink(missing_ok=True)
            held -= size
        for path in [path for path in self._release if not path.exists()]:  # another process may have removed it
            self._release.pop(path)()

    def _shards_held(self) -> Iterator[tuple[int, int, Path]]:
        """When each was fetched (ns), its bytes, its file."""
        for path in self.folder.glob("shards/*/[!.]*"):
            try:
                if path.name != INDEX:
                    yield path.stat().st_mtime_ns, path.stat().st_size, path
            except FileNotFoundError:  # another process makes room
                continue


def _with_endpoint(address: str) -> str:
    """An address on S3 with the endpoint of the environment, which pyarrow 26 does not look at."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if not endpoint or not address.startswith("s3://"):
        return address
    scheme, _, host = endpoint.rpartition("://")
    return f"{address}?{urlencode({'endpoint_override': host.rstrip('/'), 'scheme': scheme or 'https'})}"


RunFolder = Path | str | RemoteRun


def local_copy(run: RunFolder) -> tuple[Path, RemoteRun | None]:
    """The folder to read, and the remote run that fills it, if it is one.

    Raises
    ------
    StoreError : an address where a folder is expected: shards need a place on this machine
    """
    if isinstance(run, RemoteRun):
        return run.folder, run
    if "://" in str(run):
        raise StoreError(
            f"{run} is an address; read it through RemoteRun({str(run)!r}, cache=Path(...), max_bytes=...)"
        )
    return Path(run), None
