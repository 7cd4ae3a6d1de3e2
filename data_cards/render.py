"""Write a card: card.json from the run, and from card.json alone README.md, croissant.json, card.html and figures.

Because pages are a pure function of card.json, ``check`` can render them again and see whether anyone typed in them.
"""

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gristmill.corpus.files import write_text
from gristmill.corpus.rundir import RunDir
from gristmill.data_cards.card import CARD, Card, card_text
from gristmill.data_cards.croissant import croissant
from gristmill.data_cards.figures import FIGURES, draw_figures
from gristmill.data_cards.front_matter import front_matter
from gristmill.data_cards.gather import gather
from gristmill.data_cards.overview import glance, headline
from gristmill.data_cards.page import Cell, Section, Share
from gristmill.data_cards.parts.row_samples import sample_file, sample_text
from gristmill.data_cards.reading import FolderOf
from gristmill.data_cards.sections.order import sections
from gristmill.data_cards.training_figures import training_figures
from gristmill.data_cards.training_page import training_glance, training_headline, training_sections
from gristmill.data_cards.training_tables import TrainingTables
from gristmill.data_cards.wording import fenced, markdown, percent

FIGURE_FILES = tuple(f"{name}.svg" for name in FIGURES)
HERE = Path(__file__).parent
Glance = Sequence[tuple[str, str, str]]


def write_card(run: RunDir, folder_of: FolderOf, folder: Path) -> list[str]:
    """Fill ``folder`` with the card of a run.

    Parameters
    ----------
    run : a run that has come as far as its plan
    folder_of : the store folder of a receipt
    folder : an existing folder

    Returns
    -------
    names of the files, sorted

    Raises
    ------
    StoreError, CardError : as ``gather``
    """
    card = gather(run, folder_of)
    samples = {sample_file(domain): sample_text(run, domain) for domain in card.row_samples}
    files = {CARD: card_text(card.to_json()), **render(card), **samples}
    for name, text in files.items():
        write_text(folder / name, text)
    return sorted(files)


def render(card: Card) -> dict[str, str]:
    """Every other file of the card, by name; ``card`` as read from card.json or as gathered."""
    text = card_text(card.to_json())
    card = Card.from_json(json.loads(text))  # one order of keys, for every caller
    figures = _figures_of(text)
    structured = json.dumps(croissant(card, headline(card)), indent=2, ensure_ascii=False) + "\n"
    pages = {"README.md": render_readme(card), "croissant.json": structured, "card.html": render_html(card, figures)}
    return {**pages, **figures}


@lru_cache(maxsize=1)  # a run ends with a check of the card that it wrote: without this a third of a small run's time
def _figures_of(text: str) -> Mapping[str, str]:
    return MappingProxyType(draw_figures(Card.from_json(json.loads(text))))


def render_readme(card: Card) -> str:
    """The dataset card with its front matter."""
    return template("README.md.jinja").render(front_matter=front_matter(card), **_view(card)).rstrip() + "\n"


def template(name: str) -> Any:
    """A Jinja template of Markdown: texts go through its filter ``markdown``."""
    return _environment(autoescape=False).get_template(name)


def render_html(card: Card, figures: Mapping[str, str]) -> str:
    """One page that needs no other file and runs no script; everything but our own figures is escaped."""
    from markupsafe import Markup

    drawn = {name: Markup(svg) for name, svg in figures.items()}  # matplotlib has escaped their text
    return _environment(autoescape=True).get_template("card.html.jinja").render(figures=drawn, **_view(card))


def render_page(
    kind: str,
    title: str,
    headline: str,
    glance: Glance,
    sections: Sequence[Section],
    figures: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """A page in the card's manner of something else than a card.

    Parameters
    ----------
    kind : what it is, above the title
    glance : figures on top, each with its name and a note
    figures : SVG by the name that a section gives; the one thing that is not escaped

    >>> "<h1>a &lt; b</h1>" in render_page("Two runs", "a < b", "nothing changed", (), ())
    True
    """
    from markupsafe import Markup

    drawn = {name: Markup(svg) for name, svg in figures.items()}
    view = {"kind": kind, "title": title, "headline": headline, "glance": glance, "sections": sections}
    return _environment(autoescape=True).get_template("page.html.jinja").render(figures=drawn, **view)


def render_training(tables: TrainingTables) -> str:
    """The page of a training, with its figures inside; everything but these is escaped."""
    from markupsafe import Markup

    view = {"kind": "Training", "title": tables.recipe, "run": tables.run, "headline": training_headline(tables)}
    view |= {"glance": training_glance(tables), "sections": training_sections(tables)}
    drawn = {name: Markup(svg) for name, svg in training_figures(tables).items()}
    return _environment(autoescape=True).get_template("training.html.jinja").render(figures=drawn, **view)


def _view(card: Card) -> dict[str, object]:
    return {"card": card, "sections": sections(card), "headline": headline(card), "glance": glance(card)}


@cache
def _environment(*, autoescape: bool) -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "markdown": markdown,
        "fenced": fenced,
        "cell": cell,
        "is_share": lambda value: isinstance(value, Share),
        "is_digest": lambda value: bool(re.fullmatch("[0-9a-f]{16,}", str(value))),
    }
    return environment


def cell(value: Cell) -> str:
    """A table cell as text; a dash for what is not known.

    >>> cell(Share(0.25)), cell(None), cell("x")
    ('25 %', '–', 'x')
    """
    if value is None:
        return "–"
    return percent(value) if isinstance(value, Share) else str(value)
