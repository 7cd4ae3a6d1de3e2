"""Which sources a path makes: files that are read in one way are one source, so a mixed folder is several.

What no reader knows by its name is left out, by a pattern that the recipe shows.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from glob import escape
from itertools import takewhile

from gristmill.corpus.errors import SourceError
from gristmill.sources.guessed_keys import guessed_keys
from gristmill.sources.listing import COMPRESSIONS, formats_of, some_names
from gristmill.sources.read import OF_RECORDS

MAX_LOOKED_AT = 64  # files whose first records are read; the others take the keys of those with the same ending
Way = tuple[str, tuple[tuple[str, str], ...]]  # the format and the keys that a file is read with


@dataclass(frozen=True, slots=True)
class FoundSource:
    """One source of the recipe: its files by format, and the keys that it needs beside name, path and domain."""

    name: str
    path: str | tuple[str, ...]
    files: dict[str, int]
    keys: dict[str, str]
    exclude: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Found:
    """The sources of one path, and the files that no reader knows."""

    sources: list[FoundSource]
    left_out: list[str]


def found_sources(path: str, taken: set[str]) -> Found:
    """The sources of one path, with names that are not ``taken``.

    Raises
    ------
    SourceError : the path matches nothing, or no file whose format a name tells
    """
    formats = formats_of([path], source=slug(_stem(path)))
    left_out = [file for file, name in formats.items() if name is None]
    if len(left_out) == len(formats):
        names = some_names([repr(one) for one in left_out])
        raise SourceError(
            f"{path!r}: no reader knows {names} by name; `gristmill readers` lists what is read. "
            "Unpack archives, and convert other formats to text, HTML or JSON Lines"
        )
    ways = _by_way({file: name for file, name in formats.items() if name is not None})
    if len(ways) == 1:
        ((format_, keys), files), *_ = ways.items()
        name = _free(slug(_stem(path)), taken)
        return Found([FoundSource(name, path, {format_: len(files)}, dict(keys), _patterns(left_out, files))], left_out)
    found: list[FoundSource] = []
    for (format_, keys), files in ways.items():
        name = _free(_name(path, files, format_), taken | {one.name for one in found})
        found.append(FoundSource(name, _paths(files), {format_: len(files)}, dict(keys)))
    return Found(found, left_out)


def _name(path: str, files: Sequence[str], format_: str) -> str:
    """That of the file, or of the folder that holds all files; with the format where that is the whole path."""
    if len(files) == 1:
        return slug(_stem(files[0]))
    folder = _folder(files)
    return slug(f"{_stem(path)}-{format_}") if _stem(folder) == _stem(path) else slug(_stem(folder))


def _by_way(formats: Mapping[str, str]) -> dict[Way, list[str]]:
    """The files by format and keys, in the order of their names."""
    looked: dict[tuple[str, str], tuple[tuple[str, str], ...]] = {}
    ways: dict[Way, list[str]] = {}
    for number, (file, format_) in enumerate(formats.items()):
        alike = (format_, _ending(file))
        if alike not in looked or (number < MAX_LOOKED_AT and format_ in (*OF_RECORDS, "text")):
            looked[alike] = tuple(guessed_keys(file, format_).items())
        ways.setdefault((format_, looked[alike]), []).append(file)
    return ways


def _paths(files: Sequence[str]) -> str | tuple[str, ...]:
    """A pattern for each ending below their folder, where these match the files and no other; else the files."""
    if len(files) == 1:
        return files[0]
    folder = _folder(files)
    patterns = tuple(f"{folder}**/*{ending}" for ending in sorted({_ending(file) for file in files}))
    matched = [] if any(one.endswith("*") for one in patterns) else list(formats_of(patterns, source="x"))
    paths = patterns if matched == list(files) else tuple(files)
    return paths[0] if len(paths) == 1 else paths


def _folder(files: Sequence[str]) -> str:
    """The folder that holds all files, as it is written, with a slash behind; empty for the working directory.

    >>> _folder(["s3://lake/in/a.csv", "s3://lake/in/b/c.csv"]), _folder(["a.csv", "b.csv"]), _folder(["/a", "/b"])
    ('s3://lake/in/', '', '/')
    """
    first, last = (one.split("/")[:-1] for one in (min(files), max(files)))
    shared = [one for one, _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))]
    return "".join(f"{one}/" for one in shared)


def _patterns(left_out: Iterable[str], files: Sequence[str]) -> tuple[str, ...]:
    r"""What leaves these out: by their ending where no file that is read has it, else by name or path.

    A byte that is not UTF-8 is a question mark: a recipe could not hold it.

    >>> _patterns(["in/a.pdf", "in/b.pdf", "in/MAP", "in/pipe.csv", "in/caf\udce9.csv"], ["in/a.csv"])
    ('*.pdf', 'MAP', 'in/caf?.csv', 'in/pipe.csv')
    """
    read = {_ending(file) for file in files}
    named = {file: _ending(file) for file in left_out}
    patterns = (
        escape(file) if ending in read else f"*{ending}" if ending else escape(file.rsplit("/", 1)[-1])
        for file, ending in named.items()
    )
    return tuple(sorted({one.encode(errors="replace").decode() for one in patterns}))


def _ending(file: str) -> str:
    """The last part of a name, with that of a packed file.

    >>> _ending("in/a.jsonl.gz"), _ending("in/CC-MAIN-2024.01.warc"), _ending("in/LICENSE")
    ('.jsonl.gz', '.warc', '')
    """
    name = file.rsplit("/", 1)[-1]
    packed = next((end for end in COMPRESSIONS if name.lower().endswith(end)), "")
    bare = name.removesuffix(name[len(name) - len(packed) :]) if packed else name
    return (f".{bare.rsplit('.', 1)[1]}" if "." in bare.lstrip(".") else "") + name[len(bare) :]


def _stem(path: str) -> str:
    """The first part of a path's last name, or of the folder that a pattern stands in.

    >>> _stem("crawl/*.warc.gz"), _stem("in/sw.csv"), _stem("s3://bucket/books/")
    ('crawl', 'sw', 'books')
    """
    names = [one for one in path.split("/") if one not in ("", ".", "..")]
    plain = [one for one in names if not set("*?[") & set(one)]
    last = plain[-1] if plain else "texts"
    return last.split(".")[0] if plain and last == names[-1] else last


def slug(text: str) -> str:
    """A name that a recipe takes.

    >>> slug("My Crawl (2)")
    'my-crawl-2'
    """
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:48] or "texts"


def _free(name: str, taken: set[str]) -> str:
    return next(one for one in _numbered(name) if one not in taken)


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 1
    while True:
        number += 1
        yield f"{name}-{number}"
