"""Readers as data: light to import, one new file each, and plug-ins that meet the laws of every format."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from gristmill.corpus.errors import SourceError
from gristmill.sources import catalogue
from gristmill.sources import readers as folder_of_readers
from gristmill.sources.catalogue import Reader, find_reader, load_function, reader_names, readers, with_readers
from gristmill.sources.listing import infer_format, list_files

STANZAS = '''
from gristmill.sources.catalogue import Reader, Record, Reject

def read(file, source, limits):
    """Texts between blank lines; a line of # is a reject."""
    with file.open() as stream:
        for stanza in stream.read(limits.record_bytes).decode().split("\\n\\n"):
            if stanza.startswith("#"):
                yield Reject("comment", "a comment", len(stanza), stanza.encode())
            else:
                yield Record(stanza, id=stanza[:1], metadata={"url": "u", "n": len(stanza)})

READERS = (Reader("stanzas", (".stanza",), "1", "%s:read"),)
'''


def plug_in(folder, body, name="mine", **more):
    path = folder / f"{name}_plug_in.py"
    path.write_text("from gristmill.sources.catalogue import Record, Reject\n" + body)
    return Reader(name, (f".{name}",), "1", f"{path}:read", **more)


def test_the_catalogue_imports_no_library():
    heavy = [
        "numba",
        "pyarrow",
        "numpy",
        "fastwarc",
        "resiliparse",
        "fsspec",
        "torch",
        "polars",
        "pydantic",
        "zstandard",
    ]
    code = (
        "import sys; from gristmill.sources.catalogue import reader_names; reader_names();"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_reader_has_a_function_and_its_own_suffixes():
    for reader in readers():
        assert callable(load_function(reader))
        for end in reader.suffixes:
            assert infer_format(f"folder/name{end}", "s") == reader.name


def test_a_new_file_in_the_folder_is_a_new_reader(tmp_path, read, monkeypatch):
    (tmp_path / "code").mkdir()
    (tmp_path / "code/stanzas.py").write_text(STANZAS % (tmp_path / "code/stanzas.py"))
    monkeypatch.setattr(folder_of_readers, "__path__", [*folder_of_readers.__path__, str(tmp_path / "code")])
    readers.cache_clear()
    try:
        assert "stanzas" in reader_names()
        (tmp_path / "a.stanza").write_text("one\n\n# two\n\nthre\u0301e")
        result = read(tmp_path / "a.stanza")
    finally:
        readers.cache_clear()
    assert result.texts == ["one", "thrée"]
    assert [locator.rsplit("#")[-1] for locator in result.locators] == ["0", "2"]
    assert list(result.reasons.values()) == ["comment"]
    assert result.column("url") == ["u", "u"]
    assert json.loads(result.column("meta")[0]) == {"id": "o", "n": 3}


def test_plug_ins_meet_the_laws_of_every_format(tmp_path, read):
    body = """
def read(file, source, limits):
    yield Record("e\\u0301", metadata={"lang": "", "license": "MIT"})
    yield Record("")
    yield Record("a\\0b")
    yield Record("x" * 101)
    yield Record("\\ud800")
    yield Record("same", id="7")
    yield Record("same", id="7", n_bytes=90)
"""
    (tmp_path / "a.mine").write_bytes(b"?")
    result = read(
        tmp_path / "a.mine", extra=[plug_in(tmp_path, body)], document_bytes=100, lang="fr", license="CC0-1.0"
    )
    assert result.texts == ["é", "same", "same"]
    assert result.column("lang") == ["fr"] * 3
    assert result.column("license") == ["MIT", "CC0-1.0", "CC0-1.0"]
    assert result.outcome.facts["rejects"] == {
        "document_too_large": 1, "empty_text": 1, "lone_surrogate": 1, "nul_character": 1
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("def read(file, source, limits):\n    raise KeyError('gone')", "raised KeyError"),
        ("def read(file, source, limits):\n    yield Record('a')\n    raise OSError('late')", "raised OSError: late"),
        ("def read(file, source, limits):\n    yield 'text'", "yields str, not Record or Reject"),
        ("def read(file, source, limits):\n    yield None", "yields NoneType"),
        ("def read(file, source, limits):\n    return 7", "raised TypeError"),
        ("def read(file):\n    yield Record('a')", "raised TypeError"),
        ("def read(file, source, limits):\n    yield Record(b'a')", "a text of type bytes"),
        ("def read(file, source, limits):\n    yield Record('a', metadata=[1])", "metadata"),
        ("def read(file, source, limits):\n    yield Record('a', metadata={1: 2})", "metadata"),
        ("def read(file, source, limits):\n    yield Record('a', n_bytes=-1)", "-1 bytes"),
        ("def read(file, source, limits):\n    yield Reject('Not a slug')", "'Not a slug', not a slug"),
        ("def read(file, source, limits):\n    yield Reject(None)", "None, not a slug"),
        ("def read(file, source, limits):\n    yield Reject('x', head='text')", "head str"),
        ("read = 7", "is no function"),
        ("def other(): pass", "cannot import"),
        ("import no_such_module_at_all", "cannot import"),
        ("raise SystemError('at import')", "cannot import"),
    ],
)
def test_a_broken_plug_in_is_one_error_that_names_it(tmp_path, read, body, said):
    (tmp_path / "a.mine").write_bytes(b"?")
    with pytest.raises(SourceError, match=f"reader 'mine'.*{said}"):
        read(tmp_path / "a.mine", extra=[plug_in(tmp_path, body)])
    catalogue._load_file.cache_clear()


def test_a_plug_in_cannot_hide_a_damaged_archive(tmp_path, read):
    body = "def read(file, source, limits):\n    for line in file.open():\n        yield Record(line.decode())"
    data = gzip.compress(b"".join(b"%d\n" % (i * 7919) for i in range(9000)))
    (tmp_path / "a.mine.gz").write_bytes(data[: len(data) // 2])
    result = read(tmp_path / "a.mine.gz", extra=[plug_in(tmp_path, body)])
    assert list(result.reasons.values()) == ["truncated_archive"]
    assert len(result.texts) > 1000


def test_the_example_of_the_documentation_runs(tmp_path, read):
    page = Path("docs/concepts/sources.md").read_text()
    code = page.split("```python\n")[1].split("```")[0]
    (tmp_path / "stanzas.py").write_text(code.replace("my_package.stanzas", str(tmp_path / "stanzas.py")))
    names = {}
    exec((tmp_path / "stanzas.py").read_text(), names)
    (tmp_path / "a.stanza").write_text("one\n\ntwo\n\n \n\nthree")
    result = read(tmp_path / "a.stanza", extra=names["READERS"])
    assert result.texts == ["one", "two", "three"]
    assert result.column("lang") == ["en"] * 3
    assert list(result.reasons.values()) == ["blank_line"]


def test_two_readers_never_share_a_name_or_a_suffix():
    for other in (Reader("jsonl", (), "1", "m:f"), Reader("mine", (".py",), "1", "m:f")):
        with pytest.raises(SourceError, match="both claim"):
            with_readers([other])


@pytest.mark.parametrize(
    "fields",
    [("My Reader", (), "1", "m:f"), ("a", ("txt",), "1", "m:f"), ("a", (".TXT",), "1", "m:f"), ("a", (), "1", "mf")],
)
def test_a_reader_that_cannot_be_is_refused(fields):
    with pytest.raises(SourceError, match="reader '"):
        Reader(*fields)


def test_the_longest_suffix_tells_the_format(tmp_path):
    mine = Reader("mine", (".notes.txt",), "1", "m:f", packed=False)
    assert infer_format("a.notes.txt", "s", [mine]) == "mine"
    assert infer_format("notes.txt", "s", [mine]) == "text"
    with pytest.raises(SourceError, match="unpack"):
        infer_format("a.notes.txt.gz", "s", [mine])
    (tmp_path / "a.notes.txt").write_text("x")
    assert list_files([str(tmp_path)], None, source="s", extra=[mine])[0].format == "mine"
    with pytest.raises(SourceError, match="did you mean 'mine'"):
        find_reader("mina", "s", [mine])
