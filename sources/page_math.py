"""Mathematics of a page as TeX, once: MathML, MathJax and KaTeX each hold a formula two or three times.

The author's own TeX is taken where the page has it (annotation, alttext, script of type math/tex); MathML without
it is written as TeX. Raised and lowered text becomes 10^6 and x_i, for 106 and xi are other numbers and words.
"""

import re

from resiliparse.parse.html import HTMLTree
from resiliparse.parse.html.node import ElementNode

_DRAWN = (  # what MathJax 2 draws beside its script
    ".MathJax, .MathJax_Preview, .MathJax_Display, .MathJax_CHTML, .MathJax_SVG, .MathJax_SVG_Display, .MJXc-display"
)
_AROUND = ".katex-display, .katex, mjx-container, .mwe-math-element"  # one formula, drawn and as MathML
_WRAPPED = re.compile(r"\{\\(?:displaystyle|textstyle)\s*(.*)\}", re.DOTALL)
_ORDINAL = re.compile(r"(?:st|nd|rd|th|er|re|ère|e|ème|o|a|º|ª|tm|sm|®|™|©)\.?", re.IGNORECASE)
_ONE_NUMBER = re.compile(r"\w|[-−+]?\d+|[*+−\-′'†‡]")  # in HTML, where 10^12 is one number
_MAX_DEPTH = 64  # MathML nested deeper is given as its bare text


def write_formulas(tree: HTMLTree) -> None:
    """Put TeX in the place of every formula, and ^ and _ before raised and lowered text."""
    if tree.body is None or tree.document is None:
        return
    if tree.document.query_selector("script[type^='math/']") is not None:
        for node in tree.document.query_selector_all(_DRAWN)[:]:
            node.remove()
    for node in tree.document.query_selector_all("script[type^='math/']")[:]:
        if (node.getattr("type") or "").startswith("math/tex"):
            _put(tree, node, _unwrapped(node.text or ""), is_block="display" in (node.getattr("type") or ""))
    for node in tree.body.query_selector_all(_AROUND)[:]:
        math = node.query_selector("math")
        if math is not None:
            _put(tree, node, _tex(math), is_block=_is_display(node) or _is_display(math))
    for node in tree.body.query_selector_all("math")[:]:
        _put(tree, node, _tex(node), is_block=_is_display(node))
    for node in tree.body.query_selector_all("sup, sub")[:]:
        _put(tree, node, _raised(node), is_block=False)


def _put(tree: HTMLTree, node: ElementNode, text: str, *, is_block: bool) -> None:
    new = tree.create_text_node(text)
    block = tree.create_element("p") if is_block else None
    if node.parent is None or new is None:
        return
    if block is not None:
        block.append_child(new)
    node.parent.replace_child(block or new, node)


def _is_display(node: ElementNode) -> bool:
    return node.getattr("display") in ("block", "true") or "display" in (node.getattr("class") or "")


def _tex(math: ElementNode) -> str:
    annotation = math.query_selector("annotation[encoding*='tex' i]")
    own = annotation.text if annotation is not None else math.getattr("alttext")
    return _unwrapped(own) if own and own.strip() else _written(math, 0).strip()


def _unwrapped(tex: str) -> str:
    tex = tex.strip()
    wrapped = _WRAPPED.fullmatch(tex)
    return wrapped[1].strip() if wrapped else tex


def _raised(node: ElementNode) -> str:
    """``^2``, ``_{i+1}``; ordinals as they are, marks of notes in brackets."""
    text = (node.text or "").strip()
    if not text or text.startswith(("[", "(")) or (node.tag == "sup" and _ORDINAL.fullmatch(text)):
        return text
    if node.query_selector("a") is not None or node.closest("a") is not None:
        return f"[{text}]"
    sign = "^" if node.tag == "sup" else "_"
    return f"{sign}{text}" if _ONE_NUMBER.fullmatch(text) else f"{sign}{{{text}}}"


_SCRIPTS = {"msup": "^", "msub": "_", "msubsup": "_^", "munder": "_", "mover": "^", "munderover": "_^"}


def _written(node: ElementNode, depth: int) -> str:
    """MathML as TeX; each argument of a script or a fraction in braces unless it is one token."""
    children = node.children[:]
    name = (node.tag or "").lower()
    if depth > _MAX_DEPTH or not children:
        return " ".join((node.text or "").split())
    if name.startswith("annotation"):
        return ""
    parts = [_written(child, depth + 1) for child in children]
    if name == "msqrt":
        return rf"\sqrt{{{''.join(parts)}}}"
    if name == "mtr":
        return " & ".join(parts)
    if name == "mtable":
        return r" \\ ".join(parts)
    if name == "semantics":
        return parts[0]
    return _scripted(name, parts)


def _scripted(name: str, parts: list[str]) -> str:
    signs = _SCRIPTS.get(name, "")
    if name == "mfrac" and len(parts) == 2:
        return rf"\frac{{{parts[0]}}}{{{parts[1]}}}"
    if name == "mroot" and len(parts) == 2:
        return rf"\sqrt[{parts[1]}]{{{parts[0]}}}"
    if not signs or len(parts) != 1 + len(signs):
        return "".join(parts)
    return parts[0] + "".join(map(_script, signs, parts[1:]))


def _script(sign: str, text: str) -> str:
    """In TeX a script is one character, or stands in braces."""
    return f"{sign}{text}" if len(text) == 1 else f"{sign}{{{text}}}"
