"""Which files a source consists of: folders, globs and single files, local or behind any fsspec URL.

Each file gets a digest, the part of the store key that says what went in. Nothing is parsed here.
"""

import glob
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import xxhash

from gristmill.corpus.errors import SourceError
from gristmill.corpus.files import CHUNK_BYTES
from gristmill.sources.catalogue import Reader, with_readers

COMPRESSIONS = (".gz", ".zst", ".bz2", ".xz")
_SECRET = re.compile(r"://[^/]*:[^/]*@|[?&][^=]*(signature|sig|token|secret|password|credential)=", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file of a source. ``path`` is as listed; locators and so document ids start with it."""

    path: str
    bytes: int  # on disk, packed when the file is
    digest: str  # 32 hex: xxh3-128 of the content, or of ETag and size for a remote file that has one
    format: str


def list_files(
    paths: Sequence[str],
    format: str | None,  # noqa: A002
    *,
    source: str,
    extra: Sequence[Reader] = (),
) -> list[InputFile]:
    """The files behind ``paths``, sorted by path, each once.

    Parameters
    ----------
    paths : files, folders (with all below, hidden ones skipped) and globs; local or s3://, https://, memory:// ...
    format : the name of a reader for every file, or None to infer it from each name
    source : name of the source, for messages
    extra : readers of plug-ins, beside the built-in ones

    Raises
    ------
    SourceError : nothing matches, a file is missing or unreadable, or a format cannot be inferred
    """
    found: dict[str, tuple[int, str]] = {}
    for path in paths:
        before = len(found)
        try:
            found.update(_remote_files(path) if _is_remote(path) else _local_files(path))
        except SourceError as error:
            raise SourceError(f"sources.{source}.path: {error}") from None
        except Exception as error:  # noqa: BLE001  every fsspec backend raises its own kinds
            raise SourceError(f"sources.{source}.path: cannot list {path!r}: {_first_line(error)}") from None
        if len(found) == before and not found:
            raise SourceError(f"sources.{source}.path: no file matches {path!r} (looked from {Path.cwd().name}/)")
    return [
        InputFile(path, size, digest, format or infer_format(path, source, extra))
        for path, (size, digest) in sorted(found.items())
    ]


def infer_format(path: str, source: str, extra: Sequence[Reader] = ()) -> str:
    """The format that a file's name tells, behind .gz, .zst, .bz2 or .xz.

    >>> infer_format("crawl/a.warc.wet.gz", "web"), infer_format("src/LICENSE", "code")
    ('wet', 'text')
    """
    name = path.rsplit("/", 1)[-1].split("?")[0]
    bare = next((name[: -len(end)] for end in COMPRESSIONS if name.lower().endswith(end)), name)
    known = with_readers(extra)
    found = max(known, key=lambda reader: reader.match(bare))
    if not found.match(bare):
        raise SourceError(
            f"sources.{source}.format: cannot tell the format of {path!r} from its name; "
            f"set one of {', '.join(reader.name for reader in known)}"
        )
    if not found.packed and bare != name:
        raise SourceError(
            f"sources.{source}.path: unpack {path!r} first; {found.name} files are read by seeking in them"
        )
    return found.name


def group_parts(files: Sequence[InputFile], part_bytes: int) -> list[list[InputFile]]:
    """Cut ``files``, in order, into parts; a part closes when it holds ``part_bytes`` of input or more.

    >>> [len(part) for part in group_parts([InputFile(n, 60, "", "text") for n in "abc"], 100)]
    [2, 1]
    """
    parts: list[list[InputFile]] = []
    filled = part_bytes
    for file in files:
        if filled >= part_bytes:
            parts.append([])
            filled = 0
        parts[-1].append(file)
        filled += file.bytes
    return parts


def open_binary(path: str) -> BinaryIO:
    """Open a listed file for reading, wherever it lies."""
    if not _is_remote(path):
        return Path(path).open("rb")
    import fsspec  # half a second; only remote sources pay for it

    fs, name = fsspec.url_to_fs(path)
    return fs.open(name, "rb")


def _is_remote(path: str) -> bool:
    return "://" in path and not path.startswith("file://")


def _local_files(path: str) -> Iterator[tuple[str, tuple[int, str]]]:
    path = os.path.normpath(path.removeprefix("file://"))
    matches = [path] if Path(path).exists() else glob.glob(path, recursive=True)  # noqa: PTH207  keeps paths as written
    if not matches:
        raise SourceError(f"there is no file, folder or match for {path!r}")
    for match in matches:
        for file in _walk(match) if Path(match).is_dir() else (match,):
            yield file, _local_digest(file)


def _walk(folder: str) -> Iterator[str]:
    """Files below a folder; links are followed, but no folder is entered twice."""
    seen: set[str] = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        folders[:] = [] if real in seen else sorted(name for name in folders if not name.startswith("."))
        names = [] if real in seen else names
        seen.add(real)
        yield from (os.path.normpath(f"{root}/{name}") for name in sorted(names) if not name.startswith("."))


def _local_digest(path: str) -> tuple[int, str]:
    if not Path(path).is_file():
        raise SourceError(f"{path!r} is not a regular file")
    try:
        path.encode()
        with Path(path).open("rb") as file:
            return _digest(file)
    except UnicodeEncodeError:
        raise SourceError(f"the name {path!r} is not UTF-8; rename the file") from None
    except OSError as error:
        raise SourceError(f"cannot read {path!r}: {error.strerror}") from None


def _digest(file: BinaryIO) -> tuple[int, str]:
    state, size = xxhash.xxh3_128(), 0
    while block := file.read(CHUNK_BYTES):
        state.update(block)
        size += len(block)
    return size, state.hexdigest()


def _remote_files(path: str) -> Iterator[tuple[str, tuple[int, str]]]:
    from fsspec.core import url_to_fs

    if _SECRET.search(path):
        raise SourceError("the address holds a secret, which would reach locators and cards; use the environment")
    fs, root = url_to_fs(path)
    for name, info in sorted(_remote_infos(fs, root).items()):
        if info["type"] == "file" and not _is_hidden(name, root):
            yield fs.unstrip_protocol(name), _remote_digest(fs, name, info)


def _remote_infos(fs: Any, root: str) -> dict[str, Any]:
    if "*" in root:
        return fs.glob(root, detail=True)
    try:
        info = fs.info(root)
    except FileNotFoundError:
        raise SourceError(f"there is no file or folder {fs.unstrip_protocol(root)!r}") from None
    return {root: info} if info["type"] == "file" else fs.find(root, detail=True)


def _is_hidden(name: str, root: str) -> bool:
    return any(part.startswith(".") for part in name.split("/")[root.count("/") :])


def _remote_digest(fs: Any, name: str, info: dict[str, Any]) -> tuple[int, str]:
    """Of the server's checksum and the size; of the content where the server has no checksum."""
    keys = (key for key in ("ETag", "etag", "md5Hash", "checksum", "content_md5") if info.get(key))
    tag = next((str(info[key]) for key in keys), None)
    if tag is None or info.get("size") is None:
        with fs.open(name, "rb") as file:
            return _digest(file)
    return info["size"], xxhash.xxh3_128_hexdigest(f"{tag}\x1f{info['size']}".encode())


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
