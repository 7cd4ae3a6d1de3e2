"""Which files a source consists of: folders, globs and single files, local or behind any fsspec URL.

Each file gets a digest, the part of the store key that says what went in. Nothing is parsed here but the head of a
dataset's card. What a folder holds beside its data (markers, checksums, a card) is passed over and reported.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gristmill.corpus.errors import SourceError, first_line
from gristmill.sources.catalogue import with_readers
from gristmill.sources.content import Content
from gristmill.sources.digest_cache import DigestCache
from gristmill.sources.folders import Found, digest_of, find, is_readable, is_remote, is_text, why_passed_over
from gristmill.sources.reader import Reader

COMPRESSIONS = (".gz", ".zst", ".bz2", ".xz")
_TOLD = 8  # names in one message


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a big file; see ``gristmill.sources.splitting``."""

    start: int  # bytes, or row groups
    stop: int
    before: int  # lines or rows that stand before it, which its locators count
    runs_on: bool = False  # its last record may be read beyond its end


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file of a source. ``path`` is as listed; locators and so document ids start with it."""

    path: str
    bytes: int  # on disk, packed when the file is
    digest: str  # 32 hex: xxh3-128 of the content, or of ETag and size for a remote file that has one
    format: str
    piece: Piece | None = None  # None: the whole file
    content: Content | None = field(default=None, repr=False)  # of the whole file; None: it was never listed
    place: str | None = None  # where it lies, where ``path`` is the name that it had before

    @property
    def lies_at(self) -> str:
        """Where to open it."""
        return self.place or self.path


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a source, and those that its paths match and that are no data, with the reason."""

    files: list[InputFile]
    passed_over: dict[str, str] = field(default_factory=dict)


def list_files(
    paths: Sequence[str],
    format: str | None,  # noqa: A002
    *,
    source: str,
    exclude: Sequence[str] = (),
    extra: Sequence[Reader] = (),
    digests: DigestCache | None = None,
) -> list[InputFile]:
    """The files of ``list_source``, sorted by path, each once."""
    return list_source(paths, format, source=source, exclude=exclude, extra=extra, digests=digests).files


def list_source(
    paths: Sequence[str],
    format: str | None,  # noqa: A002
    *,
    source: str,
    exclude: Sequence[str] = (),
    extra: Sequence[Reader] = (),
    digests: DigestCache | None = None,
) -> Listing:
    """The files behind ``paths``, sorted by path, each once, and what is passed over among them.

    Parameters
    ----------
    paths : files, folders (with all below, hidden ones skipped) and globs; local or s3://, https://, memory:// ...
    format : the name of a reader for every file, or None to infer it from each name
    source : name of the source, for messages
    exclude : patterns; one without a slash is compared with the name of each file and folder, one with a slash with
        the whole path
    extra : readers of plug-ins, beside the built-in ones
    digests : of earlier runs; what it knows is not read

    Raises
    ------
    SourceError : nothing matches, a file is missing or unreadable, or formats cannot be inferred (all are named)
    """
    found, passed_over = _found(paths, format, source, exclude, extra)
    if unnamed := [repr(path) for path in sorted(found) if not is_text(path)]:
        raise SourceError(
            f"sources.{source}.path: {some_names(unnamed)}: a name that is not UTF-8; rename the file, or leave it "
            f"out with sources.{source}.exclude, with ? for each such byte"
        )
    formats = _formats(found, format, source, extra)
    files = []
    for path in sorted(found):
        content = _digested(found[path], source, digests)
        files.append(InputFile(path, content.size, content.digest, formats[path], content=content))
    return Listing(files, dict(sorted(passed_over.items())))


def formats_of(paths: Sequence[str], *, source: str) -> dict[str, str | None]:
    """The format of every file behind ``paths`` by its name alone; no file is read.

    None where the name tells none or is not UTF-8, and for a pipe, a device or a link to nothing, which no reader
    opens.

    Raises
    ------
    SourceError : nothing matches
    """
    found, _ = _found(paths, None, source, (), ())
    can_be_read = {path: is_text(path) and is_readable(path) for path in sorted(found)}
    return {path: _told_by_name(path, source, ()) if fit else None for path, fit in can_be_read.items()}


