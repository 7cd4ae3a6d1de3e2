"""The formats that gristmill reads itself. Each fills the part column by column, without an object a record."""

from gristmill.sources.reader import Reader

_CODE = (
    "asm bash c cc clj cpp cs css cu dart erl ex fs go h hpp hs java jl js jsx kt lean lisp lua m ml mjs nim pas php pl"
    " pm ps1 py r rb rs scala scss sh sql swift tcl ts tsx vb vim zig"
)
_PROSE = "txt text md markdown rst tex org adoc srt po toml yaml yml ini cfg"
_TEXT_SUFFIXES = tuple(f".{suffix}" for suffix in (_CODE + " " + _PROSE).split())
_TEXT_NAMES = (
    r"(LICEN[CS]E|COPYING|COPYRIGHT|NOTICE|README|AUTHORS|CONTRIBUTORS|CHANGES|CHANGELOG|NEWS|TODO|INSTALL|HISTORY"
    r"|MAKEFILE|DOCKERFILE)([-_.].*)?"
)


_SPLITTING = "gristmill.sources.splitting"


def _built_in(name: str, suffixes: tuple[str, ...], module: str = "", version: str = "1", **more: str | bool) -> Reader:
    read = f"gristmill.sources.{module or name}:read"
    return Reader(name, suffixes, version, read, fills_part=True, **more)  # pyright: ignore[reportArgumentType]


READERS = (
    _built_in("jsonl", (".jsonl", ".ndjson", ".json"), version="2", split=f"{_SPLITTING}:at_lines"),
    _built_in("parquet", (".parquet",), packed=False, split=f"{_SPLITTING}:at_row_groups"),
    _built_in("csv", (".csv", ".tsv"), "csv_rows", version="2"),
    _built_in("text", _TEXT_SUFFIXES, "plain_text", names=_TEXT_NAMES),
    _built_in("html", (".html", ".htm", ".xhtml")),
    _built_in("warc", (".warc",), split=f"{_SPLITTING}:at_records"),
    _built_in("wet", (".wet",), "warc", split=f"{_SPLITTING}:at_records"),
    _built_in("arrow", (".arrow", ".feather"), packed=False),
)
