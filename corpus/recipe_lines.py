"""Where a key stands in the text of a recipe."""

import re
from collections.abc import Iterator
from typing import Any

_HEADER = re.compile(r"^\s*\[+([^\]]+)\]+")
_KEY = re.compile(r"""^\s*["']?([A-Za-z0-9_-]+)["']?\s*=""")


def find_line(text: str, where: list[Any]) -> int:
    r"""The line of a key or of the nearest table above it; 0 when there is none.

    >>> find_line('name = "a"\n[[sources]]\npath = "x"\n[[sources]]\npath = "y"', ["sources", 1, "path"])
    5
    """
    best_line, best_depth = 0, 0
    for line, path in _paths(text):
        depth = 0
        while depth < min(len(path), len(where)) and path[depth] == where[depth]:
            depth += 1
        if depth == len(path) and depth > best_depth:
            best_line, best_depth = line, depth
    return best_line


def _paths(text: str) -> Iterator[tuple[int, list[Any]]]:
    """(line, key path) of every table header and key, arrays of tables with their position."""
    table: list[Any] = []
    counts: dict[str, int] = {}
    for line, content in enumerate(text.split("\n"), 1):
        if header := _HEADER.match(content):
            name = header[1].strip()
            table = [part.strip().strip("\"'") for part in name.split(".")]
            if content.lstrip().startswith("[["):
                counts[name] = counts.get(name, -1) + 1
                table = [*table, counts[name]]
            yield line, table
        elif key := _KEY.match(content):
            yield line, [*table, key[1]]
