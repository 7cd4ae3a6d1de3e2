"""What of a page is content: 40 generated pages, each kind of block at each depth, with navigation around."""

import random
from itertools import product

import pytest

from gristmill.sources.html import extract

WORDS = ["river", "garden", "winter", "market", "silver", "letter", "window", "summer", "basket", "mountain"]


class Items:
    """Sentences and navigation entries that occur nowhere else."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.content, self.navigation = [], []

    def sentence(self, n_words=9):
        self.content.append(f"item{len(self.content)}x " + " ".join(self.random.choices(WORDS, k=n_words)))
        return self.content[-1]

    def entry(self):
        self.navigation.append(f"nav{len(self.navigation)}x {self.random.choice(WORDS)}")
        return self.navigation[-1]

    def links(self, count, form="<li><a href='/p{0}'>{1}</a></li>"):
        return "".join(form.format(i, self.entry()) for i in range(count))


def some_list(items, kind="ul"):
    return f"<{kind}>" + "".join(f"<li>{items.sentence()}</li>" for _ in range(4)) + f"</{kind}>"


def nested_list(items):
    inner = f"<li>{items.sentence()}<ol><li>{items.sentence()}</li><li>{items.sentence()}</li></ol></li>"
    return f"<ul><li>{items.sentence()}</li>{inner}<li>{items.sentence()}</li></ul>"


def code(items):
    return f"<p>{items.sentence()}</p><pre><code>{items.sentence()}\n    {items.sentence()}\n</code></pre>"


def table(items):
    rows = "".join(f"<tr><td>{items.sentence(3)}</td><td>{items.sentence(3)}</td></tr>" for _ in range(4))
    return f"<table><tr><th>{items.sentence(1)}</th><th>{items.sentence(1)}</th></tr>{rows}</table>"


def definitions(items):
    return "<dl>" + "".join(f"<dt>{items.sentence(2)}</dt><dd>{items.sentence()}</dd>" for _ in range(4)) + "</dl>"


def prose(items):
    return "".join(f"<p>{items.sentence(20)} <a href='/x'>{items.sentence(2)}</a>.</p>" for _ in range(3))


BLOCKS = [some_list, lambda items: some_list(items, "ol"), nested_list, code, table, definitions, prose]


def before(items, style):
    """Navigation in front of the content, in the five ways of the web."""
    return [
        lambda: f"<header><a href=/>{items.entry()}</a><nav><ul>{items.links(6)}</ul></nav></header>",
        lambda: f"<div class='site-nav'><ul>{items.links(6)}</ul></div>",
        lambda: f"<ul>{items.links(6)}</ul>",
        lambda: f"<div><div id=mainMenu>{items.links(5, '<div><a href=/p{0}>{1}</a></div>')}</div></div>",
        lambda: f"<table><tr>{items.links(6, '<td><a href=/p{0}>{1}</a></td>')}</tr></table>",
    ][style % 5]()


def after(items, style):
    return [
        lambda: f"<footer><p>{items.entry()}</p><ul>{items.links(4)}</ul></footer>",
        lambda: f"<div class=footer><p>{items.entry()} <a href=/a>{items.entry()}</a></p></div>",
        lambda: "<p>" + items.links(4, "<a href=/p{0}>{1}</a> | ") + "</p>",
        lambda: f"<aside><h3>{items.entry()}</h3><ul>{items.links(5)}</ul></aside>",
        lambda: f"<div class='sidebar right'><ul>{items.links(5)}</ul></div>",
    ][(style + style // 5) % 5]()


def page(seed):
    items = Items(seed)
    depth, block = seed % 4, BLOCKS[seed % len(BLOCKS)]
    around = ["article", "main", "div", None][seed // 4 % 4]
    head = before(items, seed)
    body = f"<h1>{items.sentence(3)}</h1>" + (prose(items) if seed % 3 else "") + block(items)
    body += prose(items) if seed % 2 else ""
    body = f"<{around}>{body}</{around}>" if around else body
    html = "<div>" * depth + body + "</div>" * depth
    return items, f"<!doctype html><html lang=en><title>t</title><body>{head}{html}{after(items, seed)}</body></html>"


def test_every_item_of_content_once_and_navigation_gone():
    lines = kept = 0
    for seed in range(40):
        items, html = page(seed)
        text = extract(html.encode()).text
        wrong = {item: text.count(item) for item in items.content if text.count(item) != 1}
        assert not wrong, (seed, html, text)
        lines += len(items.navigation)
        kept += sum(entry in text for entry in items.navigation)
    assert lines > 300
    assert kept <= lines / 50


@pytest.mark.parametrize(("kind", "depth"), [*product(["ul", "ol", "dl", "table", "p"], range(4))])
def test_a_page_that_is_one_block_is_that_block(kind, depth):
    items = Items(depth)
    blocks = {"dl": definitions, "table": table, "p": prose}
    block = blocks[kind](items) if kind in blocks else some_list(items, kind)
    text = extract(f"<body>{'<div>' * depth}{block}".encode()).text
    assert [text.count(item) for item in items.content] == [1] * len(items.content)


def test_a_page_of_links_is_its_links():
    items = Items(0)
    text = extract(f"<body><nav>{items.links(3)}</nav><ul>{items.links(40)}</ul>".encode()).text
    assert all(entry in text for entry in items.navigation[3:])
    assert not any(entry in text for entry in items.navigation[:3])


@pytest.mark.parametrize(
    ("html", "kept", "gone"),
    [
        ("<div class=menu><ul><li>{c}</li><li>{c}</li></ul></div><p>{c}</p>", 3, 0),  # of a restaurant
        ("<main><p>{c}</p><ul><li><a href=/a>{c}</a><li><a href=/b>{c}</a></ul></main>", 3, 0),  # see also
        ("<main><ul><li><a href=#a>{n}</a><li><a href=#b>{n}</a></ul><p>{c}</p><p>{c}</p></main>", 2, 2),  # of itself
        ("<body class='has-sidebar nav-open'><p>{c}</p>", 1, 0),
        ("<div class=sidebar><main><p>{c}</p></main></div>", 1, 0),
        ("<article><header><h1>{c}</h1></header><p>{c}</p><aside>{c}</aside></article>", 3, 0),
        ("<form><p>{c}</p><button>{n}</button><select><option>{n}</select></form>", 1, 2),
        ("<p>{c}</p><p hidden>{n}</p><p style='color:red; Display:None'>{n}</p><template>{n}</template>", 1, 3),
        ("<p>{c}<ruby>x<rp>(</rp><rt>{n}</rt></ruby></p>", 1, 1),
        ("<h2>{c}<a class=headerlink href=#x>{n}</a></h2><p>{c}</p>", 2, 1),
        ("<p>{c}</p><svg><text>{n}</text></svg><iframe>{n}</iframe><script>{n}</script>", 1, 3),
        (
            "<main><p>{c}</p><p><a href=/a>{c}</a> <a href=/b>{c}</a></p><p><a href=/a>Back</a> <a href=/b>On</a></p>",
            3,
            0,
        ),
        ("<table><tr><td><a href=/a>{n}</a><br><a href=/b>{n}</a><td><p>{c}<td>{c}</table>", 2, 2),
        ("<div class=globalnav><a href=/a>{n}</a> <b>{n}</b></div><p>{c}", 1, 2),
        ("<p>{c}<noframes><p>{n}</noframes>", 1, 1),
    ],
)
def test_what_stays_and_what_goes(html, kept, gone):
    items = Items(1)
    while "{c}" in html or "{n}" in html:
        html = html.replace("{c}", items.sentence(), 1) if "{c}" in html else html.replace("{n}", items.entry(), 1)
    text = extract(html.encode()).text
    assert [text.count(item) for item in items.content] == [1] * kept
    if gone:
        assert len(items.navigation) == gone
        assert not any(entry in text for entry in items.navigation)


@pytest.mark.parametrize("style", range(5))
def test_a_menu_larger_than_its_page(style):
    """Of a page with little text most characters are navigation."""
    items = Items(style)
    menu, text = before(items, style), "".join(f"<li>{items.sentence(1)}</li>" for _ in range(6))
    found = extract(f"<body>{menu}<div><ul>{text}</ul></div>{after(items, style)}".encode()).text
    assert [found.count(item) for item in items.content] == [1] * 6
    assert not any(entry in found for entry in items.navigation)


def test_a_page_inside_what_is_called_a_sidebar():
    items = Items(1)
    html = f"<h1>{items.sentence(2)}</h1><div class='with-sidebar'>{prose(items)}</div>"
    assert all(item in extract(html.encode()).text for item in items.content)


@pytest.mark.parametrize("tag", ["div class=nav", "ul", "a href=x", "header", "table", "math", "sup", "p class=ad"])
@pytest.mark.parametrize("depth", [500, 9000])
def test_hostile_nesting_ends(tag, depth):
    """The text is measured at most a fixed number of times; and beyond a depth the page is written as it is."""
    name = tag.split()[0]
    assert "end" in extract((f"<{tag}>word " * depth + f"</{name}>" * depth + "<p>end").encode()).text
