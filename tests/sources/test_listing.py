"""Which files a source has, in which order, under which format, in which parts."""

import os

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.errors import SourceError
from gristmill.sources.listing import InputFile, infer_format, list_files, list_source
from gristmill.sources.splitting import group_parts


@pytest.fixture
def tree(tmp_path, monkeypatch):
    for name in ("b/two.txt", "a/one.jsonl", "a/deep/three.jsonl.gz", ".hidden/x.txt", "a/.secret.txt", "b/LICENSE"):
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "tree"


def paths(files):
    return [file.path for file in files]


def test_a_folder_is_walked_sorted_without_hidden_files(tree):
    found = list_files(["tree"], None, source="s")
    assert paths(found) == ["tree/a/deep/three.jsonl.gz", "tree/a/one.jsonl", "tree/b/LICENSE", "tree/b/two.txt"]
    assert [file.format for file in found] == ["jsonl", "jsonl", "text", "text"]


def test_a_file_reached_twice_is_listed_once(tree):
    found = list_files(
        ["tree/a/one.jsonl", "tree/a/*", "./tree/a/../a/one.jsonl", "tree/**/one.jsonl"], None, source="s"
    )
    assert paths(found) == ["tree/a/deep/three.jsonl.gz", "tree/a/one.jsonl"]


def test_the_digest_is_of_the_content_alone(tree):
    (tree / "b/copy.txt").write_text("b/two.txt")
    copy, two = list_files(["tree/b/*.txt"], None, source="s")
    assert copy.digest == two.digest
    assert len(two.digest) == 32
    assert two.bytes == 9
    (tree / "b/two.txt").write_text("b/tw0.txt")
    assert list_files(["tree/b/two.txt"], None, source="s")[0].digest != two.digest


def test_a_given_format_holds_for_every_file(tree):
    assert {file.format for file in list_files(["tree"], "text", source="s")} == {"text"}


@pytest.mark.parametrize("path", ["missing.txt", "tree/*.parquet", "nothing/**/x"])
def test_nothing_found_names_the_key(tree, path):
    with pytest.raises(SourceError, match=r"sources\.web\.path: .*" + path[:6].replace("*", r"\*")):
        list_files([path], None, source="web")


def test_an_empty_folder_is_a_mistake(tree):
    (tree / "empty").mkdir()
    with pytest.raises(SourceError, match=r"sources\.web\.path: no file matches"):
        list_files(["tree/empty"], None, source="web")


def test_one_missing_path_of_several_is_a_mistake(tree):
    with pytest.raises(SourceError, match="gone"):
        list_files(["tree", "gone"], None, source="web")


def test_a_link_to_a_folder_above_ends(tree):
    (tree / "a/up").symlink_to(tree)
    assert len(list_files(["tree"], None, source="s")) == 4


def test_a_pipe_is_refused(tree):
    os.mkfifo(tree / "pipe.txt")
    with pytest.raises(SourceError, match="not a regular file"):
        list_files(["tree"], None, source="s")


def test_names_that_are_not_utf8_are_refused_together_and_can_be_left_out(tree):
    (tree / os.fsdecode(b"caf\xe9.txt")).write_text("x")
    (tree / os.fsdecode(b"\xff.txt")).write_text("x")
    with pytest.raises(SourceError, match=r"dcff.txt'.*udce9.txt'|udce9.txt'.*udcff.txt'.* not UTF-8.*exclude"):
        list_files(["tree"], None, source="s")
    assert len(list_files(["tree"], None, source="s", exclude=["caf?.txt", "?.txt"])) == 4


def test_a_name_with_glob_characters_is_found(tree):
    (tree / "a[1].txt").write_text("x")
    assert paths(list_files(["tree/a[1].txt"], None, source="s")) == ["tree/a[1].txt"]


@pytest.mark.parametrize(
    ("name", "format_"),
    [
        ("a.jsonl", "jsonl"), ("a.NDJSON.ZST", "jsonl"), ("a.json.bz2", "jsonl"), ("a.parquet", "parquet"),
        ("a.csv.xz", "csv"), ("a.tsv", "csv"), ("a.md", "text"), ("src/a.py", "text"), ("a.mjs.gz", "text"),
        ("COPYING", "text"), ("LICENSE-APACHE", "text"), ("a.html", "html"), ("a.htm.gz", "html"),
        ("CC-MAIN.warc.gz", "warc"), ("CC-MAIN.warc.wet.gz", "wet"), ("a.wet", "wet"), ("a.arrow", "arrow"),
        ("a.feather", "arrow"), ("https://x.org/a.warc.gz?v=1", "warc"),
    ],
)  # fmt: skip
def test_formats_are_told_by_name(name, format_):
    assert infer_format(name, "s") == format_


