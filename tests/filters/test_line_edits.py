"""Line rules against twins in plain Python, which edit text where the kernels write spans."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from gristmill.corpus.account import check_conservation
from gristmill.corpus.errors import UnknownNameError
from gristmill.corpus.measuring import measure_part
from gristmill.corpus.schema import SPANS
from gristmill.corpus.span_tables import merge_spans, span_rows, spans_column
from gristmill.corpus.tables import read_part, write_part
from gristmill.filters.line_edits.find_edits import READINGS, REASONS, find_edits, measure_edits
from gristmill.filters.line_edits.stage import LINE_EDITS, LineEdits
from tests.filters.naive import split_words

SAMPLES = Path(__file__).parents[2] / "samples"
DCLM = "refinedweb@dclm"

# ------------------------------------------------------------------------------------------------ the twins

LOWER = {code: code + 32 for code in range(65, 91)}
CITATION = re.compile(r"\[[0-9]*]|\[edit]|\[citation needed]")
POLICIES = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
COUNTER = re.compile(
    r"^\W*[0-9][,.0-9]*[kmb]?\s+(?:likes|shares|comments|retweets|reposts|quotes|bookmarks|upvotes|downvotes|downloads"
    r"|views|followers)\W*$"
)
CART = re.compile(r"\s?[iI][tT][eE][mM][sS] [iI][nN] [cC][aA][rR][tT]")
READ_MORE = re.compile(r"\s?[rR][eE][aA][dD] [mM][oO][rR][eE]...$", re.S)
SIGN_IN = re.compile(r"^[sS][iI][gG][nN]-[iI][nN]\s?")
SENTENCE_END = re.compile(r"[。！？｡](?![。！？｡])|[.!?][\"')\]]?(?=[ \t-\r\x1c-\x1f]|\Z)")


def sentences(line: str) -> int:
    ends = [found.end() for found in SENTENCE_END.finditer(line)]
    return len(ends) + (not ends or ends[-1] < len(line))


def c4_twin(line: str) -> tuple[str, str | None, dict[str, int]]:
    """The line that is left, or "" and why it goes; what counts for the document."""
    stripped = line.strip()
    words, seen = split_words(stripped), {}
    if not words:
        return "", "blank", seen
    if any(len(word) > 1000 for word in words):
        return "", "long_word", seen
    edited = CITATION.sub("", stripped)
    if not edited.endswith((".", "?", "!", '"', "'")) or edited.endswith("..."):
        return "", "no_terminal_punct", seen
    if len(words) < 3:
        return "", "few_words", seen
    lower = edited.translate(LOWER)
    seen["lorem"] = "lorem ipsum" in lower
    if "javascript" in lower:
        return "", "javascript", seen
    seen["curly"] = "{" in edited
    if any(phrase in lower for phrase in POLICIES):
        return "", "policy", seen
    return edited, None, seen | {"sentences": sentences(edited)}


def dclm_twin(line: str) -> tuple[str, str | None, dict[str, int]]:
    """The same, rule after rule as DCLM's modifiers."""
    words = len(split_words(line))
    if line and sum(map(str.isupper, line)) / len(line) > 0.5:
        return "", "uppercase", {}
    if line and all(character in "0123456789" for character in line):
        return "", "numeric", {}
    if COUNTER.search(line.translate(LOWER)):
        return "", "counter", {}
    if line and words < 2:
        return "", "short", {}
    edited = line
    for reason, pattern in (("items_in_cart", CART), ("read_more", READ_MORE), ("sign_in", SIGN_IN)):
        if line and words <= 10:
            edited = pattern.sub("", edited)
            if not edited.strip():
                return "", reason, {}
    return edited, None, {"sentences": sentences(edited.strip()) if edited else 0}


TWINS = {"c4": c4_twin, DCLM: dclm_twin}


def twin(text: str, reading: str) -> tuple[str, list[str | None], dict[str, int]]:
    lines = text.split("\n")
    ends = ["\n"] * (len(lines) - 1) + [""]
    if lines[-1] == "":
        lines, ends = lines[:-1], ends[:-1]
    left, reasons, seen = [], [], dict.fromkeys(("lorem", "curly", "sentences"), 0)
    for line, end in zip(lines, ends, strict=True):
        edited, reason, found = TWINS[reading](line)
        left.append(edited + end if reason is None else "")
        reasons.append(reason)
        seen = {name: seen[name] + int(found.get(name, 0)) for name in seen}
    texts = [bool(line.strip()) for line in lines]
    cut = [bool(reason) and has_text for reason, has_text in zip(reasons, texts, strict=True)]
    return "".join(left), reasons, seen | {"lines": sum(texts), "lines_cut": sum(cut), "chars_left": len("".join(left))}


