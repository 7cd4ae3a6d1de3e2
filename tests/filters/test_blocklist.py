"""Blocklists against loops over words and labels in plain Python."""

import unicodedata
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gristmill.corpus.account import check_conservation
from gristmill.corpus.errors import SourceError
from gristmill.corpus.measuring import measure_part
from gristmill.corpus.schema import signals_schema
from gristmill.corpus.tables import read_part, write_part
from gristmill.filters.lists import blocklist
from gristmill.filters.lists.stage import BLOCKLIST, Blocklist


def is_cjk(character: str) -> bool:
    return "\u4e00" <= character <= "\u9fff" or "\u3041" <= character <= "\u30ff"


def word_list(text: str) -> list[str]:
    """Runs of letters, numbers and marks; a Han or kana letter is a word of its own."""
    words, inside = [], False
    for character in text.lower():
        part = unicodedata.category(character)[0] in "LNM"
        alone = part and is_cjk(character)
        if alone or (part and not inside):
            words.append(character)
        elif part:
            words[-1] += character
        inside = part and not alone
    return words


def words_twin(text: str, entries: list[str]) -> list[int]:
    """Leftmost, then longest."""
    phrases = {tuple(word_list(entry)) for entry in entries} - {()}
    found, tokens, at = [], word_list(text), 0
    while at < len(tokens):
        widths = [n for n in range(min(len(tokens) - at, 32), 0, -1) if tuple(tokens[at : at + n]) in phrases]
        found += [tuple(tokens[at : at + widths[0]])] if widths else []
        at += widths[0] if widths else 1
    return [len(found), len(set(found))]


def counted(texts: list[str], entries: list[str]) -> list[list[int]]:
    batch = pa.record_batch({"text": pa.array(texts, pa.large_string())})
    return blocklist.count_words(batch, blocklist.index_phrases(entries)).tolist()


PIECES = [
    "bad",
    "BAD",
    "Bad",
    "word",
    "bad word",
    "плохо",
    "ПЛОХО",
    "坏",
    "话",
    "说",
    "a",
    "b",
    "ab",
    " ",
    "  ",
    ", ",
    "-",
    "é",
    "1",
]
pieces = st.lists(st.sampled_from(PIECES), max_size=20)


@given(st.lists(pieces.map("".join), max_size=4), st.lists(pieces.map(lambda p: " ".join(p[:4])), max_size=6))
@example(["bad word bad"], ["bad", "bad word", "word bad", "bad word bad word"])
@example(["A-B"], ["a b", "...", ""])
def test_words_equal_the_twin(texts, entries):
    assert counted(texts, entries) == [words_twin(text, entries) for text in texts]


@pytest.mark.parametrize(
    ("text", "entry", "found"),
    [
        ("Scunthorpe", "cunt", 0),  # whole words
        ("a BAD\n  word", "bad word", 1),
        ("这是坏话吗", "坏话", 1),  # no spaces between Chinese words
        ("ПЛОХОЕ", "плохое", 1),
        ("cafe\u0301", "café", 0),  # documents are NFC; this one is not
        ("caf\u00e9", "cafe\u0301", 1),  # lists are made so
        ("x" * 9, " ".join("x" * 33), 0),  # too long to be a phrase
    ],
)
def test_what_matches(text, entry, found):
    assert counted([text], [entry]) == [[found, found]]


def test_an_empty_list_blocks_nothing():
    assert counted(["any word", ""], []) == [[0, 0], [0, 0]]


# ------------------------------------------------------------------------------------------------ addresses

LABELS = ["a", "b", "com", "bad", "x-y"]
hosts = st.lists(st.sampled_from(LABELS), min_size=1, max_size=4).map(".".join)
paths = st.lists(st.sampled_from(["a", "b", "c.html"]), max_size=3).map(lambda parts: "".join("/" + p for p in parts))


def url_twin(host: str, path: str, listed: set[str]) -> bool:
    labels, segments = host.split("."), path.split("/")
    above = {".".join(labels[at:]) for at in range(len(labels))}
    return bool((above | {host + "/".join(segments[:at]) for at in range(1, len(segments) + 1)}) & listed)


@given(st.lists(st.tuples(hosts, paths), max_size=5), st.lists(st.tuples(hosts, paths).map("".join), max_size=5))
def test_addresses_equal_the_twin(places, listed):
    urls = [f"https://user@{host.upper()}:443{path}?q=/a#b" for host, path in places]
    found = blocklist.match_urls(pa.array(urls, pa.string()), pa.array(sorted(set(listed)), pa.string()))
    assert found.to_pylist() == [url_twin(host, path, set(listed)) for host, path in places]


