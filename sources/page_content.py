"""Which parts of a page are its content: menus, site headers and footers, and lists of nothing but links are taken out.

Not resiliparse's own main-content rules: they drop an unordered list that stands near the root, and with it the steps
of a recipe. What is taken out here says of itself that it is no content (element, role, class), or is made of links.
Whatever holds most of the page's text stays: a page that is one list is that list.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from resiliparse.parse.html import HTMLTree
from resiliparse.parse.html.node import ElementNode

# never text, or not shown
_NO_TEXT = (
    "script, style, template, noscript, noframes, iframe, object, embed, applet, audio, video, canvas, svg, button,"
    " select, input, textarea, datalist, dialog, rt, rp, [hidden], [style*='display:none' i],"
    " [style*='display: none' i], [style*='visibility:hidden' i], .headerlink, .mw-editsection, .sr-only,"
    " .visually-hidden"
)
_HEADING_BUTTONS = "h1 button, h2 button, h3 button, h4 button, h5 button, h6 button, dt button, summary button"
_LANDMARKS = (
    "nav, [role=navigation], [role=search], [role=menu], [role=menubar], [role=tablist], [role=toolbar],"
    " [role=banner], [role=contentinfo], [role=dialog], [role=complementary], body > header, body > footer"
)
_MAIN = "main, article, [role=main], [role=article]"


def _words(names: str) -> frozenset[str]:
    return frozenset(names.split())


_BLOCKS = _words(
    "address article aside blockquote body center dd details div dl dt fieldset figure footer form h1 h2 h3 h4 h5"
    " h6 header li main menu nav ol p pre section summary table tbody td tfoot th thead tr ul"
)
_PARTS_OF_LISTS = _words("li dt dd tr td th tbody thead tfoot")
_LISTS = _words("ul ol dl menu table")
_KEPT_WHOLE = frozenset(("body", "html", "main", "article", "head"))

_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_WORDS = re.compile(r"[^a-z]+")
_LINKS = _words("menu menubar submenu toc sitemap related tabs links toolbar tags header masthead topbar")
_ENDS = ("nav", "navigation", "navbar", "sidebar", "breadcrumbs", "breadcrumb")
_FURNITURE = _words(
    "nav navbar navbox navigation navheader navfooter navlinks navlist navmenu topnav subnav sidenav breadcrumb"
    " breadcrumbs crumbs pagination pager paginator skiplink skiplinks sidebar footer share sharing sharebar social"
    " cookie cookies consent gdpr advert adverts advertisement ads ad sponsored sponsor promo newsletter subscribe"
    " signup login popup modal"
)

# What holds more of the page's characters than this is the page: a block of links without another sign; what a class
# calls a sidebar; an element that is navigation by its own name, which is larger than the content of many pages.
_MOST_OF_PAGE, _HALF_OF_PAGE, _ALL_OF_PAGE = 0.75, 0.5, 0.95
_LINK_SHARE = 0.75  # of the characters of a block that is made of links
_SEPARATORS = re.compile(r"[\s|·•»«›‹/>,;:()\[\]\-–—*]+")
_MENU_LINKS = 2
_SHORT_LINK = 12  # in an article only Back, Next and their like are no content
_LONG_LINK = 60  # characters on average: headlines, not entries of a menu
_SHORT = 500  # characters; of longer texts separators are a small share, and counting them the larger time
_CALL_COST = 16  # in characters: a page of empty links has no text and still costs time
_MEASURED_TIMES = 40  # a page's text is measured at most so often
_CLIMB = 8  # levels from a link to the block that it belongs to


def strip_page(tree: HTMLTree) -> None:
    """Take out of ``tree`` all that is no content; its text is never emptied by rules that guess."""
    body = tree.body
    if body is None:
        return
    for node in body.query_selector_all(_HEADING_BUTTONS)[:]:  # a question that unfolds its answer
        text = tree.create_text_node(node.text or "")
        if node.parent is not None and text is not None:
            node.parent.replace_child(text, node)
    for node in body.query_selector_all(_NO_TEXT)[:]:
        node.remove()
    _Page(body).strip()


class _Page:
    """The guesses at one page, in time linear in its size: hostile nesting ends them, not the run."""

    def __init__(self, body: ElementNode):
        self._body = body
        self._left = _MEASURED_TIMES * (len(body.text or "") + _CALL_COST * 1000)  # characters, yet to measure
        self._total = self._size(body)

    def strip(self) -> None:
        """Landmarks, what a class says, and blocks of links, in this order."""
        for node in self._body.query_selector_all(_LANDMARKS)[:]:
            self._take_out(node, _ALL_OF_PAGE)
        for node in self._body.query_selector_all("header, footer, aside")[:]:
            if node.closest(_MAIN) is None or self._is_of_links(node):
                self._take_out(node, _HALF_OF_PAGE)
        for node in self._body.query_selector_all("[class], [id]")[:]:
            if node.tag not in _KEPT_WHOLE and (share := self._share_by_class(node)):
                self._take_out(node, share)
        for block in self._blocks_of_links():
            self._take_out(block, _MOST_OF_PAGE)

    def _take_out(self, node: ElementNode, share: float) -> None:
        """Remove ``node`` unless it holds the page's title, its main element or more than ``share`` of its text."""
        if self._left <= 0 or self._size(node) > share * self._total:
            return
        if node.tag == "nav" or node.query_selector(f"h1, {_MAIN}") is None:
            node.remove()

    def _share_by_class(self, node: ElementNode) -> float:
        """How much of the page an element of this class and id may hold and still be taken out; 0 for content."""
        is_furniture, is_links = _called(f"{node.getattr('class') or ''} {node.getattr('id') or ''}")
        if is_furniture:
            return _ALL_OF_PAGE if self._is_of_links(node) else _HALF_OF_PAGE
        return _MOST_OF_PAGE if is_links and self._is_of_links(node) else 0.0

    def _blocks_of_links(self) -> Iterator[ElementNode]:
        """The largest blocks that are made of links: menus that do not say so, contents of the page itself."""
        done: set[ElementNode] = set()
        for link in self._body.query_selector_all("a[href]")[:]:
            block = _block_of(link)
            if block in done or block.tag in _KEPT_WHOLE:
                continue
            done.add(block)
            if self._is_of_links(block):
                yield from filter(self._is_menu, self._largest(block, done))
            elif block.tag == "table" and (cell := link.closest("td, th")) is not None and cell not in done:
                done.add(cell)  # a column of links, in a table that lays out the page
                yield from [cell] if self._is_of_links(cell) and self._is_menu(cell) else ()

    def _largest(self, block: ElementNode, done: set[ElementNode]) -> Iterator[ElementNode]:
        above = block.parent_element
        while above is not None and above.tag not in _KEPT_WHOLE and self._is_of_links(above):
            if above in done:
                return
            block = above
            done.add(block)
            above = block.parent_element
        yield block

    def _is_menu(self, block: ElementNode) -> bool:
        """True for several short links; in an article a list of links to elsewhere is content, one to itself is not."""
        links = block.query_selector_all("a[href]")[:]
        if len(links) < _MENU_LINKS or self._size(block) > _LONG_LINK * len(links):
            return False
        if block.closest(_MAIN) is None:
            return True
        if block.tag in _LISTS:
            return all("#" in (link.getattr("href") or "") for link in links)
        return self._size(block) <= _SHORT_LINK * len(links)

    def _is_of_links(self, node: ElementNode) -> bool:
        """Links hold _LINK_SHARE of the characters that are neither white space nor separators."""
        size = self._size(node)
        return size > 0 and self._size(*node.query_selector_all("a")[:]) >= _LINK_SHARE * size

    def _size(self, *nodes: ElementNode) -> int:
        """Characters of the nodes together, white space and separators apart; 0 when too much has been measured."""
        text = "".join([node.text or "" for node in nodes])
        self._left -= len(text) + _CALL_COST * len(nodes)
        if self._left <= 0:
            return 0
        return len(_SEPARATORS.sub("", text)) if len(text) < _SHORT else len("".join(text.split()))


@lru_cache(maxsize=4096)  # a page repeats its few classes
def _called(names: str) -> tuple[bool, bool]:
    """Whether words of a class or id name furniture of a page, and what may be a list of links."""
    words = set(_WORDS.split(_CAMEL.sub(" ", names).lower()))
    joined = any(word.endswith(_ENDS) for word in words)  # globalnav, pagefooter
    return joined or bool(words & _FURNITURE), bool(words & _LINKS) or any(word.endswith("menu") for word in words)


def _block_of(link: ElementNode) -> ElementNode:
    """The nearest block around a link; for an entry of a list the list."""
    node = link
    for _ in range(_CLIMB):
        if node.tag in _LISTS or (node.tag in _BLOCKS and node.tag not in _PARTS_OF_LISTS):
            break
        above = node.parent_element
        if above is None:
            break
        node = above
    return node
