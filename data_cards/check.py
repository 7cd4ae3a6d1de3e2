"""Is a card complete, valid, true to itself and equal to what its run says? Every check gives sentences."""

import json
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from gristmill.corpus.errors import GristmillError
from gristmill.corpus.files import file_sha256
from gristmill.corpus.lock import Lock
from gristmill.corpus.rundir import PLUGINS, RunDir
from gristmill.data_cards.card import CARD, Card, card_text
from gristmill.data_cards.differences import differences
from gristmill.data_cards.gather import gather
from gristmill.data_cards.parts.row_samples import sample_file
from gristmill.data_cards.published_rows import row_mistakes
from gristmill.data_cards.reading import FolderOf
from gristmill.data_cards.recount import Tables, recount_mistakes
from gristmill.data_cards.render import FIGURE_FILES, render, render_html
from gristmill.data_cards.standards import croissant_mistakes, hub_mistakes
from gristmill.data_cards.sums import inner_mistakes

FILES = (CARD, "README.md", "croissant.json", "card.html", *FIGURE_FILES)
SHOWN = 20  # differences that are named one by one
AGAIN = "`gristmill card RUN` writes it again"


def check_card(folder: Path, run: RunDir | None = None, folder_of: FolderOf | None = None) -> list[str]:
    """Problems of a card, each one sentence; an empty list is a good card.

    Parameters
    ----------
    folder : what ``write_card`` filled
    run : the run it was made from, to gather the card again and compare every leaf; None checks the card alone
    folder_of : the store folder of a receipt, needed with ``run``
    """
    missing = [f"{name} is missing" for name in FILES if not (folder / name).is_file()]
    if f"{CARD} is missing" in missing:
        return missing
    text = (folder / CARD).read_text(encoding="utf-8")
    try:
        card = Card.from_json(json.loads(text))
    except GristmillError as error:
        return [*missing, str(error), *croissant_mistakes(folder), *hub_mistakes(folder)]
    except ValueError as error:
        return [*missing, f"{CARD} is not JSON: {error}"]
    return [*missing, *_mistakes(folder, text, card, run, folder_of)]


def _mistakes(folder: Path, text: str, card: Card, run: RunDir | None, folder_of: FolderOf | None) -> Iterator[str]:
    samples = [sample_file(domain) for domain in card.row_samples]
    yield from (f"{name} is missing" for name in samples if not (folder / name).is_file())
    yield from inner_mistakes(card)
    yield from plugin_mistakes(folder, card)
    yield from page_mistakes(folder, card)
    yield from croissant_mistakes(folder)
    yield from hub_mistakes(folder)
    if run is None:
        yield from row_mistakes(folder, card, None)
    elif folder_of is None:
        raise TypeError("a card is compared with its run by the tables in the store: check_card needs folder_of")
    elif card.identity.run != run.path.name:
        yield f"the card is of run {card.identity.run}, not of {run.path.name}"
    else:
        yield from row_mistakes(folder, card, run)
        yield from _run_mistakes(text, card, run, folder_of)


def plugin_mistakes(folder: Path, card: Card) -> Iterator[str]:
    """Files of plug-ins are those that the recipe names and the lock knows: the corpus is rebuilt with them."""
    try:
        locked = Lock.from_json(card.lock, folder).plugins
        files = [name for name in tomllib.loads(card.recipe).get("plugins", ()) if name.endswith(".py")]
    except (GristmillError, ValueError, KeyError, TypeError, AttributeError) as error:
        yield f"the lock and the recipe of {CARD} cannot be read: {error!r}"
        return
    named = {Path(name).stem for name in files}
    there = {path.stem: path for path in sorted((folder / PLUGINS).glob("*.py"))}
    for name in sorted(named | set(there)):
        file = f"{PLUGINS}/{name}.py"
        if name not in there:
            yield f"{file} is missing; a rebuild needs it"
        elif name not in locked or file_sha256(there[name]) != locked[name].sha256:
            yield f"{file} is not the plug-in of the card's lock"


def page_mistakes(folder: Path, card: Card) -> Iterator[str]:
    """A page must be what card.json renders to; a number typed by hand shows here.

    Another version of matplotlib draws other bytes, so figures are compared where the one that the card names is
    installed; elsewhere card.html is compared with the figures that are there.
    """
    there = {name: (folder / name).read_text(encoding="utf-8") for name in FILES[1:] if (folder / name).is_file()}
    if not there:
        return
    try:
        expected = render(card)
    except Exception as error:  # noqa: BLE001  a card of right types can hold what no page can show: a sum of nothing
        yield f"{CARD} cannot be rendered: {error!r}"
        return
    if card.environment.get("matplotlib") != version("matplotlib"):
        figures = {name: there.get(name, expected[name]) for name in FIGURE_FILES}
        expected |= {**figures, "card.html": render_html(card, figures)}
    for name, text in there.items():
        if name in FIGURE_FILES and not text.startswith("<svg"):
            yield f"{name} holds no figure"
        elif text != expected[name]:
            yield f"{name} is not what {CARD} renders to; {AGAIN}"


def _run_mistakes(text: str, card: Card, run: RunDir, folder_of: FolderOf) -> Iterator[str]:
    try:
        yield from unequal(text, card_text(gather(run, folder_of).to_json()))
        yield from recount_mistakes(card, Tables(run, folder_of))
    except (GristmillError, OSError) as error:
        yield f"the run cannot be compared: {error}"


def unequal(text: str, expected: str) -> Iterator[str]:
    """How the text of a card.json differs from the one that its run gives: by leaf, or else by bytes."""
    found = list(differences(json.loads(text), json.loads(expected), CARD))
    yield from found[:SHOWN]
    if len(found) > SHOWN:
        yield f"{CARD}: {len(found) - SHOWN} more differences"
    if not found and text != expected:
        yield f"{CARD} says the same in other bytes (order of keys, white space, a key twice); {AGAIN}"
