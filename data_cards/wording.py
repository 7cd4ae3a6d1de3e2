"""Numbers and foreign text as a page shows them: units, shares, and the escapes of Markdown and YAML.

Names, licences, hosts and rules come from untrusted inputs; what a page prints goes through here, or
through Jinja's own escaping in HTML.
"""

import re
from typing import Any

_SPECIAL = re.compile(r"([\\`*_\[\]|~$])")
_LEADING = re.compile(r"^(\d*)([#>]|[-+.)=](?=\s|$)|-(?=[-\s]*$)|=(?=[=\s]*$))")
_SPACE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")
MAX_CHARS = 300  # of a foreign text in a table


def number(value: float | None) -> str:
    """A number with thousands separators, fractions to three digits; a dash for none.

    >>> number(1234567), number(0.12345), number(None), number(2.0)
    ('1,234,567', '0.123', '–', '2')
    """
    if value is None:
        return "–"
    if isinstance(value, float) and not value.is_integer():
        return f"{value:,.3f}".rstrip("0").rstrip(".") if abs(value) >= 1 else f"{value:.3g}"
    return f"{int(value):,}"


def counted(n: int, noun: str, plural: str = "") -> str:
    """A number and what it counts.

    >>> counted(1, "record"), counted(2480, "entry", "entries")
    ('1 record', '2,480 entries')
    """
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def size(n_bytes: float) -> str:
    """Bytes with a decimal unit.

    >>> size(999), size(1_234_567)
    ('999 B', '1.23 MB')
    """
    for scale, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if n_bytes >= scale:
            return f"{n_bytes / scale:.3g} {unit}"
    return f"{n_bytes:.0f} B"


def percent(share: float) -> str:
    """A share as text.

    >>> percent(0.123), percent(0.00012), percent(1)
    ('12.3 %', '0.012 %', '100 %')
    """
    return f"{100 * share:.3g} %"


def ratio(part: float, whole: float) -> str:
    """A part of a whole in percent; a dash when there is no whole.

    >>> ratio(1, 8), ratio(0, 0)
    ('12.5 %', '–')
    """
    return percent(part / whole) if whole else "–"


def flat(text: str) -> str:
    r"""Text on one line: white space and control characters become single spaces.

    >>> flat(" two\n\tlines ")
    'two lines'
    """
    return _SPACE.sub(" ", text).strip()


def one_line(value: Any) -> str:
    """Foreign text on one line of bounded length, without control characters."""
    text = flat("" if value is None else str(value)) or "not stated"
    return text if len(text) <= MAX_CHARS else text[: MAX_CHARS - 1] + "…"


def markdown(value: Any) -> str:
    r"""Foreign text as literal Markdown: no markup, no HTML, no table cell or list of its own.

    >>> print(markdown("a|b <script>*x*"), markdown("- no list"), markdown("2.5 kB"))
    a\|b &lt;script>\*x\* \- no list 2.5 kB
    """
    text = _SPECIAL.sub(r"\\\1", str(value).replace("&", "&amp;").replace("<", "&lt;"))
    return _LEADING.sub(r"\1\\\2", text)


def fenced(text: str, language: str = "") -> str:
    """A code block whose fence is longer than any run of backticks inside.

    >>> fenced("a ``` b").splitlines()[0]
    '````'
    """
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"
