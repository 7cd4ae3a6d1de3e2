"""datatrove's quality filters for bench/filters.py and bench/line_edits.py, in .bench/filters: JSON in, JSON out.

A *knob* is a known difference between the two systems. With a knob in ``aligned`` datatrove is made to read text as
gristmill does in that one respect; with every knob aligned both must give the same verdict on every document.
"""

import json
import re
import sys
import time
import unicodedata
from importlib.metadata import version
from itertools import pairwise

import pyarrow.parquet as pq
from datatrove.data import Document
from datatrove.pipeline.filters import c4_filters, gopher_quality_filter, gopher_repetition_filter
from datatrove.pipeline.filters import fineweb_quality_filter as fineweb
from datatrove.utils import word_tokenizers

ASCII_LOWER = {code: code + 32 for code in range(65, 91)}
SENTENCE_END = re.compile(r"[。！？｡](?![。！？｡])|[.!?][\"')\]]?(?=[ \t-\r\x1c-\x1f]|\Z)")


class GivenWords:
    """White-space words, every character of ``cjk`` one of its own; sentence ends by rule."""

    def __init__(self, cjk: str):
        self.cjk = re.compile(f"({cjk})")

    def word_tokenize(self, text: str) -> list[str]:
        if self.cjk.search(text):
            text = self.cjk.sub(r" \1 ", text)
        return str.split(text)

    def sent_tokenize(self, text: str) -> list[str]:
        return [text[begin:end] for begin, end in self.span_tokenize(text)]

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        ends = [found.end() for found in SENTENCE_END.finditer(text)]
        rest = [] if ends and ends[-1] == len(text) else [len(text)]
        return list(pairwise([0, *ends, *rest]))


class Text(str):
    """A text that is read as gristmill reads it in the respects that are aligned."""

    words: GivenWords
    aligned: set[str]

    def splitlines(self, keepends: bool = False) -> list[str]:
        lines = str.split(self, "\n") if "lines" in self.aligned else str.splitlines(self, keepends)
        return [Text(line) for line in (lines[:-1] if lines[-1:] == [""] else lines)]

    def strip(self, characters: str | None = None) -> str:
        return Text(str.strip(self, characters))

    def split(self, separator: str | None = None, most: int = -1) -> list[str]:
        if "c4_words" in self.aligned and separator is None:
            return self.words.word_tokenize(self)
        return str.split(self, separator, most)

    def lower(self) -> str:
        return str.translate(self, ASCII_LOWER) if "lower" in self.aligned else str.lower(self)


class NotContent:
    """In place of a list of punctuation: all but letters, numbers and marks."""

    def __contains__(self, character: str) -> bool:
        return unicodedata.category(character)[0] not in "LNM"


class NoCitations:
    def sub(self, _: str, line: str) -> str:
        return line


class Citations:
    """datatrove's pattern, on a text that stays one of ours; ``\\d`` of ASCII alone where digits are aligned."""

    def __init__(self, pattern: re.Pattern, aligned: set[str]):
        self.pattern = re.compile(pattern.pattern, re.ASCII) if "digits" in aligned else pattern

    def sub(self, other: str, line: str) -> str:
        return Text(self.pattern.sub(other, line))


def tuples_repeated(words: list[str], n: int) -> int:
    """``find_all_duplicate`` that tells "ab c" from "a bc"."""
    seen, chars, at = set(), 0, 0
    while at <= len(words) - n:
        gram = tuple(words[at : at + n])
        if gram in seen:
            chars += sum(map(len, gram))
        at += n if gram in seen else 1
        seen.add(gram)
    return chars


THEIRS = {
    "punctuation": gopher_quality_filter.PUNCTUATION_SET,
    "grams": gopher_repetition_filter.find_all_duplicate,
    "citations": c4_filters.CITATION_REGEX,
}


def align(aligned: set[str]) -> None:
    """Turn knobs that are module attributes."""

    def chosen(knob, ours):
        return ours if knob in aligned else THEIRS[knob]

    gopher_quality_filter.PUNCTUATION_SET = chosen("punctuation", NotContent())
    gopher_repetition_filter.find_all_duplicate = chosen("grams", tuples_repeated)
    c4_filters.CITATION_REGEX = chosen("citations", NoCitations())


def filters_of(aligned: set[str]) -> dict:
    ends = (".", "!", "?", '"', "'") if "ends" in aligned else None
    return {
        "repetition": gopher_repetition_filter.GopherRepetitionFilter(),
        "quality": gopher_quality_filter.GopherQualityFilter(),
        "c4": c4_filters.C4QualityFilter(),
        "fineweb": fineweb.FineWebQualityFilter(stop_chars=ends),
    }


def passes(kind, text: str, name: str, aligned: set[str]) -> bool:
    if "anywhere" in aligned and name == "c4" and ("{" in text or "lorem ipsum" in text.translate(ASCII_LOWER)):
        return False
    if name in ("quality", "c4"):  # the two that ask a text for its lines
        text = Text(text)
    return kind.filter(Document(text=text, id="0")) is True


def verdicts(texts: list[str], names: list[str], aligned: set[str]) -> dict[str, list[bool]]:
    align(aligned)
    Text.aligned = aligned
    kinds = filters_of(aligned)
    return {name: [passes(kinds[name], text, name, aligned) for text in texts] for name in names}


def edits(texts: list[str], aligned: set[str]) -> dict[str, list]:
    """C4's text of every document as if none were dropped, and which documents it keeps."""
    c4_filters.CITATION_REGEX = Citations(THEIRS["citations"], aligned)
    Text.aligned = aligned
    judge = c4_filters.C4QualityFilter()
    editor = c4_filters.C4QualityFilter(min_num_sentences=-1, filter_lorem_ipsum=False, filter_curly_bracket=False)
    documents = [Document(text=Text(text), id="0") for text in texts]
    begin = time.process_time()
    for document in documents:
        editor.filter(document)
    seconds = time.process_time() - begin
    passed = [judge.filter(Document(text=Text(text), id="0")) is True for text in texts]
    return {"texts": [document.text for document in documents], "passes": passed, "cpu_seconds": seconds}


def chain(texts: list[str]) -> float:
    """CPU seconds of all four filters, each on what the ones before have kept."""
    align(set())
    kinds = list(filters_of(set()).values())
    for text in texts[:20]:
        [kind.filter(Document(text=text, id="0")) for kind in kinds]  # tokenisers are loaded
    documents = [Document(text=text, id="0") for text in texts]
    begin = time.process_time()
    for document in documents:
        all(kind.filter(document) is True for kind in kinds)
    return time.process_time() - begin


def main() -> None:
    request = json.load(sys.stdin)
    texts = pq.read_table(request["texts"], columns=["text"])["text"].to_pylist()
    if request["words"] != "own":
        words = GivenWords(request["words"])
        Text.words = words
        word_tokenizers.load_word_tokenizer = lambda _: words
    answer = {"version": version("datatrove")}
    if request["work"] == "chain":
        answer["cpu_seconds"] = chain(texts)
    elif request["work"] == "edits":
        answer["readings"] = [edits(texts, set(aligned)) for aligned in request["readings"]]
    else:
        answer["passes"] = [verdicts(texts, names, set(aligned)) for names, aligned in request["readings"]]
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
