"""Clean windows of shared data for the entropy bench: 500 to 2,500 characters, by collection, language and domain.

The collections fall into three groups: FOLDS (two of them: what the reference is fitted on, each scored under a
reference of the other to fit weights) and TEST, which no fit sees. HIPE-2022 is in none: its print holds OCR noise.
"""

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.corpus.languages import primary_subtag

MIN_CHARS, MAX_CHARS = 500, 2500
FOLDS = (
    ("gnome-user-docs", "codex-type-extracts", "anarchism-faq", "genesis", "cpython-3.11-stdlib", "gsm8k",
     "python3.11-doc", "fortunes-it", "fortunes-cs", "redux", "express", "d3-array"),
    ("debian-handbook", "manpages", "manpages-dev", "manpages-de", "manpages-es", "manpages-fr", "manpages-it",
     "manpages-ja", "manpages-pl", "manpages-pt-br", "manpages-ru", "manpages-ru-dev", "manpages-tr", "manpages-uk",
     "manpages-zh", "janeaustenr", "lodash", "metamath-set.mm", "sgd", "state-of-the-union",
     "ubuntu-irc", "fortunes-de"),
    ("udhr2",),
)  # fmt: skip
TEST = (
    "xquad", "ud-pud", "lingua-testdata", "wikitext-2", "gum", "masc", "shakespeare", "dict-foldoc", "dict-devil",
    "golang-1.19-src", "zod", "three-mesh-bvh", "preact", "pari-doc", "aqua-rat",
    "bundestag-gesetze", "debian-policy", "spdx-license-list", "fortunes", "fortunes-br", "fortunes-es",
    "fortunes-pl", "fortunes-ru", "fortunes-zh", "hh-rlhf",
)  # fmt: skip
JOINED = (
    "xquad",
    "ud-pud",
    "lingua-testdata",
    "aqua-rat",
    "gsm8k",
    "metamath-set.mm",
    "dict-devil",
    *(name for name in (*sum(FOLDS, ()), *TEST) if name.startswith("fortunes")),
)
CODE = ("go", "python", "javascript", "typescript")
_LIST_LINE = re.compile(r"\s*([-*•·‣o+–]|\(?\d{1,3}[.)]|[a-z]\))\s")


class Window(NamedTuple):
    """A clean stretch of a document."""

    text: str
    language: str
    collection: str
    domain: str


def _rows(data: Path, collections: Sequence[str]) -> Iterable[dict]:
    wanted = pa.array(collections)
    for path in sorted((data / "text").glob("*.parquet")):
        if path.stem != "instructions":
            table = pq.read_table(path, columns=["text", "source", "domain", "lang"])
            yield from map(_mended, table.filter(pc.is_in(table["source"], wanted)).to_pylist())
    if "lingua-testdata" in collections:
        for row in pq.read_table(data / "gold" / "langid_sentences.parquet", columns=["text", "lang"]).to_pylist():
            yield row | {"source": "lingua-testdata", "domain": "news"}


def _mended(row: dict) -> dict:
    """Swedish of genesis was read as latin-1 where it is code page 437: s\\x86g for såg is a damage, no clean text."""
    if (row["source"], row["lang"]) != ("genesis", "sv"):
        return row
    return row | {"text": row["text"].encode("latin-1").decode("cp437")}


def documents_of(data: Path, collections: Sequence[str]) -> dict[tuple[str, str, str], list[str]]:
    """Texts by (language, collection, domain); short ones of a collection of sentences joined."""
    found: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for row in _rows(data, collections):
        language = row["lang"] if row["lang"] in CODE else language_of(row["lang"])
        domain = {"legal": "law"}.get(row["domain"], row["domain"])
        domain = "poetry" if row["source"] == "shakespeare" else domain
        found[language, row["source"], domain].append(row["text"])
    return {key: _joined(texts) if key[1] in JOINED else texts for key, texts in found.items()}


def language_of(tag: str) -> str:
    """The primary subtag, with what tells two written forms of it apart.

    >>> [language_of(tag) for tag in ("pt-br", "zh-tw", "sr-latn", "srp_latn", "cmn_hant", "als")]
    ['pt', 'zh', 'sr', 'sr', 'zh', 'sq']
    """
    return "sq" if tag == "als" else primary_subtag(tag) or tag


def _joined(texts: list[str]) -> list[str]:
    out, some, size = [], [], 0
    for text in texts:
        some.append(text.strip())
        size += len(text)
        if size >= 1500:
            out.append("\n".join(some))
            some, size = [], 0
    return [*out, "\n".join(some)] if some else out


def windows(documents: list[str], most: int, seed: str) -> list[str]:
    """At most ``most`` windows, one of each document before a second of any; they begin with a line or a sentence."""
    rng, found = random.Random(seed), []
    for text in documents:
        at, turn = 0, 0
        while len(text) - at >= MIN_CHARS and turn < most:
            size = rng.randint(MIN_CHARS, MAX_CHARS)
            end = at + size if at + size < len(text) else len(text)
            if end < len(text):
                end = max(text.rfind("\n", at + MIN_CHARS, end), text.rfind(" ", at + MIN_CHARS, end), at + MIN_CHARS)
            window = text[at:end].strip()
            if len(window) >= MIN_CHARS - 20:
                found.append((turn, rng.random(), window))
            at, turn = end, turn + 1
    found.sort(key=lambda one: one[:2])
    return [window for _, _, window in found[:most]]


def is_list(text: str) -> bool:
    """Most lines begin with a bullet or a number, or are short."""
    lines = [line for line in text.split("\n") if line.strip()]
    marked = sum(bool(_LIST_LINE.match(line)) or len(line.strip()) <= 40 for line in lines)
    return len(lines) >= 8 and marked >= 0.6 * len(lines)


def clean_windows(data: Path, collections: Sequence[str], most: int, lists: int = 0) -> list[Window]:
    """At most ``most`` windows of each language and collection; beside them at most ``lists`` that are lists."""
    found = []
    for (language, collection, domain), texts in sorted(documents_of(data, collections).items()):
        cut = windows(texts, max(most, lists and most * 4), f"{language}:{collection}")
        found += [Window(text, language, collection, domain) for text in cut[:most]]
        if domain in ("docs", "books", "wiki", "law") and lists:
            found += [Window(text, language, collection, "lists") for text in cut[most:] if is_list(text)][:lists]
    return found