@pytest.mark.parametrize("name", ["a.bin", "data", "a.gz", "a.warc.wat.gz", "a.parquet.gz"])
def test_other_names_say_which_key_to_set(name):
    with pytest.raises(SourceError, match=r"sources\.web\.(format|path)"):
        infer_format(name, "web")


@given(st.lists(st.integers(0, 50)), st.integers(1, 60))
def test_parts_hold_every_file_in_order(sizes, part_bytes):
    files = [InputFile(str(i), size, "", "text") for i, size in enumerate(sizes)]
    parts = group_parts(files, part_bytes)
    assert [file for part in parts for file in part] == files
    assert all(parts)
    for part in parts:
        assert sum(file.bytes for file in part[:-1]) < part_bytes
    assert all(sum(file.bytes for file in part) >= part_bytes for part in parts[:-1])


@pytest.fixture
def memory():
    fs = fsspec.filesystem("memory")
    yield fs
    fs.store.clear()
    fs.pseudo_dirs[:] = [""]


def test_remote_folders_globs_and_files(memory):
    for name in ("/web/b.txt", "/web/a/c.txt", "/web/.hidden/d.txt", "/web/e.jsonl"):
        memory.pipe(name, name.encode())
    everything = list_files(["memory://web"], None, source="s")
    assert paths(everything) == ["memory:///web/a/c.txt", "memory:///web/b.txt", "memory:///web/e.jsonl"]
    assert paths(list_files(["memory://web/*.txt"], None, source="s")) == ["memory:///web/b.txt"]
    assert list_files(["memory://web/b.txt"], None, source="s") == everything[1:2]


def test_remote_and_local_content_have_one_digest_where_the_server_tells_none(memory, tmp_path):
    memory.pipe("/a.txt", b"same")
    (tmp_path / "a.txt").write_bytes(b"same")
    (remote,) = list_files(["memory://a.txt"], None, source="s")
    (local,) = list_files([str(tmp_path / "a.txt")], None, source="s")
    assert (remote.digest, remote.bytes) == (local.digest, local.bytes)


@pytest.mark.parametrize("path", ["memory://nope.txt", "memory://nope/*.txt", "nosuchscheme://a/b.txt"])
def test_remote_mistakes_are_one_message(memory, path):
    with pytest.raises(SourceError, match=r"sources\.web\.path"):
        list_files([path], None, source="web")


@pytest.mark.parametrize(
    "path", ["https://me:pw@host/a.txt", "https://host/a.txt?X-Amz-Signature=12", "https://h/a?token=1"]
)
def test_secrets_in_addresses_are_refused(path):
    with pytest.raises(SourceError, match="secret") as caught:
        list_files([path], None, source="web")
    assert path not in str(caught.value)


def write(root, *names, text="x"):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def names(found, root):
    return [os.path.relpath(file.path, root) for file in found.files]


def test_markers_and_checksums_stop_nothing(tmp_path):
    write(
        tmp_path, "part-0.parquet", "part-0.parquet.crc", "_SUCCESS", "_committed_17", "_metadata", "_delta_log/0.json"
    )
    write(tmp_path, "a.jsonl.sha256", "sub/_temporary/0/b.jsonl", "__init__.py")
    found = list_source([str(tmp_path)], None, source="s")
    assert names(found, tmp_path) == ["__init__.py", "part-0.parquet"]
    assert len(found.passed_over) == 5
    assert names(list_source([f"{tmp_path}/*"], None, source="s"), tmp_path) == ["__init__.py", "part-0.parquet"]
    given = list_source([str(tmp_path)], "text", source="s")
    assert names(given, tmp_path) == ["__init__.py", "part-0.parquet"]
    assert list_files([f"{tmp_path}/_metadata"], "parquet", source="s")  # named in full


def test_only_markers_say_so(tmp_path):
    write(tmp_path, "_SUCCESS")
    with pytest.raises(SourceError, match=r"no file matches .* 1 are passed over: a marker"):
        list_files([str(tmp_path)], None, source="s")


def test_all_unknown_names_are_told_at_once(tmp_path):
    write(tmp_path, "a.txt", *(f"{i}.bin" for i in range(20)))
    with pytest.raises(SourceError, match=r"0\.bin.*1\.bin.*and 12 more.*sources\.s\.exclude"):
        list_files([str(tmp_path)], None, source="s")