def _formats(
    found: Iterable[str],
    format: str | None,  # noqa: A002
    source: str,
    extra: Sequence[Reader],
) -> dict[str, str]:
    formats = {path: format or _told_by_name(path, source, extra) for path in found}
    if unknown := [path for path, name in formats.items() if name is None]:
        raise _no_format(unknown, source, extra)
    return {path: name for path, name in formats.items() if name is not None}


def _found(
    paths: Sequence[str],
    format: str | None,  # noqa: A002
    source: str,
    exclude: Sequence[str],
    extra: Sequence[Reader],
) -> tuple[dict[str, Found], dict[str, str]]:
    found: dict[str, Found] = {}
    passed_over: dict[str, str] = {}
    for path in paths:
        try:
            matched = find(path)
            reasons = why_passed_over(matched, exclude, lambda name: bool(format) or _takes(name, extra))
        except SourceError as error:
            raise SourceError(f"sources.{source}.path: {error}") from None
        except Exception as error:  # noqa: BLE001  every fsspec backend raises its own kinds
            raise SourceError(f"sources.{source}.path: cannot list {path!r}: {_said(error)}") from None
        passed_over |= reasons
        found |= {one: info for one, info in matched.files.items() if one not in reasons}
        if not found:
            why = f"; {len(reasons)} are passed over: {some_names(sorted(reasons.values()))}" if reasons else ""
            raise SourceError(f"sources.{source}.path: no file matches {path!r} (looked from {Path.cwd().name}/){why}")
    return found, passed_over


def _digested(info: Found, source: str, digests: DigestCache | None) -> Content:
    try:
        return digest_of(info, digests)
    except SourceError as error:
        raise SourceError(f"sources.{source}.path: {error}") from None
    except Exception as error:  # noqa: BLE001  as above
        raise SourceError(f"sources.{source}.path: cannot read {info.path!r}: {_said(error)}") from None


def _takes(name: str, extra: Sequence[Reader]) -> bool:
    return _best(name, extra)[1] > 0


def _bare(path: str) -> tuple[str, str]:
    """The name of a file, and what is left of it without .gz, .zst, .bz2 or .xz."""
    name = path.rsplit("/", 1)[-1]
    name = name.split("?")[0] if is_remote(path) else name
    return name, next((name[: -len(end)] for end in COMPRESSIONS if name.lower().endswith(end)), name)


def _best(path: str, extra: Sequence[Reader]) -> tuple[Reader, int]:
    bare = _bare(path)[1]
    best = max(with_readers(extra), key=lambda reader: reader.match(bare))
    return best, best.match(bare)


def _told_by_name(path: str, source: str, extra: Sequence[Reader]) -> str | None:
    reader, matched = _best(path, extra)
    name, bare = _bare(path)
    if matched and not reader.packed and bare != name:
        raise SourceError(
            f"sources.{source}.path: unpack {path!r} first; {reader.name} files are read by seeking in them"
        )
    return reader.name if matched else None


def _no_format(unknown: Sequence[str], source: str, extra: Sequence[Reader]) -> SourceError:
    formats = ", ".join(reader.name for reader in with_readers(extra))
    names = some_names([repr(path) for path in sorted(unknown)])
    return SourceError(
        f"sources.{source}.format: cannot tell the format of {names} by name; "
        f"set one of {formats}, or leave files out with sources.{source}.exclude"
    )


def some_names(names: Sequence[str]) -> str:
    """The first few, and how many more there are."""
    return ", ".join(names[:_TOLD]) + (f" and {len(names) - _TOLD} more" if len(names) > _TOLD else "")


def infer_format(path: str, source: str, extra: Sequence[Reader] = ()) -> str:
    """The format that a file's name tells, behind .gz, .zst, .bz2 or .xz.

    >>> infer_format("crawl/a.warc.wet.gz", "web"), infer_format("src/LICENSE", "code")
    ('wet', 'text')
    """
    found = _told_by_name(path, source, extra)
    if found is None:
        raise _no_format([path], source, extra)
    return found


def _said(error: Exception) -> str:
    return first_line(error) or type(error).__name__