# ------------------------------------------------------------------------------------------------ ours


def batch_of(texts: list[str]) -> pa.RecordBatch:
    ids = [f"{number:032x}" for number in range(len(texts))]
    return pa.record_batch({"doc_id": pa.array(ids, pa.string()), "text": pa.array(texts, pa.large_string())})


def applied(text: str, spans: list[list[int]]) -> str:
    """The text without its spans, which must be in order, apart and whole characters."""
    data, out, at = text.encode(), b"", 0
    for _, start, end, _ in spans:
        assert at <= start < end <= len(data)
        data[start:end].decode()
        out, at = out + data[at:start], end
    return (out + data[at:]).decode()


def ours(texts: list[str], reading: str) -> list[tuple[str, list[str | None], dict[str, int]]]:
    found, totals = find_edits(batch_of(texts), reading)
    answers = []
    for number, text in enumerate(texts):
        spans = found[found[:, 0] == number].tolist()
        row = totals[number].tolist()
        seen = {"lorem": row[7], "curly": row[8], "sentences": row[6], "lines": row[0], "lines_cut": row[1]}
        answers.append((applied(text, spans), reasons_of(text, spans), seen | {"chars_left": row[4] - row[5]}))
    return answers


def reasons_of(text: str, spans: list[list[int]]) -> list[str | None]:
    """Why each line goes; None for one that stays, whole or in part."""
    reasons, at = [], 0
    for line in re.findall(rb"[^\n]*\n|[^\n]+", text.encode()):
        whole = [reason for _, start, end, reason in spans if start <= at and end >= at + len(line)]
        reasons.append(REASONS[whole[0]].split(":")[1] if whole else None)
        at += len(line)
    return reasons


PIECES = [
    "the mill", " turns slowly.", "It is so. ", "\n", "\n\n", " \n", "\r\n", "\t", ".", "...", "!", '?"', "'", "…",
    "[1]", "[]", "[edit]", "[citation needed]", "[Edit]", "[12", "]", "[", "[2][3]", "{", "}", "lorem ipsum",
    "Lorem Ipsum is.\n",
    "JavaScript is on here.\n", "java[1]script is on.\n", "Read our Privacy Policy now.\n", "We use cookies, yes.\n",
    "W" * 1001, "a b.\n", "b" * 1000 + " c d.\n", "中文", "句子。", "日本語の文です.", "é", "\u3000", "\xa0",
    "\x1c", "\x85",
    "SHOUTING LOUD", "ABC abc", "ÀÉÎ", "ДОМ НАШ", "дом", "Ⅷ Ⅸ", "🄰", "123", "4 5", "٣", "½", "3 likes",
    "1,200.5K views!",
    "• 7 Followers •", "3 likes you", "x 3 likes", "12m shares", "1 _likes", "3\u3000comments",
    "items in cart", "Items In Cart", "3 items in cart", " items in cart items in cart", "Read more...",
    "read more »  ",
    "READ MORE", "read more", "Read moreabc", "Sign-in", "sign-in ", "Sign-in\u3000to see",
    "one two three four five six seven eight nine ten", "one", "two words", "ſign-in", "Ⓐ", "ms", "K", "İ",
]  # fmt: skip
characters = st.characters(exclude_categories=["Cs"])
documents = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=16).map("".join),
    st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join),
    st.lists(st.one_of(st.sampled_from(PIECES), st.text(characters, max_size=4)), max_size=20).map("".join),
    st.text(characters, max_size=60),
    st.text("ab .[1]\n", max_size=60),
    st.text("3 likesK.,!\n", max_size=40),
)


