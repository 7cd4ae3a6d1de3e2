"""Write docs/reference/files.md, every file with the first sentence of its docstring, by room and floor.

``python docs/tree.py`` rewrites the page, ``python docs/tree.py --check`` fails when it is not true.
"""

import ast
import re
import sys
from pathlib import Path

HOUSE = Path(__file__).resolve().parent.parent
PAGE = Path("docs") / "reference" / "files.md"
ROOMS = (  # from the front door down
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
    "corpus",
    "handoff",
    "bench",
)
HEAD = """# Files

Every room and what stands in it, from the front door down; an import goes down, never up.

*(Written from the first sentences of the files by `make fix`; a test compares it with the disk.)*
"""
TAIL = """
## Beside the code

- `tests/` mirrors the rooms; `tests/house/` holds the rules of the house.
- `recipes/` and `samples/`: recipes that are run by tests, and the small real corpus that they mill.
- `docs/`: concepts (a page for each room), how-to, reference, decisions.
"""
CODE = re.compile(r"(``.+?``)")


def first_sentence(path: Path) -> str:
    """The first sentence of a module docstring, without the full stop."""
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    summary = " ".join(doc.split("\n\n")[0].split())
    return re.split(r"(?<=[^.])\.(?:\s|$)", summary)[0].rstrip(".")


def in_markdown(sentence: str) -> str:
    """The sentence with what Markdown would read as its own escaped, code apart."""
    pieces = CODE.split(sentence)
    plain = [piece.replace("*", r"\*").replace("<", "&lt;") for piece in pieces[::2]]
    code = [piece[1:-1] for piece in pieces[1::2]]
    return "".join(text for pair in zip(plain, [*code, ""], strict=True) for text in pair)


def folders(room: Path) -> list[Path]:
    """The room and the rooms inside it that hold Python files; a link to another room is none."""
    inner = sorted(path for path in room.rglob("*") if path.is_dir() and not path.is_symlink())
    return [folder for folder in (room, *inner) if any(folder.glob("*.py"))]


def room_section(folder: Path, house: Path) -> list[str]:
    """Heading, the room's own sentence, and a line for each of its files."""
    name = folder.relative_to(house).as_posix()
    init = folder / "__init__.py"
    lines = ["", f"{'#' * (2 + name.count('/'))} {name}/", ""]
    if init.exists():
        lines += [f"{in_markdown(first_sentence(init))}.", ""]
    files = sorted(path for path in folder.glob("*.py") if path != init)
    return lines + [f"- `{path.name}`: {in_markdown(first_sentence(path))}" for path in files]


def page(house: Path = HOUSE) -> str:
    """The whole page."""
    lines = [line for room in ROOMS for folder in folders(house / room) for line in room_section(folder, house)]
    return HEAD + "\n".join(lines) + "\n" + TAIL


def main(house: Path = HOUSE) -> None:
    """Rewrite the page, or check it."""
    path = house / PAGE
    if "--check" in sys.argv and (not path.exists() or path.read_text(encoding="utf-8") != page(house)):
        sys.exit(f"{PAGE.as_posix()} is not the disk: run `make fix`")
    path.write_text(page(house), encoding="utf-8")


if __name__ == "__main__":
    main()
