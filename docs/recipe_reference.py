"""Write docs/reference/recipe.md from the models in corpus/recipe*.py and the comments beside their fields.

``python docs/recipe_reference.py`` rewrites the page, ``--check`` fails when it is not true.
"""

import ast
import sys
from pathlib import Path

HOUSE = Path(__file__).resolve().parent.parent
SOURCES = [HOUSE / "corpus" / name for name in ("recipe.py", "recipe_screens.py")]
PAGE = HOUSE / "docs" / "reference" / "recipe.md"
HEAD = """# The recipe

One TOML file says everything about a corpus. Unknown keys are mistakes; all mistakes are told at once. Amounts are
numbers or texts such as `"4M"`. `recipes/sample.toml` shows most sections in use.

*(Written from `corpus/recipe.py` and `corpus/recipe_screens.py` by `make fix`.)*
"""
# where each model stands in a recipe
PLACES = {
    "Recipe": "top level",
    "SourceSpec": "[[sources]]",
    "Limits": "[limits]",
    "Language": "[language]",
    "Decide": "[decide]",
    "DomainRules": "[decide], [decide.domains.DOMAIN]",
    "RuleBound": "[decide.rules.RULE], [decide.domains.DOMAIN.rules.RULE]",
    "LineEdits": "[line_edits]",
    "Pii": "[pii]",
    "Blocklist": "[blocklist]",
    "Decontaminate": "[decontaminate]",
    "Classifier": "[[classifiers]]",
    "Reference": "[[references]]",
    "Compression": "[compression]",
    "Near": "[dedup.near]",
    "Lines": "[dedup.lines]",
    "Substrings": "[dedup.substrings]",
    "Knowledge": "[knowledge]",
    "Phase": "[[curriculum]]",
    "Caps": "[mixing.caps]",
    "Tokenizer": "[tokenizer]",
    "Shards": "[shards]",
    "Trainer": "[trainer]",
    "Schedule": "[schedule]",
    "Engine": "[engine]",
    "StoreSpec": "[store]",
}


def field_row(field: ast.AnnAssign, lines: list[str]) -> str:
    """A table row: key, type, default, comment."""
    comment = lines[field.lineno - 1].partition("  # ")[2] if field.lineno == field.end_lineno else ""
    kind = ast.unparse(field.annotation).replace("|", "\\|")
    default = "required" if field.value is None else f"`{ast.unparse(field.value)}`"
    return f"| `{ast.unparse(field.target)}` | `{kind}` | {default} | {comment} |"


def section(model: ast.ClassDef, lines: list[str]) -> str:
    """A heading and a table for one model."""
    fields = [node for node in model.body if isinstance(node, ast.AnnAssign)]
    rows = [field_row(field, lines) for field in fields]
    title = f"## `{PLACES[model.name]}`" if model.name != "Recipe" else "## Top level"
    return "\n".join(
        [title, "", ast.get_docstring(model) or "", "", "| key | type | default | |", "|---|---|---|---|", *rows, ""]
    )


def page() -> str:
    """The whole page."""
    models: dict[str, tuple[ast.ClassDef, list[str]]] = {}
    for source in SOURCES:
        text = source.read_text(encoding="utf-8")
        classes = (node for node in ast.parse(text).body if isinstance(node, ast.ClassDef))
        models |= {node.name: (node, text.splitlines()) for node in classes}
    unknown = [name for name in models if name not in PLACES and name not in ("Dedup", "Mixing")]
    if unknown:
        sys.exit(f"docs/recipe_reference.py: say in PLACES where {unknown} stand in a recipe")
    return "\n".join([HEAD, *(section(*models[name]) for name in PLACES)])


def main() -> None:
    """Rewrite or check the page."""
    new = page()
    if "--check" in sys.argv and (not PAGE.exists() or PAGE.read_text(encoding="utf-8") != new):
        sys.exit("docs/reference/recipe.md is not corpus/recipe.py: run `make fix`")
    PAGE.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