@pytest.mark.parametrize("url", ["http://sub.bad.org", "bad.org/x", "HTTP://BAD.ORG.", "https://bad.org:8080/?x"])
def test_a_host_blocks_what_is_under_it(url):
    assert blocklist.match_urls(pa.array([url]), pa.array(["bad.org"])).to_pylist() == [True]


@pytest.mark.parametrize("url", ["http://notbad.org", "http://bad.org.example.com", "http://x.org/bad.org", "", None])
def test_a_host_blocks_no_other(url):
    assert blocklist.match_urls(pa.array([url], pa.string()), pa.array(["bad.org"])).to_pylist() == [False]


# ------------------------------------------------------------------------------------------------ the stage


def lists(folder: Path) -> dict[str, list[Path]]:
    (folder / "en.txt").write_text("# words\nbad word\nC#\n\nevil  # a comment\n")
    (folder / "zh.txt").write_text("坏话\n")
    (folder / "hosts.txt").write_text("\ufeffHTTPS://Bad.org/\nexample.com/Private/ # path\n")
    (folder / "hashes.txt").write_text("\ufeff" + "AB" * 16 + "\n")
    paths = {"words": ["en.txt", "zh.txt"], "urls": ["hosts.txt"], "hashes": ["hashes.txt"]}
    return {kind: [folder / name for name in names] for kind, names in paths.items()}


def part(folder: Path, texts: list[str], urls: list[str | None]) -> Path:
    n = len(texts)
    columns = {
        "doc_id": pa.array([f"{number:032x}" for number in range(n)], pa.string()),
        "text": pa.array(texts, pa.large_string()),
        "source": pa.array(["web"] * n, pa.string()),
        "url": pa.array(urls, pa.string()),
        "text_hash": pa.array(["ab" * 16] + ["cd" * 16] * (n - 1) if n else [], pa.string()),
    }
    batch = pa.record_batch(columns)
    write_part(folder / "documents.parquet", batch.schema, [batch])
    return folder / "documents.parquet"


def test_a_part_is_matched(tmp_path):
    texts = ["An evil, evil BAD word.", "坏话 in c#", "good"]
    documents = part(tmp_path, texts, ["http://www.bad.org/", None, "http://example.com/Private/a"])
    outcome = measure_part(BLOCKLIST, documents, tmp_path, Blocklist(), lists(tmp_path))
    check_conservation("blocklist", outcome.accounts)
    assert outcome.facts == {"blocked_words": 2, "blocked_url": 2, "blocked_hash": 1}
    signals = read_part(tmp_path / "blocklist.parquet")
    assert signals.schema == signals_schema(BLOCKLIST.signals)
    assert [list(row.values())[1:] for row in signals.to_pylist()] == [[3, 2, 1, 1], [2, 2, 0, 0], [0, 0, 1, 0]]


def test_without_lists_nothing_is_blocked(tmp_path):
    outcome = measure_part(BLOCKLIST, part(tmp_path, ["evil"], ["http://bad.org"]), tmp_path, Blocklist())
    assert set(outcome.facts.values()) == {0}
    assert measure_part(BLOCKLIST, part(tmp_path, [], []), tmp_path, Blocklist()).rows == 0


def test_a_missing_list_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"no list at .*gone.txt; set blocklist.words"):
        measure_part(
            BLOCKLIST, part(tmp_path, ["x"], [None]), tmp_path, Blocklist(), {"words": [tmp_path / "gone.txt"]}
        )


def test_what_an_editor_adds_to_a_list_hides_no_entry(tmp_path):
    (tmp_path / "words.txt").write_bytes(b"\xef\xbb\xbfevil\r\nbad\r\n")
    lists = {"words": [tmp_path / "words.txt"]}
    outcome = measure_part(BLOCKLIST, part(tmp_path, ["evil", "bad"], [None] * 2), tmp_path, Blocklist(), lists)
    assert outcome.facts["blocked_words"] == 2


def test_a_list_that_is_no_utf_8_is_named(tmp_path):
    (tmp_path / "words.txt").write_bytes(b"b\xf6se\n")
    lists = {"words": [tmp_path / "words.txt"]}
    with pytest.raises(SourceError, match=r"words.txt: 'utf-8' codec .*; set blocklist to lists in UTF-8"):
        measure_part(BLOCKLIST, part(tmp_path, ["x"], [None]), tmp_path, Blocklist(), lists)
