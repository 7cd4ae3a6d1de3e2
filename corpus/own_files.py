"""Small text files that people write for a recipe: lists, templates, the recipe itself.

Editors put a byte-order mark before the text and a carriage return behind each line; neither is content. Only line
feeds end lines: an id or a word may hold the other characters at which Python parts lines, U+2028 or U+0085 say.
"""

from pathlib import Path


def read_own_text(path: Path) -> str:
    """The text, without a byte-order mark; OSError, or UnicodeDecodeError where it is not UTF-8."""
    return path.read_text(encoding="utf-8-sig")


def read_own_lines(path: Path) -> list[str]:
    """Lines with something on them, without white space around; errors as ``read_own_text``."""
    return [line for line in map(str.strip, read_own_text(path).split("\n")) if line]
