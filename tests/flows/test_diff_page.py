"""The page of two runs: it stands alone, has every figure, escapes every text, and fits a desk and a phone."""

import re

import pytest
from PIL import Image

from gristmill.flows.diff.changed_documents import KINDS
from gristmill.flows.diff.diff_page import SHOWN_GROUPS, diff_page, write_diff_page

EVIL = "<script>alert('x')</script>"


def group(n, reasons=("rule",), kind="verdict", source="web"):
    rules = [{"rule": "words", "signal": "words", "before": ">= 5", "after": None}] if "rule" in reasons else []
    verdicts = {"before": "kept", "after": "dropped"}
    return {"source": source, "kind": kind, "reasons": list(reasons), "rules": rules, "documents": n, **verdicts}


def found(groups=1, source="web"):
    """What ``diff_runs`` returns, with one of everything."""
    counted = {"documents": 7, "by_source": {source: 7}}
    rule = {"rule": "words", "signal": "words", "before": ">= 5", "after": None, **counted}
    sample = {"kind": "edited", "source": source, "doc_id": "d" * 32, "locator": "a.jsonl:1", "from_char": 0}
    return {
        "before": "/home/runs/nightly/" + "a" * 16,
        "after": "/home/runs/nightly/" + "b" * 16,
        "documents": 7 * groups,
        "by_kind": {"verdict": counted},
        "by_reason": {"rule": counted, "unexplained": counted},
        "by_rule": [rule],
        "by_source": {"before": {source: {"documents_kept": 1200}}, "after": {source: {"documents_kept": 1193}}},
        "shares": {"web": {"before": 0.25, "after": None}},
        "tokens": {"web": {"before": 12345, "after": 12340}},
        "plan": {"samples": {"before": 10, "after": 11}, "share.web": {"before": 0.5, "after": 0.4}},
        "card": {"differences": 1, "listed": [{"key": "kept", "before": 1, "after": 2}]},
        "recipe": [{"key": "decide.rules.words", "before": 5, "after": 6}],
        "inputs": {source: [{"key": "files.a.jsonl", "before": "x", "after": "y"}]},
        "code": {"marks": [{"key": "version", "before": "1", "after": "2"}]},
        "samples": [sample | {"before": "one\nline", "after": EVIL}],
        "changes": [group(7, source=source) for _ in range(groups)],
    }


NOTHING = {"documents": 0, "by_kind": {}, "by_reason": {}, "by_rule": [], "samples": [], "changes": []}


def test_every_figure_stands_on_the_page():
    page = diff_page(found())
    for text in (
        "7 documents are not the same in both runs.",
        "1,193",
        "1,200 before",
        KINDS["verdict"],
        "unexplained",
        "rule, words: &gt;= 5 to none",
        "-7",
        "25 %",
        "12,345",
        "0.4000",
        "decide.rules.words",
        "Inputs of web",
        "Code of marks",
        "- one line",
    ):
        assert text in page
    assert f"{'a' * 8} to {'b' * 8}" in page


def test_equal_runs_have_a_page_that_says_so():
    page = diff_page(found() | NOTHING)
    assert "No document changed." in page
    assert 'id="why"' not in page


def test_of_more_groups_the_sum_is_shown_and_a_long_table_is_folded():
    page = diff_page(found(SHOWN_GROUPS + 3))
    assert "and 3 smaller groups" in page
    assert '<td class="text short">21</td>' in page
    assert "<summary>Groups that changed alike (201)</summary>" in page


def test_it_stands_alone_and_texts_stay_texts():
    page = diff_page(found(source=EVIL))
    assert EVIL not in page
    assert not re.search(r"<script|<link|<img|https?://|@import", page)
    assert "default-src 'none'" in page


@pytest.mark.parametrize("width", [1280, 390])
def test_it_fits_a_desk_and_a_phone(browser, tmp_path, width):
    """No part of the page is wider than the window; tables that are scroll by themselves."""
    write_diff_page(tmp_path / "diff.html", found(30))
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto((tmp_path / "diff.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("h1").bounding_box()["width"] > width / 3
    assert page.locator("#why tbody tr").count() == 30
    assert page.locator("#why").is_visible()
    page.screenshot(path=tmp_path / "shot.png")
    colours = Image.open(tmp_path / "shot.png").getcolors(1 << 24)
    assert colours is not None
    assert len(colours) > 20  # it is no empty sheet