@pytest.mark.parametrize("reading", READINGS)
@given(texts=st.lists(documents, max_size=4))
@settings(max_examples=150)
@example(texts=["Foo bar baz.[1]\nFoo bar. [2]\n[3] Foo bar.\nFoo[citation needed] bar is."])
@example(
    texts=["items in cart\n5 items in cart\nSign-in items in cart\nread items in cartmore...\nSign-in\nRead more..."]
)
@example(texts=["items in items in cart cart\nSign-in Read more...\nsign-in sign-in to go\nNow\u3000read moreéé中"])
@example(texts=["x" * 63 + "\n" + "items in cart " * 5, " " * 61 + "items in cart and so on"])
def test_lines_equal_the_twin(reading, texts):
    assert ours(texts, reading) == [twin(text, reading) for text in texts]


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("file", ["docs/gnome-help.parquet", "legal/debian-policy.parquet", "code/code.parquet"])
def test_samples_equal_the_twin(reading, file):
    texts = pq.read_table(SAMPLES / file, columns=["text"])["text"].to_pylist()[:60]
    assert ours(texts, reading) == [twin(text, reading) for text in texts]


@given(st.lists(documents, min_size=1, max_size=4), st.integers(0, 3))
def test_a_slice_is_judged_as_the_whole(texts, start):
    signals, found = measure_edits(batch_of(texts), list(READINGS))
    part, some = measure_edits(batch_of(texts).slice(start), list(READINGS))
    assert all(part[name].equals(signals[name].slice(start)) for name in signals)
    assert (some + np.array([start, 0, 0, 0])).tolist() == found[found[:, 0] >= start].tolist()


@given(st.lists(documents, max_size=4))
def test_words_of_the_signals_are_those_in_front_of_which_no_mark_stands(texts):
    signals, _ = measure_edits(batch_of(texts), [DCLM])
    for number, text in enumerate(texts):
        words = [word for word in split_words(text) if word[0].isalnum()]
        left, share = (
            signals["refinedweb_words_left"][number].as_py(),
            signals["refinedweb_cut_word_share"][number].as_py(),
        )
        assert share == (pytest.approx(1 - left / len(words)) if words else 0)


# ------------------------------------------------------------------------------------------------ what each rule means

GOLDEN = [
    ("c4", "The mill turns.", None),
    ("c4", "  The mill turns.\t", "space"),
    ("c4", "The mill turns.[12]", "citation"),
    ("c4", "The mill turns. [12]", "no_terminal_punct"),  # a blank is left at the end, as datatrove leaves it
    ("c4", "The mill turns...", "no_terminal_punct"),
    ("c4", "The mill turns", "no_terminal_punct"),
    ("c4", "It turns.", "few_words"),
    ("c4", "A " + "b" * 1001 + " c.", "long_word"),
    ("c4", "Please turn JavaScript on.", "javascript"),
    ("c4", "Read our cookie policy.", "policy"),
    ("c4", "\t", "blank"),
    (DCLM, "The mill turns", None),
    (DCLM, "", None),
    (DCLM, "OUR MILL turns on", None),  # 7 capitals of 17
    (DCLM, "2024", "numeric"),
    (DCLM, "1.2K views", "counter"),
    (DCLM, "Menu", "short"),
    (DCLM, "3 items in cart", "items_in_cart"),
    (DCLM, "How the mill turns read more...", "read_more"),
    (DCLM, "Sign-in to comment", "sign_in"),
    (DCLM, "Sign-in to comment on how the old mill by the river turns", None),  # over 10 words
]


@pytest.mark.parametrize(("reading", "line", "reason"), GOLDEN)
def test_golden_lines(reading, line, reason):
    found, _ = find_edits(batch_of([line]), reading)
    assert {REASONS[code].split(":")[1] for code in found[:, 3]} == ({reason} if reason else set())


def test_half_of_the_characters_may_be_capitals():
    assert ours(["OUR MILL turns"], DCLM)[0][1] == [None]
    assert ours(["OUR MILLS turns"], DCLM)[0][1] == ["uppercase"]


def test_lines_in_a_row_that_go_for_one_reason_are_one_span():
    found, _ = find_edits(batch_of(["menu\nhome\n\nThe mill turns.\nhelp"]), "c4")
    spans = [(start, end, REASONS[code]) for _, start, end, code in found.tolist()]
    assert spans == [(0, 10, "c4:no_terminal_punct"), (10, 11, "c4:blank"), (27, 31, "c4:no_terminal_punct")]


