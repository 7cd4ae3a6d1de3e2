"""Where in a text a signal sees what it counts, for a person who reads one document.

Plain Python over one bounded piece of text: it shows, it measures nothing, and no verdict depends on it. Words here
are white-space words; a piece of text knows no repetition of what stands outside it.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

Range = tuple[int, int]  # characters [start, end)
_ENDS = ".!?\"'…。！？”’»"
_PATTERNS = {
    "javascript_lines": ("javascript", re.compile(r"javascript", re.I)),
    "policy_lines": (
        "phrases of cookie and privacy notices",
        re.compile(r"terms of use|privacy policy|cookie policy|uses cookies|use of cookies|use cookies", re.I),
    ),
    "lorem_ipsum": ("lorem ipsum", re.compile(r"lorem ipsum", re.I)),
    "curly_brackets": ("curly brackets", re.compile(r"\{")),
    "hash_word_ratio": ("# characters", re.compile(r"#")),
    "ellipsis_word_ratio": ("ellipses", re.compile(r"\.\.\.|…")),
}
_LINES: dict[str, tuple[str, Callable[[str], bool]]] = {
    "bullet_line_share": ("lines that begin with a bullet", lambda line: line.startswith(("•", "-", "*", "●"))),
    "ellipsis_line_share": ("lines that end with an ellipsis", lambda line: line.endswith(("...", "…", ". . ."))),
    "short_line_share": ("lines of at most 30 characters", lambda line: len(line) <= 30),
    "terminal_punct_line_share": ("lines that end with a full stop or the like", lambda line: line[-1] in _ENDS),
    "sentence_end_line_share": ("lines that end with a full stop or the like", lambda line: line[-1] in _ENDS),
}
_GRAM = re.compile(r"(top|dup)_(\d+)gram")


def highlights(text: str, signal: str) -> tuple[str, list[Range]]:
    r"""What ``signal`` counts in ``text``.

    Returns
    -------
    What is marked, in words, and where: sorted ranges of characters that do not touch. ("", []) for a signal that
    counts no particular place, such as a number of words

    >>> highlights("one\ntwo\none\n", "dup_line_share")
    ('lines seen before', [(8, 11)])
    """
    if gram := _GRAM.search(signal):
        n = int(gram[2])
        if gram[1] == "top":
            return f"the most frequent {n} words in a row", _joined(_top_grams(text, n))
        return f"{n} words in a row that were seen before", _joined(_repeated_grams(text, n))
    for unit, pattern in (("line", r"[^\n]+"), ("paragraph", r"[^\n]+(?:\n[^\n]+)*")):
        if f"dup_{unit}_" in signal:
            return f"{unit}s seen before", _joined(_repeated(text, pattern))
    if signal in _PATTERNS:
        caption, pattern = _PATTERNS[signal]
        return caption, _joined(match.span() for match in pattern.finditer(text))
    for name, (caption, test) in _LINES.items():
        if signal.endswith(name):
            return caption, _joined(at for at, line in _lines(text) if test(line))
    return "", []


def _lines(text: str) -> Iterator[tuple[Range, str]]:
    """Lines with more than white space, stripped."""
    for match in re.finditer(r"[^\n]+", text):
        if line := match[0].strip():
            yield match.span(), line


def _repeated(text: str, pattern: str) -> Iterator[Range]:
    seen = set()
    for match in re.finditer(pattern, text):
        if (unit := match[0].strip()) in seen:
            yield match.span()
        elif unit:
            seen.add(unit)


def _grams(text: str, n: int) -> tuple[list[Range], list[tuple[str, ...]]]:
    words = list(re.finditer(r"\S+", text))
    tokens = [word[0] for word in words]
    spans = [(words[at].start(), words[at + n - 1].end()) for at in range(len(words) - n + 1)]
    return spans, list(zip(*(tokens[shift:] for shift in range(n)), strict=False))


def _top_grams(text: str, n: int) -> Iterator[Range]:
    spans, grams = _grams(text, n)
    top, count = Counter(grams).most_common(1)[0] if grams else ((), 0)
    if count > 1:
        yield from (span for span, gram in zip(spans, grams, strict=True) if gram == top)


def _repeated_grams(text: str, n: int) -> Iterator[Range]:
    seen = set()
    for span, gram in zip(*_grams(text, n), strict=True):
        if gram in seen:
            yield span
        seen.add(gram)


def _joined(ranges: Iterable[Range]) -> list[Range]:
    """Ranges in order of their starts, with those that overlap or touch made one."""
    joined: list[Range] = []
    for start, end in ranges:
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
