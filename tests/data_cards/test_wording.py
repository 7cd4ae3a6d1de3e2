"""Foreign text stays text: on Markdown pages, in YAML, in addresses."""

import re

from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from gristmill.data_cards.wording import MAX_CHARS, fenced, markdown, number, one_line, percent, ratio, size

SPICY = st.text(st.sampled_from("ab1 <>&|*_`[]()#!~$+-.=\\\n\"'é字\u2028"), max_size=30)


@given(SPICY)
def test_markdown_renders_back_to_the_text(value):
    text = one_line(value)
    tokens = MarkdownIt("commonmark").enable("table").parse(f"x {markdown(text)} x")
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    children = tokens[1].children or []
    assert {child.type for child in children} <= {"text", "text_special"}
    assert "".join(child.content for child in children) == f"x {text} x"


@given(st.lists(SPICY, min_size=2, max_size=4))
def test_a_table_row_keeps_its_cells(values):
    cells = [markdown(one_line(value)) for value in values]
    page = f"| {' | '.join('c' * len(cells))} |\n|{'---|' * len(cells)}\n| {' | '.join(cells)} |\n"
    tokens = MarkdownIt("commonmark").enable("table").parse(page)
    assert sum(token.type == "td_open" for token in tokens) == len(values)
    assert not any(token.type == "html_block" for token in tokens)


@given(SPICY)
def test_a_list_item_stays_one_paragraph(value):
    tokens = MarkdownIt("commonmark").parse(f"- {markdown(one_line(value))}\n")
    kinds = [token.type for token in tokens]
    assert kinds.count("bullet_list_open") == 1
    assert kinds.count("list_item_open") == 1
    assert "ordered_list_open" not in kinds
    assert "heading_open" not in kinds
    assert "blockquote_open" not in kinds


@given(st.text(max_size=400))
def test_one_line_is_bounded_and_has_no_control_characters(value):
    text = one_line(value)
    assert 0 <= len(text) <= MAX_CHARS
    assert not re.search(r"[\x00-\x1f\x7f\n\r\u2028\u2029]", text)


@given(st.text(st.sampled_from("`a\n"), max_size=40))
def test_a_fence_is_never_closed_from_inside(text):
    tokens = MarkdownIt("commonmark").parse(fenced(text))
    assert [token.type for token in tokens] == ["fence"]
    assert tokens[0].content.rstrip() == text.rstrip()


def test_numbers_and_units():
    assert [number(value) for value in (0, 1.0, 1234.5678, 0.000123, -3)] == ["0", "1", "1,234.568", "0.000123", "-3"]
    assert [size(value) for value in (0, 1000, 1_500_000, 2 * 10**9, 3 * 10**12)] == [
        "0 B",
        "1 kB",
        "1.5 MB",
        "2 GB",
        "3 TB",
    ]
    assert ratio(1, 4) == percent(0.25) == "25 %"


NASTY = st.text(st.sampled_from("ab1 .-+=#>*_`~|[](){}<>!&;:/\\\"'$@%\n\t\r\u2028\0") | st.characters(), max_size=24)


@given(NASTY)
@example("---")
@example("===")
@example("1986\\. A great")
@example("&lt;b&gt; &#60;")
@example("\n# a\n```\n- b")
def test_foreign_text_is_text_in_a_paragraph_an_item_and_a_cell(text):
    parser, shown = MarkdownIt("commonmark").enable("table").enable("strikethrough"), one_line(text)
    for page in (f"a\n\n{markdown(shown)}\n\nb\n", f"- {markdown(shown)}\n", f"|x|\n|---|\n| {markdown(shown)} |\n"):
        tokens = parser.parse(page)
        plain = parser.parse(page.replace(markdown(shown), "word"))
        assert [token.type for token in tokens] == [token.type for token in plain]
        inline = [child for token in tokens for child in token.children or ()]
        assert {child.type for child in inline} <= {"text", "text_special"}
        written = ["".join(child.content for child in token.children or ()) for token in tokens if token.children]
        assert shown.strip() in written
