"""A good card has no problem; a card that lost or changed anything has one that names it."""

import contextlib
import copy
import hashlib
import json
import re
import shutil
from dataclasses import fields

import mlcroissant
import pytest

from gristmill.corpus.errors import GristmillError
from gristmill.corpus.files import read_json, write_json
from gristmill.corpus.lock import Lock
from gristmill.corpus.receipt import Manifest
from gristmill.corpus.rundir import RunDir
from gristmill.data_cards.card import Card, card_text
from gristmill.data_cards.check import FILES, check_card, page_mistakes
from gristmill.data_cards.differences import differences
from gristmill.data_cards.gather import gather
from gristmill.data_cards.render import FIGURE_FILES, render, render_html, write_card
from gristmill.data_cards.standards import CROISSANT_KEYS, HUB_KEYS, hub_mistakes, stated_mistakes
from gristmill.data_cards.sums import FILLED
from tests.data_cards.mutations import figures, mutated, mutations


@pytest.fixture(scope="module")
def made(mill, tmp_path_factory):
    folder = tmp_path_factory.mktemp("card")
    write_card(mill.run, mill.folder, folder)
    return folder


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "card")


def change(folder, edit, *, rendered=True):
    """Edit card.json; ``rendered``: and write the pages again, so that only the edit itself can be found."""
    card = read_json(folder / "card.json")
    edit(card)
    (folder / "card.json").write_text(card_text(card))
    if rendered:
        for name, text in render(Card.from_json(card)).items():
            (folder / name).write_text(text)


def test_a_good_card_has_no_problem(folder, mill):
    assert check_card(folder, mill.run, mill.folder) == []
    assert check_card(folder) == []


def test_a_card_of_hostile_text_has_no_problem(hostile_mill, tmp_path):
    write_card(hostile_mill.run, hostile_mill.folder, tmp_path)
    assert check_card(tmp_path, hostile_mill.run, hostile_mill.folder) == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # rdflib's, about mlcroissant's use of it
def test_croissant_is_valid_and_its_inline_records_load(made, mill):
    dataset = mlcroissant.Dataset(jsonld=made / "croissant.json")
    assert not dataset.metadata.issues.warnings
    records = list(dataset.records("domains"))
    for domain in ("books", "web"):
        rows = list(dataset.records(f"rows-{domain}"))
        assert [list(map(int, row[f"rows-{domain}/tokens"])) for row in rows] == [[5] * 16] * 4
        first = {"doc_id": f"{0:032x}".encode(), "start": 0, "length": 12, "offset": 0}
        pieces = rows[0][f"rows-{domain}/documents"]
        assert pieces == [{f"rows-{domain}/documents/{key}": value for key, value in first.items()}]
    assert {record["domains/domain"] for record in records} == {"books", "web"}
    assert sum(int(record["domains/drawn"]) for record in records) == 32
    assert {file.sha256 for file in dataset.metadata.file_objects} >= {
        shard["sha256"] for shard in read_json(mill.run.path / "shards" / "web" / "index.json")["shards"]
    }


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder, mill, name):
    (folder / name).unlink()
    assert any(problem == f"{name} is missing" for problem in check_card(folder, mill.run, mill.folder))


@pytest.fixture
def bare(folder):
    """card.json alone: quick to check a hundred times."""
    for name in FILES[1:]:
        (folder / name).unlink()
    return folder


@pytest.mark.parametrize("field", FILLED)
def test_an_empty_field_is_named(bare, field):
    change(bare, lambda card: card.update({field: type(card[field])()}), rendered=False)
    assert f"card.json: {field} is empty" in check_card(bare)


@pytest.mark.parametrize("field", [field.name for field in fields(Card) if field.name != "format"])
def test_a_missing_field_is_named(bare, field):
    change(bare, lambda card: card.pop(field), rendered=False)
    assert f"card.json has no {field}" in check_card(bare)


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (lambda card: card["identity"].pop("seed"), "card.json.identity has no seed"),
        (
            lambda card: card["sources"][0].update(keep=1),
            "card.json.sources[0]: unknown key 'keep'; did you mean 'kept'?",
        ),
        (lambda card: card["rows"].update(row_tokens="16"), "card.json.rows.row_tokens is text, not a whole number"),
        (
            lambda card: card["mixture"].update(tokens=True),
            "card.json.mixture.tokens is true or false, not a whole number",
        ),
        (lambda card: card.update(stages={}), "card.json.stages is an object, not a list"),
        (lambda card: card["dedup"]["found"]["sizes"][0].pop(), "card.json.dedup.found.sizes[0] has 2 values, not 3"),
        (lambda card: card.update(format=1), "card.json is of format 1, this version reads 2"),
    ],
)
def test_what_is_not_as_the_types_say_is_named_by_its_path(bare, edit, problem):
    change(bare, edit, rendered=False)
    assert any(found.startswith(problem) for found in check_card(bare))


