"""Finding files: what a path matches, which of it is no data, and digests; local or behind any fsspec URL."""

import glob
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, BinaryIO

import xxhash

from gristmill.corpus.errors import SourceError
from gristmill.corpus.files import CHUNK_BYTES
from gristmill.sources.content import Content, content_of
from gristmill.sources.dataset_card import IS_CARD, data_patterns
from gristmill.sources.digest_cache import DigestCache

_SECRET = re.compile(r"://[^/]*:[^/]*@|[?&][^=]*(signature|sig|token|secret|password|credential)=", re.IGNORECASE)
_MAGIC = re.compile(r"[*?\[]")
_MARKERS = re.compile(r"_SUCCESS|_(common_)?metadata|_(started|committed)_.*|Thumbs\.db|desktop\.ini", re.IGNORECASE)
_CHECKSUMS = (".crc", ".md5", ".sha1", ".sha256", ".sha512", ".asc", ".sig")
_JUNK_FOLDERS = frozenset({"_temporary", "_delta_log", "__MACOSX", "__pycache__"})
_TABLES = re.compile(r".*\.(jsonl|ndjson|json|parquet|csv|tsv|arrow)(\.(gz|zst|bz2|xz))?", re.IGNORECASE)
_ABOUT_TABLES = re.compile(
    r"(README|LICEN[CS]E|COPYING|NOTICE|CHANGELOG|CITATION|ATTRIBUTION)([-_.].*)?"
    r"|dataset_infos?\.json|dataset_dict\.json|state\.json|croissant\.json",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Found:
    """One file that a path matches; ``info`` is what a remote file system says of it."""

    path: str
    info: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Matched:
    """What one path matches. ``folder`` is set when it is a folder, read with all below."""

    files: dict[str, Found] = field(default_factory=dict)
    folder: str | None = None
    is_one: bool = False  # a file named in full


def find(path: str) -> Matched:
    """The files behind one path of a recipe; SourceError when there are none."""
    return _find_remote(path) if is_remote(path) else _find_local(path)


def why_passed_over(matched: Matched, exclude: Sequence[str], takes: Callable[[str], bool]) -> dict[str, str]:
    """The reason by path, for the files that are no data or that the recipe leaves out.

    ``takes`` says whether a reader knows a file by its name. A file named in full is always data.
    """
    reasons = {path: "excluded" for path in matched.files if _is_excluded(path, matched.folder, exclude)}
    if matched.is_one:
        return reasons
    for path in matched.files:
        if path not in reasons and _is_marker(path, takes):
            reasons[path] = "a marker or a checksum"
    if matched.folder is not None:
        left = [path for path in matched.files if path not in reasons]
        reasons |= _beside_tables(left, matched.folder)
    return reasons


def _is_excluded(path: str, folder: str | None, exclude: Sequence[str]) -> bool:
    below = path.removeprefix(folder or "").lstrip("/")
    return any(
        fnmatchcase(path, pattern) or fnmatchcase(below, pattern) or fnmatchcase(path, pattern.rstrip("/") + "/*")
        if "/" in pattern
        else any(fnmatchcase(name, pattern) for name in below.split("/"))
        for pattern in exclude
    )


def _is_marker(path: str, takes: Callable[[str], bool]) -> bool:
    name = path.rsplit("/", 1)[-1]
    if _MARKERS.fullmatch(name) or name.lower().endswith(_CHECKSUMS):
        return True
    return name.startswith("_") and not takes(name)


def _beside_tables(paths: list[str], folder: str) -> dict[str, str]:
    """A folder of tables is data by its card, if it has one; README, licence and the like are about it."""
    names = {path: path.rsplit("/", 1)[-1] for path in paths}
    about = dict.fromkeys(path for path in paths if _ABOUT_TABLES.fullmatch(names[path]))
    tables = [path for path in paths if path not in about and _TABLES.fullmatch(names[path])]
    card = next((path for path in about if path == f"{folder.rstrip('/')}/{IS_CARD}"), None)
    patterns = data_patterns(_head(card), folder) if card else None
    if patterns is not None:
        wanted = {path for path in paths if any(_matches(path, folder, pattern) for pattern in patterns)}
        if not wanted:
            raise SourceError(f"{card} names data files {', '.join(patterns)}, and no file is of that name")
        return {path: f"not among the data files of {IS_CARD}" for path in paths if path not in wanted}
    if tables and len(tables) + len(about) == len(paths):
        return dict.fromkeys(about, "about the tables beside it")
    return {}


def _matches(path: str, folder: str, pattern: str) -> bool:
    below = path.removeprefix(folder).lstrip("/")
    return fnmatchcase(below, pattern) or fnmatchcase(below, pattern.replace("**/", ""))


def _head(path: str) -> str:
    with open_binary(path) as file:
        return file.read(CHUNK_BYTES).decode(errors="replace")


def open_binary(path: str) -> BinaryIO:
    """Open a listed file for reading, wherever it lies."""
    if not is_remote(path):
        return Path(path).open("rb")
    import fsspec  # half a second; only remote sources pay for it

    fs, name = fsspec.url_to_fs(path)
    return fs.open(name, "rb")


def is_remote(path: str) -> bool:
    """True for an address that fsspec opens."""
    return "://" in path and not path.startswith("file://")


def is_readable(path: str) -> bool:
    """False for a local pipe, device or link to nothing: it may never end, or cannot be opened.

    >>> is_readable("/dev/zero")
    False
    """
    return is_remote(path) or Path(path.removeprefix("file://")).is_file()


def is_text(path: str) -> bool:
    r"""False for a name whose bytes are not UTF-8: locators, and with them ids and tables, are text.

    >>> is_text("caf\u00e9.txt"), is_text(os.fsdecode(b"caf\xe9.txt"))
    (True, False)
    """
    return path.isprintable() or path.encode(errors="replace").decode() == path


def _find_local(path: str) -> Matched:
    path = os.path.normpath(path.removeprefix("file://"))
    if Path(path).is_dir():
        return Matched({file: Found(file) for file in _walk(path)}, path)
    if Path(path).exists():
        return Matched({path: Found(path)}, is_one=True)
    matches = glob.glob(_literal_start(path), recursive=True)  # noqa: PTH207  keeps paths as written
    matches = [match for match in matches if _JUNK_FOLDERS.isdisjoint(match.split("/"))]
    if not matches:
        looked = "" if Path(path).is_absolute() else f" (looked from {Path.cwd().name}/)"
        raise SourceError(f"there is no file, folder or match for {path!r}{looked}")
    files = (file for match in matches for file in (_walk(match) if Path(match).is_dir() else (match,)))
    return Matched({file: Found(file) for file in files})


def _literal_start(pattern: str) -> str:
    """The pattern with the folders that are there by that very name taken as they are: "data[1]/*.jsonl"."""
    parts = pattern.split("/")
    for count in range(len(parts) - 1, 0, -1):
        start = "/".join(parts[:count])
        if start and Path(start).is_dir():
            return "/".join([glob.escape(start), *parts[count:]])
    return pattern


def _walk(folder: str) -> Iterator[str]:
    """Files below a folder; links are followed, but no folder is entered twice."""
    seen: set[str] = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        kept = sorted(name for name in folders if not name.startswith(".") and name not in _JUNK_FOLDERS)
        folders[:] = [] if real in seen else kept
        names = [] if real in seen else names
        seen.add(real)
        yield from (os.path.normpath(f"{root}/{name}") for name in sorted(names) if not name.startswith("."))


def digest_of(found: Found, digests: DigestCache | None = None) -> Content:
    """Size, digest and digests of blocks of a file; SourceError when it cannot be read.

    ``digests`` may know a local one.
    """
    if found.info is not None:
        return _remote_content(found.path, found.info)
    path = found.path
    if not is_readable(path):
        raise SourceError(f"{path!r} is not a regular file; leave it out with exclude")
    try:
        return _read(path) if digests is None else digests.content(Path(path))
    except OSError as error:
        raise SourceError(f"cannot read {path!r}: {error.strerror}") from None


def _read(path: str) -> Content:
    with Path(path).open("rb") as file:
        return content_of(file)


def _find_remote(path: str) -> Matched:
    from fsspec.core import url_to_fs

    if _SECRET.search(path):
        raise SourceError("the address holds a secret, which would reach locators and cards; use the environment")
    fs, root = url_to_fs(path)
    infos, is_folder, is_one = _remote_infos(fs, root)
    files = {
        fs.unstrip_protocol(name): Found(fs.unstrip_protocol(name), info)
        for name, info in sorted(infos.items())
        if info["type"] == "file" and not _is_hidden(name, root)
    }
    return Matched(files, fs.unstrip_protocol(root) if is_folder else None, is_one)


def _remote_infos(fs: Any, root: str) -> tuple[dict[str, Any], bool, bool]:
    """What is there by that very name (a folder with all below), else what the pattern matches."""
    try:
        info = fs.info(root)
    except FileNotFoundError:
        if not _MAGIC.search(root):
            raise SourceError(f"there is no file or folder {fs.unstrip_protocol(root)!r}") from None
        return fs.glob(root, detail=True), False, False
    if info["type"] == "file":
        return {root: info}, False, True
    return fs.find(root, detail=True), True, False


def _is_hidden(name: str, root: str) -> bool:
    below = name.split("/")[root.count("/") :]
    return any(part.startswith(".") or part in _JUNK_FOLDERS for part in below)


def server_content(path: str) -> Content:
    """What an object store answers for a file now, whatever it answered before."""
    import fsspec

    fs, name = fsspec.url_to_fs(path)
    fs.invalidate_cache(name)
    return _remote_content(path, fs.info(name))


def _remote_content(path: str, info: dict[str, Any]) -> Content:
    """Of the server's checksum and the size; of the content where the server has no checksum."""
    keys = (key for key in ("ETag", "etag", "md5Hash", "checksum", "content_md5") if info.get(key))
    tag = next((str(info[key]) for key in keys), None)
    if tag is None or info.get("size") is None:
        with open_binary(path) as file:
            return content_of(file)
    digest = xxhash.xxh3_128_hexdigest(f"{tag}\x1f{info['size']}".encode())
    return Content(info["size"], digest, by_server=True)
