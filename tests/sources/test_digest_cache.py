"""Digests of earlier runs: believed while nothing was touched, and never where a byte may be another one."""

import io
import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.corpus.errors import SourceError
from gristmill.sources import digest_cache
from gristmill.sources.content import content_of
from gristmill.sources.digest_cache import KEPT_SECONDS, RACY_SECONDS, DigestCache
from gristmill.sources.listing import list_files

LATER = 10.0  # seconds: the clock of a run that begins when files are settled


def cache(folder: Path, reread_bytes: int = 0, after: float = LATER) -> DigestCache:
    return DigestCache(folder / "digests.txt", reread_bytes, lambda: time.time() + after)


def digest(path: Path, known: DigestCache) -> str:
    (file,) = list_files([str(path)], "text", source="s", digests=known)
    with path.open("rb") as opened:
        assert file.content == content_of(opened) or known.believed
    return file.digest


@pytest.fixture
def path(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.txt").write_text("one text")
    return tmp_path / "data" / "a.txt"


def test_an_untouched_file_is_not_read_again(path, tmp_path, monkeypatch):
    first = cache(tmp_path)
    before = digest(path, first)
    first.save()
    monkeypatch.setattr(digest_cache, "content_of", lambda _: pytest.fail("it was read"))
    again = cache(tmp_path)
    assert (digest(path, again), again.believed, again.differing) == (before, 1, [])


def test_other_bytes_are_seen_however_the_time_of_writing_is_put_back(path, tmp_path):
    """Planted: as many bytes, in the same inode, under the old time of writing; the time of change tells."""
    first, status = cache(tmp_path), path.stat()
    before = digest(path, first)
    first.save()
    with path.open("r+") as file:
        file.write("two")
    while path.stat().st_ctime_ns == status.st_ctime_ns:  # the clock of a file system ticks every few milliseconds
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (status.st_ino, status.st_mtime_ns)
    again = cache(tmp_path)
    assert digest(path, again) != before
    assert again.believed == 0


def test_what_the_file_system_hides_is_believed_until_it_is_read_again(path, tmp_path):
    """Planted: other bytes although size and both times are the same, as after a clock that was put back."""
    first = cache(tmp_path)
    digest(path, first)
    first.save()
    file = tmp_path / "digests.txt"
    old, status = path.stat(), None
    path.write_text("two text")
    status = path.stat()
    text = file.read_text().partition("\n")[2]
    text = text.replace(str(old.st_mtime_ns), str(status.st_mtime_ns)).replace(
        str(old.st_ctime_ns), str(status.st_ctime_ns)
    )
    file.write_text(f"{digest_cache._sum(text)}\n{text}")
    believing = cache(tmp_path)
    (listed,) = list_files([str(path)], "text", source="s", digests=believing)
    assert believing.believed == 1
    assert not listed.content.has(0, b"two text")  # a reader would stop here, and forget what is known
    doubting = cache(tmp_path, reread_bytes=1)
    assert doubting.content(path).has(0, b"two text")
    assert doubting.differing == [str(path)]


def test_a_file_that_was_just_touched_is_read_again(path, tmp_path):
    first = cache(tmp_path, after=RACY_SECONDS / 2)
    digest(path, first)
    first.save()
    again = cache(tmp_path)
    digest(path, again)
    assert again.believed == 0


def test_a_file_that_changes_while_it_is_read_is_not_known(path, tmp_path, monkeypatch):
    real = content_of

    def slow(file):
        found = real(file)
        path.write_text("longer than before")
        return found

    monkeypatch.setattr(digest_cache, "content_of", slow)
    known = cache(tmp_path)
    known.content(path)
    monkeypatch.undo()
    assert known.content(path).size == 18


@pytest.mark.parametrize("damage", ["", "torn", "bit", "binary"])
def test_a_damaged_file_of_digests_knows_nothing(path, tmp_path, damage):
    first = cache(tmp_path)
    before = digest(path, first)
    first.save()
    file = tmp_path / "digests.txt"
    data = file.read_bytes()
    flipped = bytearray(data)
    flipped[-10] ^= 1
    file.write_bytes({"": b"", "torn": data[:-9], "bit": bytes(flipped), "binary": b"\xff\n" + data}[damage])
    again = cache(tmp_path)
    assert (digest(path, again), again.believed) == (before, 0)


def test_the_oldest_are_read_again_and_the_forgotten_forgotten(path, tmp_path):
    other = path.with_name("b.txt")
    other.write_text("another text")
    first = cache(tmp_path)
    digest(path, first)
    first.save()
    second = cache(tmp_path, after=2 * LATER)
    digest(other, second)
    second.save()
    third = cache(tmp_path, reread_bytes=1, after=3 * LATER)
    digest(path, third)
    digest(other, third)
    assert third.believed == 1
    third.save()
    late = cache(tmp_path, after=4 * LATER + KEPT_SECONDS)
    late.save()
    assert len((tmp_path / "digests.txt").read_text().splitlines()) == 1


def test_another_run_of_the_home_keeps_what_it_learnt(path, tmp_path):
    one, two = cache(tmp_path), cache(tmp_path)
    other = path.with_name("b.txt")
    other.write_text("another text")
    digest(path, one)
    digest(other, two)
    one.save()
    two.save()
    both = cache(tmp_path)
    digest(path, both)
    digest(other, both)
    assert both.believed == 2


def test_what_cannot_be_read_is_the_error_that_it_was(tmp_path):
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    with pytest.raises(SourceError):
        list_files([str(tmp_path / "gone")], "text", source="s", digests=cache(tmp_path))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["write", "touch", "rename", "list"])), max_size=12))
def test_a_listing_is_that_of_a_run_that_knows_nothing(tmp_path_factory, steps):
    """Whatever is done to two files between listings: the naive twin reads all."""
    folder = tmp_path_factory.mktemp("twins")
    for name in "ab":
        (folder / name).write_text(name)
    for number, (name, step) in enumerate([*steps, ("a", "list")]):
        path = folder / name
        if step == "write":
            path.write_text(f"{number % 3}")
        elif step == "touch":
            os.utime(path, ns=(0, 0))
        elif step == "rename":
            (folder / "a").rename(folder / "c")
            (folder / "b").rename(folder / "a")
            (folder / "c").rename(folder / "b")
        else:
            known = cache(folder, after=0)
            told = [known.content(folder / one).digest for one in "ab"]
            known.save()
            read = [content_of(io.BytesIO((folder / one).read_bytes())).digest for one in "ab"]
            assert told == read