def test_a_missing_croissant_property_is_named(made):
    for key in CROISSANT_KEYS:
        value = read_json(made / "croissant.json")
        del value[key]
        assert f"croissant.json has no {key}" in stated_mistakes(value)


@pytest.mark.parametrize("key", HUB_KEYS)
def test_a_missing_key_of_the_front_matter_is_named(folder, key):
    text = (folder / "README.md").read_text()
    (folder / "README.md").write_text(text.replace(f"\n{key}:", f"\nx_{key}:", 1))
    assert list(hub_mistakes(folder)) == [f"README.md: the front matter has no {key}"]


@pytest.mark.parametrize("name", ["README.md", "card.html", "croissant.json"])
def test_a_number_typed_by_hand_is_found(folder, name):
    text = (folder / name).read_text()
    assert "32 documents" in text
    (folder / name).write_text(text.replace("32 documents", "33 documents"))
    assert any(problem.startswith(f"{name} is not what card.json renders to") for problem in check_card(folder))


@pytest.mark.parametrize("name", FILES[1:])
def test_every_number_of_every_page_is_found_when_it_changes(folder, monkeypatch, name):
    card = Card.from_json(read_json(folder / "card.json"))
    rendered, unseen = render(card), []
    monkeypatch.setattr("gristmill.data_cards.check.render", lambda card: rendered)
    text = (folder / name).read_text()
    numbers = list(re.finditer(r"\d+", text))
    for number in numbers[:: 1 + len(numbers) // NUMBERS]:
        changed = f"{int(number[0]) + 1}"
        (folder / name).write_text(text[: number.start()] + changed + text[number.end() :])
        if not any(problem.startswith(f"{name} is not what card.json") for problem in page_mistakes(folder, card)):
            unseen.append(number)
    assert unseen == []
    assert len(numbers) > 20


NUMBERS = 80  # at most, of a page; the comparison is of the whole text


def test_lost_documents_are_found(folder):
    def edit(card):
        card["funnel"][0]["sources"]["web"]["documents_kept"] -= 1

    change(folder, edit)
    problems = check_card(folder)
    assert "funnel: stage documents does not conserve source web" in problems
    assert "funnel: the total of stage documents is not the sum of its sources" in problems


def test_a_ledger_that_does_not_add_up_is_found(folder):
    change(folder, lambda card: card["verdicts"][0].update(documents=1))
    assert any("differ between ledger and account" in problem for problem in check_card(folder))


def test_shares_that_do_not_sum_to_one_are_found(folder):
    change(folder, lambda card: card["mixture"]["by_domain"]["web"].update(target_share=0.9))
    assert any(problem.startswith("mixture: target_share sums to") for problem in check_card(folder))


def test_every_change_of_every_leaf_is_found(rich_mill):
    expected = gather(rich_mill.run, rich_mill.folder).to_json()
    expected = json.loads(card_text(expected))
    card, unseen, n = copy.deepcopy(expected), [], 0
    for what, path in mutations(card):
        n += 1
        if not any(differences(card, expected, "card.json")):
            unseen.append((what, path))
    assert card == expected
    assert unseen == []
    assert n > 3000


@pytest.mark.parametrize("key", [field.name for field in fields(Card)])
def test_a_change_of_every_part_that_is_rendered_again_is_found(rich_made, rich_mill, tmp_path, monkeypatch, key):
    """Pages follow the change where they can show it; croissant.json is left out, as its validator is slow."""
    folder = shutil.copytree(rich_made, tmp_path / "card")
    figures = {name: (folder / name).read_text() for name in FIGURE_FILES}
    monkeypatch.setattr("gristmill.data_cards.render.draw_figures", lambda card: figures)
    card = read_json(folder / "card.json")
    changed = card | {key: mutated(card[key])}
    (folder / "card.json").write_text(card_text(changed))
    (folder / "croissant.json").unlink()
    with contextlib.suppress(Exception):  # of another type, or what no page can show
        for name in ("README.md", "card.html"):
            (folder / name).write_text(render(Card.from_json(changed))[name])
    problems = check_card(folder, rich_mill.run, rich_mill.folder)
    assert any(problem.startswith((f"card.json: {key}", f"card.json.{key}", "card.json is of")) for problem in problems)


KINDS = {  # that version 0.1.0 passed when the pages were rendered again
    "kept counts": lambda card: card["sources"][0].update(kept=20, merged=6),
    "a licence": lambda card: card["licenses"][0].update(license="MIT"),
    "languages": lambda card: card["languages"][0].update(lang="fr"),
    "swapped sources": lambda card: card["sources"].reverse(),
    "drops": lambda card: card["drops"][0].update(documents=3),
    "a bound": lambda card: card["drops"][0].update(bound=">= 40"),
    "a threshold": lambda card: card["dedup"]["scheme"].update(threshold=0.7),
    "knowledge": lambda card: card["knowledge"].update(triples=9),
    "a limit": lambda card: card["limits"].pop(),
    "the recipe": lambda card: card.update(recipe=card["recipe"].replace("seed = 7", "seed = 8")),
    "the rebuild command": lambda card: card.update(rebuild="rm -r ."),
    "an unknown key": lambda card: card.update(approved=True),
    "a tokenizer": lambda card: card["tokenizer"].update(vocab_size=299),
    "a histogram": lambda card: card["signals"]["words"]["kept"].reverse(),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_lie_that_once_passed_is_found(rich_made, rich_mill, tmp_path, kind):
    folder = shutil.copytree(rich_made, tmp_path / "card")
    (folder / "croissant.json").unlink()
    card = read_json(folder / "card.json")
    KINDS[kind](card)
    (folder / "card.json").write_text(card_text(card))
    with contextlib.suppress(GristmillError):
        pages = render(Card.from_json(card))
        for name in pages.keys() - {"croissant.json"}:
            (folder / name).write_text(pages[name])
    problems = check_card(folder, rich_mill.run, rich_mill.folder)
    assert any(problem.startswith("card.json") for problem in problems)
    assert not any("is not what card.json renders to" in problem for problem in problems)


@pytest.fixture(scope="module")
def rich_made(rich_mill, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rich_card")
    write_card(rich_mill.run, rich_mill.folder, folder)
    return folder


def test_a_card_of_every_stage_has_no_problem(rich_made, rich_mill):
    assert check_card(rich_made, rich_mill.run, rich_mill.folder) == []


def test_a_change_that_is_rendered_again_is_found(folder, mill):
    change(folder, lambda card: card["sources"][0].update(kept=20, merged=6))
    left = "sources: what is left of web is not what the account of tokens says"
    assert check_card(folder) == [left]
    problems = check_card(folder, mill.run, mill.folder)
    assert problems == [
        left,
        "card.json: sources[0].kept is 20, the run says 21",
        "card.json: sources[0].merged is 6, the run says 5",
        "sources of web: kept is 20 in the card, 21 in the tables",
        "sources of web: merged is 6 in the card, 5 in the tables",
    ]


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: json.dumps(json.loads(text), indent=1, ensure_ascii=False) + "\n\n",
        lambda text: json.dumps(dict(reversed(json.loads(text).items())), indent=1, ensure_ascii=False) + "\n",
        lambda text: text.replace('"format": 2,', '"format": 2,\n "format": 2,'),
    ],
)
def test_the_same_in_other_bytes_is_found(folder, mill, edit):
    (folder / "card.json").write_text(edit((folder / "card.json").read_text()))
    (problem,) = check_card(folder, mill.run, mill.folder)
    assert problem.startswith("card.json says the same in other bytes")


@pytest.mark.parametrize("name", FILES[1:])
def test_every_other_file_is_what_the_card_renders_to(folder, mill, name):
    text = (folder / name).read_text()
    (folder / name).write_text(text.replace("kept", "lost", 1) if "kept" in text else text.replace("web", "wob", 1))
    assert (folder / name).read_text() != text
    problems = check_card(folder, mill.run, mill.folder)
    assert [problem for problem in problems if problem.startswith(f"{name} is not what card.json renders to")]


def test_rows_that_are_not_those_of_the_shards_are_found(folder, mill, tmp_path):
    """The same change in rows, card.json and pages: readers of Croissant would see nothing."""
    text = (folder / "rows" / "web.jsonl").read_text().replace("5", "6", 1)

    def edit(card):
        card["row_samples"]["web"] |= {"sha256": hashlib.sha256(text.encode()).hexdigest()}

    (folder / "rows" / "web.jsonl").write_text(text)
    assert any("rows/web.jsonl cannot be read through croissant.json" in problem for problem in check_card(folder))
    change(folder, edit)
    assert check_card(folder) == []
    problems = check_card(folder, mill.run, mill.folder)
    assert "rows/web.jsonl does not hold the first rows of shards/web" in problems
    (folder / "rows" / "web.jsonl").unlink()
    assert "rows/web.jsonl is missing" in check_card(folder)


def test_figures_of_another_matplotlib_are_shown_as_they_are(folder, monkeypatch):
    for name in FIGURE_FILES:
        (folder / name).write_text((folder / name).read_text().replace("<svg", "<svg data-drawn='elsewhere'", 1))
    card = Card.from_json(read_json(folder / "card.json"))
    figures = {name: (folder / name).read_text() for name in FIGURE_FILES}
    (folder / "card.html").write_text(render_html(card, figures))
    assert len(check_card(folder)) == 1 + len(FIGURE_FILES)
    monkeypatch.setattr("gristmill.data_cards.check.version", lambda name: "0.1")
    assert check_card(folder) == []


def test_a_card_that_no_page_can_show_is_a_problem_and_no_traceback(folder):
    change(folder, lambda card: card["signals"].pop("bytes"), rendered=False)
    assert any(problem.startswith("card.json cannot be rendered") for problem in check_card(folder))


def test_many_differences_are_counted(folder, mill):
    change(folder, lambda card: card.update(environment={f"p{i}": "1" for i in range(40)}), rendered=False)
    problems = [problem for problem in check_card(folder, mill.run, mill.folder) if problem.startswith("card.json:")]
    assert len(problems) == 21
    assert problems[-1] == "card.json: 31 more differences"


STAGES = ("documents", "signals", "language", "mentions", "clusters", "decide", "tokenizer", "tokens", "shards", "plan")
STAGES += ("pii", "blocklist", "contamination", "line_edits", "lines", "substrings", "edits", "heldout", "train")
STAGES += ("reference-model-prose", "classifier-model-speech")


@pytest.mark.parametrize("stage", STAGES)
def test_a_change_of_one_figure_in_any_receipt_is_found(rich_made, rich_mill, tmp_path, stage):
    """By what is gathered, or by a receipt that is none any more: so the card or the run is wrong, and it is told."""
    card = read_json(rich_made / "card.json")
    run = RunDir(shutil.copytree(rich_mill.run.path, tmp_path / rich_mill.run.path.name))
    path = run.path / "manifests" / f"{stage}.json"
    manifest, unseen = read_json(path), []
    for figure in figures(manifest):
        write_json(path, manifest)
        try:
            found = any(differences(card, gather(run, rich_mill.folder).to_json(), "card.json"))
        except GristmillError:
            found = True
        if not found:
            unseen.append(figure)
    assert unseen == []


def test_a_run_is_compared_with_its_tables_or_not_at_all(folder, mill):
    with pytest.raises(TypeError, match="folder_of"):
        check_card(folder, mill.run)


def test_an_account_that_balances_but_is_not_the_runs_is_found(folder, mill):
    def edit(card):
        for account in (card["funnel"][0]["total"], card["funnel"][0]["sources"]["web"]):
            account["documents_in"] += 1
            account["documents_dropped"] += 1

    change(folder, edit)
    assert check_card(folder) == []
    problems = check_card(folder, mill.run, mill.folder)
    assert problems[0] == "card.json: funnel[0].sources.web.documents_dropped is 4, the run says 3"
    assert len(problems) == 4


def test_a_card_of_another_run_is_found(folder, mill, tmp_path):
    other = RunDir.create(tmp_path, "tiny", "", Lock({"other": 1}, {}, {}, {}))
    assert check_card(folder, other, mill.folder) == [
        f"the card is of run {mill.run.path.name}, not of {other.path.name}"
    ]


def test_a_run_that_went_on_after_its_card_is_found(folder, mill, tmp_path):
    run = RunDir(shutil.copytree(mill.run.path, tmp_path / mill.run.path.name))
    parts = run.manifest("signals").parts
    run.write_manifest(Manifest("signatures", parts))
    mill.note_stages(run)
    problems = check_card(folder, run, mill.folder)
    assert "card.json: stages has 12 entries, the run has 13; they differ from [3] on" in problems
    write_json(run.path / "plan" / "plan.json", {})
    problems = check_card(folder, run, mill.folder)
    assert any(problem.startswith("the run cannot be compared") for problem in problems)


@pytest.mark.parametrize("name", ["card.json", "croissant.json", "README.md"])
def test_rubbish_is_a_problem_and_no_traceback(folder, name):
    (folder / name).write_text("---\n{ [ :\n---\n")
    assert any(problem.startswith(name) for problem in check_card(folder))