def test_pages_that_datatrove_drops_are_counted_in_lines_that_get_so_far():
    text = "Lorem ipsum dolor sit.\nlorem ipsum\nint f() {\nA set {1} is here.\nThe javascript {} is here.\n"
    signals, _ = measure_edits(batch_of([text]), ["c4"])
    row = {name: column[0].as_py() for name, column in signals.items()}
    assert (row["c4_lorem_ipsum_left"], row["c4_curly_brackets_left"], row["c4_sentences_left"]) == (1, 1, 2)
    assert row["c4_cut_line_share"] == pytest.approx(3 / 5)


def test_more_spans_than_the_first_table_holds():
    text = "[1]. " * 20_000 + "is it so.\n"
    assert len(find_edits(batch_of([text]), "c4")[0]) == 20_000


def test_hostile_lines_take_linear_time():
    for text in (
        "[" * 300_000,
        "[1" * 200_000,
        "items in cart" * 20_000,
        "ms" * 300_000,
        "3" * 300_000,
        "\u3000" * 100_000,
    ):
        for reading in READINGS:
            find_edits(batch_of([text]), reading)


# ------------------------------------------------------------------------------------------------ the stage


def part(folder: Path, texts: list[str]) -> Path:
    n = len(texts)
    columns = {"source": [f"source{i % 2}" for i in range(n)], "domain": ["code" if i % 2 else "web" for i in range(n)]}
    batch = batch_of(texts)
    table = pa.record_batch({"doc_id": batch["doc_id"], **columns, "text": batch["text"]})
    write_part(folder / "documents.parquet", table.schema, [table.slice(0, 2), table.slice(2)])
    return folder / "documents.parquet"


TEXTS = ["The mill turns.\nmenu\n", "int main() { return 0; }\n", "LOUD WORDS\nThe mill é turns.[1]\n", ""]


def test_a_part_is_measured_and_its_spans_are_written(tmp_path):
    outcome = measure_part(LINE_EDITS, part(tmp_path, TEXTS), tmp_path, LineEdits(rules=list(READINGS)))
    check_conservation("line_edits", outcome.accounts)
    assert outcome.rows == 4
    signals, spans = read_part(tmp_path / "line_edits.parquet"), read_part(tmp_path / "spans.parquet")
    assert set(signals.column_names[1:]) == {signal.name for signal in LINE_EDITS.signals}
    assert signals["c4_words_left"].to_pylist() == [3, 0, 4, 0]
    assert spans.schema.equals(SPANS)
    assert [len(row) for row in spans["spans"].to_pylist()] == [2, 1, 3]
    assert outcome.facts == {
        "bytes_by_reason": {
            "c4:no_terminal_punct": 41, "c4:citation": 3, "refinedweb:uppercase": 11, "refinedweb:short": 5,
        },
        "edited": 3,
    }  # fmt: skip
    merged = merge_spans([spans])
    assert [len(row) for row in merged["spans"].to_pylist()] == [1, 1, 2]


def test_only_the_named_domains_are_edited_but_all_are_measured(tmp_path):
    measure_part(LINE_EDITS, part(tmp_path, TEXTS), tmp_path, LineEdits(rules=["c4"], domains=["web"]))
    signals, spans = read_part(tmp_path / "line_edits.parquet"), read_part(tmp_path / "spans.parquet")
    assert signals["c4_cut_line_share"].to_pylist() == [0.5, 1, 0.5, 0]
    assert spans["doc_id"].to_pylist() == [f"{0:032x}", f"{2:032x}"]


def test_a_part_of_nothing(tmp_path):
    assert measure_part(LINE_EDITS, part(tmp_path, []), tmp_path, LineEdits(rules=["c4"])).facts == {
        "bytes_by_reason": {},
        "edited": 0,
    }


def test_unknown_readings_are_named():
    with pytest.raises(ValidationError, match="c4s"):
        LineEdits(rules=["c4s"])
    with pytest.raises(UnknownNameError, match="did you mean 'c4'"):
        find_edits(batch_of(["x"]), "c4s")


def test_spans_of_a_scanner_become_a_table():
    found = np.array([[0, 1, 2, 1], [2, 0, 1, 0], [2, 3, 4, 0]])
    batch = span_rows(pa.array(["a", "b", "c"]), spans_column(3, found, ["x", "y"]))
    assert batch.to_pylist() == [
        {"doc_id": "a", "spans": [{"start": 1, "end": 2, "reason": "y"}]},
        {"doc_id": "c", "spans": [{"start": 0, "end": 1, "reason": "x"}, {"start": 3, "end": 4, "reason": "x"}]},
    ]