@pytest.mark.parametrize(
    ("exclude", "left"),
    [
        (["*.bin"], ["a/one.txt", "a/two.md", "b/one.txt"]),
        (["*.bin", "one.txt"], ["a/two.md"]),
        (["*.bin", "a"], ["b/one.txt"]),
        (["*.bin", "a/*"], ["b/one.txt"]),
        (["a/one.txt", "*/x.bin"], ["a/two.md", "b/one.txt"]),
    ],
)
def test_exclude(tmp_path, exclude, left):
    write(tmp_path, "a/one.txt", "a/two.md", "b/one.txt", "b/x.bin")
    found = list_source([str(tmp_path)], None, source="s", exclude=exclude)
    assert names(found, tmp_path) == left
    assert set(found.passed_over.values()) == {"excluded"}


def test_exclude_holds_for_patterns_and_files(tmp_path):
    write(tmp_path, "a.txt", "b.txt")
    assert names(list_source([f"{tmp_path}/*.txt"], None, source="s", exclude=["b.*"]), tmp_path) == ["a.txt"]
    with pytest.raises(SourceError, match="excluded"):
        list_files([f"{tmp_path}/b.txt"], None, source="s", exclude=["b.*"])


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("data[1]/*.txt", ["data[1]/a.txt", "data[1]/b*.txt"]),
        ("data[1]", ["data[1]/a.txt", "data[1]/b*.txt"]),
        ("data[1]/b*.txt", ["data[1]/b*.txt"]),
        ("q?.txt", ["q?.txt"]),
        ("data[0-9]/*.txt", ["data1/c.txt"]),
    ],
)
def test_glob_characters_in_real_names(tmp_path, path, found):
    write(tmp_path, "data[1]/a.txt", "data[1]/b*.txt", "data1/c.txt", "q?.txt")
    assert names(list_source([f"{tmp_path}/{path}"], None, source="s"), tmp_path) == found


def test_remote_glob_characters(memory):
    for name in ("/w/a[1].txt", "/w/b1.txt", "/w/_SUCCESS"):
        memory.pipe(name, b"x")
    assert paths(list_files(["memory://w/a[1].txt"], None, source="s")) == ["memory:///w/a[1].txt"]
    assert paths(list_files(["memory://w/b?.txt"], None, source="s")) == ["memory:///w/b1.txt"]
    assert len(list_files(["memory://w"], None, source="s", exclude=["b1.txt"])) == 1


CARD = """---
license: mit
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-*
  - split: test
    path:
    - data/test-0.parquet
- config_name: other
  data_files: other/*.jsonl
---
# A data set
"""


def test_a_dataset_folder_is_read_by_its_card(tmp_path):
    write(tmp_path, "data/train-0.parquet", "data/train-1.parquet", "data/test-0.parquet", "other/o.jsonl", "LICENSE")
    write(tmp_path, "README.md", text=CARD)
    found = list_source([str(tmp_path)], None, source="s")
    assert names(found, tmp_path) == ["data/test-0.parquet", "data/train-0.parquet", "data/train-1.parquet"]
    assert len(found.passed_over) == 3
    write(tmp_path, "README.md", text=CARD.replace("default", "third"))
    with pytest.raises(SourceError, match="configurations third, other"):
        list_files([str(tmp_path)], None, source="s")
    write(tmp_path, "README.md", text=CARD.replace("data/t", "gone/t"))
    with pytest.raises(SourceError, match=r"names data files gone/train-\*"):
        list_files([str(tmp_path)], None, source="s")


def test_a_remote_dataset_folder_too(memory):
    for name in ("/d/README.md", "/d/data/train-0.parquet", "/d/data/test-0.parquet", "/d/other/o.jsonl"):
        memory.pipe(name, CARD.encode())
    assert len(list_files(["memory://d"], None, source="s")) == 2


@pytest.mark.parametrize("card", ["# plain", "---\nlicense: mit\n---\n", "---\n: [broken\n---\n", "---\nno end"])
def test_what_is_about_tables_is_no_document(tmp_path, card):
    write(tmp_path, "a.arrow", "LICENSE.txt", "dataset_info.json", "state.json")
    write(tmp_path, "README.md", text=card)
    found = list_source([str(tmp_path)], None, source="s")
    assert names(found, tmp_path) == ["a.arrow"]
    assert set(found.passed_over.values()) == {"about the tables beside it"}
    write(tmp_path, "notes.txt")  # a folder of texts as well: nothing is guessed
    assert len(list_files([str(tmp_path)], None, source="s")) == 6


def test_a_readme_among_texts_is_a_text(tmp_path):
    write(tmp_path, "README.md", "src/a.py")
    assert len(list_files([str(tmp_path)], None, source="s")) == 2
