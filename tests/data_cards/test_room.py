"""The room itself: no circle of files, one order of sections, and no JSON carried as a dict but recipe and lock."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import gristmill.data_cards as room

HERE = Path(room.__file__).parent
FILES = {".".join(path.relative_to(HERE).with_suffix("").parts): path for path in sorted(HERE.rglob("*.py"))}
PREFIX = "gristmill.data_cards."


def imported(path):
    """Files of the room that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PREFIX):
            module = node.module.removeprefix(PREFIX)
            yield from [module] if module in FILES else [f"{module}.{alias.name}" for alias in node.names]


def test_no_circle_of_files():
    graph = {name: set(imported(path)) for name, path in FILES.items()}
    assert set().union(*graph.values()) <= set(FILES)
    assert list(TopologicalSorter(graph).static_order())


def test_a_page_knows_no_section_and_a_section_is_named_in_one_place():
    assert set(imported(FILES["page"])) == set()
    sections = {name for name in FILES if name.startswith("sections.")} - {"sections.order", "sections.__init__"}
    naming = {name: set(imported(path)) & sections for name, path in FILES.items()}
    assert naming.pop("sections.order") == sections
    assert naming.pop("model_card") < sections  # the card of a model repeats some
    assert not any(naming.values())


def test_no_part_of_a_card_is_an_untyped_dict():
    untyped = {name for name, path in FILES.items() if "dict[str, Any]" in path.read_text()}
    assert untyped == {"reading"}  # the lock, as it is
