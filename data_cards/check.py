"""Is a card complete, valid, true to itself and true to its run? Every check gives sentences; none means good.

mlcroissant passes a card without name, url, description or creator, and warns about the rest; so its verdict is the
first of several here.
"""

import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gristmill.corpus import account
from gristmill.corpus.errors import PlanError, StoreError
from gristmill.corpus.files import read_json
from gristmill.corpus.rundir import RunDir
from gristmill.data_cards.edits import edits, unbalanced
from gristmill.data_cards.facts import finished
from gristmill.data_cards.mandatory import CROISSANT_KEYS, FILE_KEYS, FILLED, HUB_KEYS, INSIDE, PRESENT
from gristmill.data_cards.outputs import mixture, packed, training
from gristmill.data_cards.redact import redact
from gristmill.data_cards.render import CARD, FIGURE_FILES, render_html, render_pages
from gristmill.data_cards.takedowns import takedowns

Card = dict[str, Any]
FILES = (CARD, "README.md", "croissant.json", "card.html", *FIGURE_FILES)


def check_card(folder: Path, run: RunDir | None) -> list[str]:
    """Problems of a card, each one sentence; an empty list is a good card.

    Parameters
    ----------
    folder : what ``write_card`` filled
    run : the run it was made from, to compare every number that the manifests hold; None checks the card alone
    """
    missing = [f"{name} is missing" for name in FILES if not (folder / name).is_file()]
    if CARD in {problem.split()[0] for problem in missing}:
        return missing
    try:
        card = read_json(folder / CARD)
    except ValueError as error:
        return [*missing, f"{CARD} is not JSON: {error}"]
    fields = list(_fields(card))
    if fields:  # pages and sums cannot be judged without them
        return [*missing, *fields, *_croissant(folder), *_readme(folder)]
    checks = (_sums(card), _pages(folder, card), _croissant(folder), _readme(folder), _same_as_run(card, run))
    return [*missing, *(problem for check in checks for problem in check)]


def _fields(card: Card) -> Iterator[str]:
    for name in (*FILLED, *PRESENT):
        if name not in card:
            yield f"{CARD} has no {name}"
        elif name in FILLED and not card[name]:
            yield f"{CARD}: {name} is empty"
    for name, keys in INSIDE.items():
        for key in keys:
            value = (card.get(name) or {}).get(key)
            if value is None or value == "":
                yield f"{CARD} has no {name}.{key}"


def _sums(card: Card) -> Iterator[str]:
    """Conservation, and the ledger against the accounts of decide."""
    for stage in card["funnel"]:
        accounts = account.from_json(stage["sources"])
        for source, one in accounts.items():
            if not one.balanced:
                yield f"funnel: stage {stage['stage']} does not conserve source {source}"
        total = account.from_json({"total": stage["total"]})["total"]
        if sum(accounts.values(), account.Account()) != total:
            yield f"funnel: the total of stage {stage['stage']} is not the sum of its sources"
    for source in unbalanced(card):
        yield f"edits: the bytes cut from {source}, by reason, are not those that the stage dropped"
    decided = next((stage["sources"] for stage in card["funnel"] if stage["stage"] == "decide"), {})
    for source, one in decided.items():
        for verdict in ("kept", "dropped", "merged"):
            rows = [row for row in card["verdicts"] if (row["source"], row["verdict"]) == (source, verdict)]
            for unit in ("documents", "bytes"):
                if sum(row[unit] for row in rows) != one[f"{unit}_{verdict}"]:
                    yield f"verdicts: {unit} {verdict} of {source} differ between ledger and account"
    for share in ("target_share", "realised_share"):
        total_share = sum(entry[share] for entry in card["mixture"]["by_domain"].values())
        if abs(total_share - 1) > 1e-6:
            yield f"mixture: {share} sums to {total_share:.6f}, not 1"


