"""Write docs/reference/recipe.md from the sections of the recipe and the comments beside their keys.

``python docs/recipe_reference.py`` rewrites the page, ``--check`` fails when it is not true.
"""

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from gristmill.flows.pipeline.recipe import Recipe
from gristmill.flows.pipeline.stages import BUILT_IN

HOUSE = Path(__file__).resolve().parent.parent
PAGE = HOUSE / "docs" / "reference" / "recipe.md"
HEAD = """# The recipe

One TOML file says everything about a corpus. Unknown keys are mistakes; all mistakes are told at once. Amounts are
numbers or texts such as `"4M"`. `recipes/sample.toml` shows most sections in use.

*(Written from the sections in `*/stage.py` and `flows/pipeline/recipe.py` by `make fix`.)*
"""


def sections(model: type[BaseModel], place: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Every table of the recipe with where it stands, the recipe itself first."""
    yield place, model
    for name, info in model.model_fields.items():
        for inner, listed, keyed in tables(info.annotation):
            path = f"{place}.{name}".lstrip(".") + (f".{model_key(inner)}" if keyed else "")
            yield from sections(inner, f"[{path}]" if listed else path)


def tables(annotation: Any) -> Iterator[tuple[type[BaseModel], bool, bool]]:
    """Tables in a type: the model, whether it is one of a list, whether it stands under a name."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation, False, False
        return
    for argument in get_args(annotation):
        for inner, listed, keyed in tables(argument):
            yield inner, listed or get_origin(annotation) is tuple, keyed or get_origin(annotation) is dict


def model_key(model: type[BaseModel]) -> str:
    """What stands for the name of a table: DOMAIN, RULE, NAME."""
    return {"DomainRules": "DOMAIN", "RuleBound": "RULE", "OwnRule": "RULE"}.get(model.__name__, "NAME")


def field_row(field: ast.AnnAssign, lines: list[str]) -> str:
    """A table row: key, type, default, comment."""
    comment = lines[field.lineno - 1].partition("  # ")[2] if field.lineno == field.end_lineno else ""
    kind = ast.unparse(field.annotation).replace("|", "\\|")
    default = "required" if field.value is None else f"`{ast.unparse(field.value)}`"
    key = ast.unparse(field.target).rstrip("_")  # from_ stands for from
    return f"| `{key}` | `{kind}` | {default} | {comment} |"


def own_fields(model: type[BaseModel]) -> list[str]:
    """Rows of a model's keys, those that it inherits from another section first."""
    inherited = [base for base in model.__mro__[1:] if base.__module__.startswith("gristmill") and base.model_fields]
    rows = own_fields(inherited[0]) if inherited else []
    source = textwrap.dedent(inspect.getsource(model))
    body = ast.parse(source).body[0]
    assert isinstance(body, ast.ClassDef)
    return rows + [field_row(node, source.splitlines()) for node in body.body if isinstance(node, ast.AnnAssign)]


def section(place: str, model: type[BaseModel]) -> str:
    """A heading and a table for one model."""
    title = f"## `[{place}]`" if place else "## Top level"
    head = ["| key | type | default | |", "|---|---|---|---|"]
    return "\n".join([title, "", inspect.getdoc(model) or "", "", *head, *own_fields(model), ""])


def page() -> str:
    """The whole page; a table without keys of its own only leads to others and is left out."""
    places = [*sections(Recipe), *added_sections()]
    return "\n".join([HEAD, *(section(place, model) for place, model in places)])


def added_sections() -> Iterator[tuple[str, type[BaseModel]]]:
    """Tables of stages that the recipe takes in by itself, see ``gristmill.flows.pipeline.recipe_reading``."""
    for spec in BUILT_IN:
        if spec.section is not None and spec.recipe_key.split(".")[0] not in Recipe.model_fields:
            yield from sections(spec.section, f"[{spec.recipe_key}]" if spec.each else spec.recipe_key)


def main() -> None:
    """Rewrite or check the page."""
    new = page()
    if "--check" in sys.argv and (not PAGE.exists() or PAGE.read_text(encoding="utf-8") != new):
        sys.exit("docs/reference/recipe.md is not what the sections say: run `make fix`")
    PAGE.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
