"""Write the file tree of the README from the first line of each module's docstring.

``python docs/tree.py`` rewrites the block, ``python docs/tree.py --check`` fails when it is not true.
"""

import ast
import re
import sys
from pathlib import Path

HOUSE = Path(__file__).resolve().parent.parent
ROOMS = (
    "gristmill",
    "flows",
    "data_cards",
    "sources",
    "dedup",
    "filters",
    "knowledge",
    "mixing",
    "tokenizer",
    "trainer",
    "handoff",
    "corpus",
    "bench",
)
WIDTH = 118
BLOCK = re.compile(r"```tree\n.*?```", re.DOTALL)


def first_line(path: Path) -> str:
    """The first sentence of a module docstring, without the full stop."""
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    summary = " ".join(doc.split("\n\n")[0].split())
    return re.split(r"(?<=[^.])\.(?:\s|$)", summary)[0].rstrip(".")


def room_lines(room: str) -> list[str]:
    """A room's own line and one for each of its files."""
    folder = HOUSE / room
    summary = first_line(folder / "__init__.py") if (folder / "__init__.py").exists() else "ratios against peers"
    rows = [f"{room + '/':<28}{summary}"]
    for path in sorted(folder.glob("*.py")):
        if path.name != "__init__.py":
            rows.append(f"  {path.name:<26}{first_line(path)}")
    for inner in sorted(path.parent for path in folder.glob("*/__init__.py")):
        if not inner.is_symlink():
            rows += [f"  {row}" for row in room_lines(inner.relative_to(HOUSE).as_posix())]
    return [row if len(row) <= WIDTH else row[: WIDTH - 3].rstrip() + "..." for row in rows]


def tree() -> str:
    """The whole block."""
    rows = [line for room in ROOMS for line in room_lines(room)]
    return "```tree\n" + "\n".join(rows) + "\n```"


def main() -> None:
    """Rewrite or check README.md."""
    readme = HOUSE / "README.md"
    text = readme.read_text(encoding="utf-8")
    new = BLOCK.sub(lambda _: tree(), text)
    if "--check" in sys.argv and new != text:
        sys.exit("the tree in README.md is not the disk: run `make fix`")
    readme.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