def _pages(folder: Path, card: Card) -> Iterator[str]:
    """A page must be what card.json renders to; a number typed by hand shows here."""
    figures = {name: (folder / name).read_text(encoding="utf-8") for name in FIGURE_FILES if (folder / name).is_file()}
    yield from (f"{name} holds no figure" for name, svg in figures.items() if not svg.startswith("<svg"))
    pages = render_pages(card)
    if len(figures) == len(FIGURE_FILES):
        pages["card.html"] = render_html(card, figures)
    for name, text in pages.items():
        path = folder / name
        if path.is_file() and path.read_text(encoding="utf-8") != text:
            yield f"{name} is not what {CARD} renders to; `gristmill card RUN` writes it again"


def _readme(folder: Path) -> Iterator[str]:
    from huggingface_hub import DatasetCard

    path = folder / "README.md"
    if not path.is_file():
        return
    try:
        data = DatasetCard(path.read_text(encoding="utf-8")).data.to_dict()
    except Exception as error:  # noqa: BLE001  YAML errors of several libraries; each is a problem of the card
        yield f"README.md: the front matter cannot be read: {error}"
        return
    yield from (f"README.md: the front matter has no {key}" for key in HUB_KEYS if not data.get(key))


def _croissant(folder: Path) -> Iterator[str]:
    path = folder / "croissant.json"
    if not path.is_file():
        return
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        yield f"croissant.json is not JSON: {error}"
        return
    for key in CROISSANT_KEYS:
        if value.get(key) in (None, "", [], {}):
            yield f"croissant.json has no {key}"
    for file in value.get("distribution", []):
        if str(file.get("@type", "")).endswith("FileObject"):
            yield from (f"croissant.json: {file.get('@id')} has no {key}" for key in FILE_KEYS if not file.get(key))
    yield from _validated(path)


def _validated(path: Path) -> Iterator[str]:
    """The verdict of mlcroissant; its warnings about missing properties count as problems too."""
    logging.getLogger("absl").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # rdflib's, about mlcroissant's use of it
            import mlcroissant

            issues = mlcroissant.Dataset(jsonld=path).metadata.issues
    except Exception as error:  # noqa: BLE001  the validator raises what its libraries raise on malformed JSON-LD
        yield f"croissant.json does not validate: {str(error).strip()}"
        return
    yield from (f"croissant.json: {warning}" for warning in sorted(issues.warnings))


def _same_as_run(card: Card, run: RunDir | None) -> Iterator[str]:
    if run is None:
        return
    if card["identity"]["run"] != run.path.name:
        yield f"the card is of run {card['identity']['run']}, not of {run.path.name}"
        return
    try:
        yield from _differences(card, run)
    except (StoreError, PlanError, FileNotFoundError) as error:
        yield f"the run cannot be compared: {error}"


def _differences(card: Card, run: RunDir) -> Iterator[str]:
    if card["lock"] != redact(run.lock):
        yield "lock differs from the run's lock.json"
    stages = {manifest.stage: manifest for manifest in finished(run)}
    carded = {stage["stage"]: stage for stage in card["stages"]}
    for stage in sorted(stages.keys() ^ carded.keys()):
        yield f"stages: {stage} is in the {'run' if stage in stages else 'card'} alone"
    for name in sorted(stages.keys() & carded.keys()):
        if (carded[name]["key"], carded[name]["rows"]) != (stages[name].key, stages[name].rows):
            yield f"stages: {name} is not the one of the run"
    for stage in card["funnel"]:
        if stage["sources"] != account.to_json(stages[stage["stage"]].accounts):
            yield f"funnel: stage {stage['stage']} differs from the run's manifest"
    for name, value in packed(run).items():
        if card[name] != redact(value):
            yield f"{name} differs from the run's index.json"
    if card["mixture"] != mixture(run):
        yield "mixture differs from the run's plan"
    if card["edits"] != redact(edits(run)):
        yield "edits differ from the run's manifest"
    if card["takedowns"] != redact(takedowns(run)):
        yield "takedowns differ from the run's takedown.json"
    if card["training"] != training(run):
        yield "training differs from the run's summary.json"
