"""Whole pages: what datatrove and DCLM leave of them and which they keep, restated rule after rule as they run.

Beside ``test_line_edits``, whose twins judge a line at a time, these rewrite the text of a page again and again.
"""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.filters.decide.profiles import PROFILES
from gristmill.filters.line_edits.find_edits import find_edits, measure_edits

SAMPLES = Path(__file__).parents[2] / "samples"
DCLM = "refinedweb@dclm"
LINES = [
    "The mill by the river turns slowly when the water is low.",
    "Nobody had used it for years, and the roof was gone!",
    "Was it a question of money?",
    "He said \"it will be mended\"",
    "It is so.[1] So it is.[citation needed]",
    "A line that ends in dots...",
    "A line that ends in nothing",
    "Short one.",
    "Please enable JavaScript to see this page.",
    "We use cookies, read our Cookie Policy.",
    "Lorem ipsum dolor sit amet.",
    "lorem ipsum without an end",
    "int main() { return 0; }",
    "A set {1, 2} of numbers is given.",
    "HOME MENU SEARCH",
    "SHARE this",
    "2024",
    "12 345",
    "1.2K views",
    "- 3 Likes -",
    "3 likes this",
    "Menu",
    "3 items in cart",
    "items in cart",
    "You have 3 items in cart, so pay now or go away at once please",
    "How the mill turns read more...",
    "Read more...",
    "Read more about it",
    "Sign-in to comment",
    "sign-in",
    "Sign-in items in cart Read more>>>",
    "",
    "",
]  # fmt: skip
pages = st.lists(st.sampled_from(LINES), max_size=14).map("\n".join)


def batch_of(text: str) -> pa.RecordBatch:
    return pa.record_batch({"doc_id": ["d"], "text": pa.array([text], pa.large_string())})


def left_of(text: str, reading: str) -> str:
    """The page without our spans."""
    data, out, at = text.encode(), [], 0
    for _, start, end, _ in find_edits(batch_of(text), reading)[0].tolist():
        out.append(data[at:start])
        at = end
    return b"".join([*out, data[at:]]).decode()


def keeps(text: str, profile: str, signals: set[str]) -> bool:
    """Whether the profile's rules on these signals keep the page."""
    measured = measure_edits(batch_of(text), ["c4", DCLM])[0]
    rules = [rule for rule in PROFILES[profile].rules if rule.signal in signals]
    assert {rule.signal for rule in rules} == signals
    return not any(rule.fails(measured[rule.signal].to_numpy())[0] for rule in rules)


# ------------------------------------------------------------------------------------------------ datatrove's C4


def sentences(line: str) -> int:
    return len(re.findall(r"[.!?][\"')\]]?(?=\s|\Z)", line)) + (re.search(r"[.!?][\"')\]]?\Z", line) is None)


def c4_page(text: str) -> tuple[bool, str]:
    """Whether datatrove keeps the page, and its text as if it did."""
    kept, dropped, found = [], False, 0
    for line in text.split("\n"):
        words = line.split()
        edited = re.sub(r"\[[0-9]*]|\[edit]|\[citation needed]", "", line.strip())
        if not edited.endswith((".", "?", "!", '"', "'")) or edited.endswith("...") or len(words) < 3:
            continue
        lower = edited.lower()
        dropped |= "lorem ipsum" in lower
        if "javascript" in lower:
            continue
        dropped |= "{" in edited
        if "cookie policy" in lower or "use cookies" in lower:
            continue
        found += sentences(edited)
        kept.append(edited)
    return not dropped and found >= 5, "\n".join(kept)


C4_JUDGES = {"c4_sentences_left", "c4_curly_brackets_left", "c4_lorem_ipsum_left"}


@given(pages)
@settings(max_examples=300)
def test_c4_leaves_and_keeps_what_datatrove_does(text):
    kept, edited = c4_page(text)
    assert left_of(text, "c4").strip() == edited.strip()
    assert keeps(text, "c4@edited", C4_JUDGES) == kept


# ------------------------------------------------------------------------------------------------ DCLM's modifiers


def lines_where(stays: Callable[[str], bool]) -> Callable[[str], str]:
    return lambda text: "\n".join(line for line in text.split("\n") if stays(line))


def without(phrase: str) -> Callable[[str], str]:
    """substring_line_modifier with max_length = 10 and remove_substring_only."""
    pattern = re.compile(phrase, re.I)

    def modify(text: str) -> str:
        out = []
        for line in text.split("\n"):
            edited = pattern.sub("", line) if len(line.split()) <= 10 else line
            if edited.strip() or not line:
                out.append(edited)
        return "\n".join(out)

    return modify


NOUNS = "likes|shares|comments|retweets|reposts|quotes|bookmarks|upvotes|downvotes|downloads|views|followers"
COUNTER = re.compile(rf"^\W*\d(?:,|\.|\d)*(?:k|m|b)?\s+(?:{NOUNS})\W*$")
MODIFIERS = (  # and whether DCLM strips the page behind it
    (lines_where(lambda line: not line or sum(map(str.isupper, line)) / len(line) <= 0.5), True),
    (lines_where(lambda line: not line or sum(map(str.isdigit, line)) / len(line) <= 0.999999), True),
    (lines_where(lambda line: not COUNTER.search(line.lower())), True),
    (lines_where(lambda line: not line or len(line.split()) >= 2), False),
    (without(r"\s?(?:items in cart)"), True),
    (without(r"\s?(?:read more...)$"), True),
    (without(r"^(?:sign-in)\s?"), True),
)


def dclm_page(text: str) -> tuple[bool, str]:
    """Whether DCLM keeps the page by the words it lost, and its text."""
    before = words_of(text)
    for modify, strips in MODIFIERS:
        text = modify(text)
        text = text.strip() if strips else text
    return before > 0 and text != "" and (before - words_of(text)) / before <= 0.05, text


def words_of(text: str) -> int:
    return sum(word[0].isalnum() for word in text.split())


@given(pages)
@settings(max_examples=300)
def test_refinedweb_leaves_and_keeps_what_dclm_does(text):
    kept, edited = dclm_page(text)
    assert left_of(text, DCLM).strip() == edited
    if words_of(text):
        assert keeps(text, DCLM, {"refinedweb_cut_word_share"}) == kept


@pytest.mark.parametrize(
    "file", ["docs/gnome-help", "docs/python-docs", "legal/spdx-licenses", "reference/world-factbook"]
)
def test_sample_pages_are_left_as_dclm_leaves_them(file):
    texts = pq.read_table(SAMPLES / f"{file}.parquet", columns=["text"])["text"].to_pylist()[:80]
    shares = []
    for text in texts:
        kept, edited = dclm_page(text)
        assert left_of(text, DCLM).strip() == edited
        shares.append(measure_edits(batch_of(text), [DCLM])[0]["refinedweb_cut_word_share"][0].as_py())
        assert (shares[-1] <= 0.05) == kept
    assert np.ptp(shares) > 0
