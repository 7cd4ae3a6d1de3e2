"""A good card has no problem; a card that lost or changed anything has one that names it."""

import json
import shutil

import mlcroissant
import pytest

from gristmill.corpus.files import read_json, write_json
from gristmill.corpus.receipt import Manifest
from gristmill.corpus.rundir import RunDir
from gristmill.data_cards.check import FILES, check_card
from gristmill.data_cards.mandatory import CROISSANT_KEYS, FILE_KEYS, FILLED, HUB_KEYS, INSIDE, PRESENT
from gristmill.data_cards.render import card_json, render, write_card


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
    (folder / "card.json").write_text(card_json(card))
    if rendered:
        for name, text in render(card).items():
            (folder / name).write_text(text)


def test_a_good_card_has_no_problem(folder, mill):
    assert check_card(folder, mill.run) == []
    assert check_card(folder, None) == []


def test_a_card_of_hostile_text_has_no_problem(hostile_mill, tmp_path):
    write_card(hostile_mill.run, hostile_mill.folder, tmp_path)
    assert check_card(tmp_path, hostile_mill.run) == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # rdflib's, about mlcroissant's use of it
def test_croissant_is_valid_and_its_inline_records_load(made, mill):
    dataset = mlcroissant.Dataset(jsonld=made / "croissant.json")
    assert not dataset.metadata.issues.warnings
    records = list(dataset.records("domains"))
    assert {record["domains/domain"] for record in records} == {"books", "web"}
    assert sum(int(record["domains/drawn"]) for record in records) == 32
    assert {file.sha256 for file in dataset.metadata.file_objects} >= {
        shard["sha256"] for shard in read_json(mill.run.path / "shards" / "web" / "index.json")["shards"]
    }


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder, mill, name):
    (folder / name).unlink()
    assert any(problem == f"{name} is missing" for problem in check_card(folder, mill.run))


@pytest.fixture
def bare(folder):
    """card.json alone: quick to check a hundred times."""
    for name in FILES[1:]:
        (folder / name).unlink()
    return folder


@pytest.mark.parametrize("field", [*FILLED, *PRESENT])
def test_a_missing_field_is_named(bare, field):
    change(bare, lambda card: card.pop(field), rendered=False)
    assert f"card.json has no {field}" in check_card(bare, None)


@pytest.mark.parametrize("field", FILLED)
def test_an_empty_field_is_named(bare, field):
    change(bare, lambda card: card.update({field: type(card[field])()}), rendered=False)
    assert f"card.json: {field} is empty" in check_card(bare, None)


@pytest.mark.parametrize(("field", "key"), [(field, key) for field, keys in INSIDE.items() for key in keys])
def test_a_missing_inner_field_is_named(bare, field, key):
    change(bare, lambda card: card[field].pop(key), rendered=False)
    assert f"card.json has no {field}.{key}" in check_card(bare, None)


@pytest.mark.parametrize("key", CROISSANT_KEYS)
def test_a_missing_croissant_property_is_named(folder, key):
    value = read_json(folder / "croissant.json")
    del value[key]
    (folder / "croissant.json").write_text(json.dumps(value))
    assert f"croissant.json has no {key}" in check_card(folder, None)


@pytest.mark.parametrize("key", FILE_KEYS)
def test_a_missing_property_of_a_file_is_named(folder, key):
    value = read_json(folder / "croissant.json")
    del value["distribution"][0][key]
    (folder / "croissant.json").write_text(json.dumps(value))
    assert any(problem.endswith(f"has no {key}") for problem in check_card(folder, None))


@pytest.mark.parametrize("key", HUB_KEYS)
def test_a_missing_key_of_the_front_matter_is_named(folder, key):
    text = (folder / "README.md").read_text()
    (folder / "README.md").write_text(text.replace(f"\n{key}:", f"\nx_{key}:", 1))
    assert f"README.md: the front matter has no {key}" in check_card(folder, None)


@pytest.mark.parametrize("name", ["README.md", "card.html", "croissant.json"])
def test_a_number_typed_by_hand_is_found(folder, name):
    text = (folder / name).read_text()
    assert "32 documents" in text
    (folder / name).write_text(text.replace("32 documents", "33 documents"))
    assert any(problem.startswith(f"{name} is not what card.json renders to") for problem in check_card(folder, None))


def test_lost_documents_are_found(folder):
    def edit(card):
        card["funnel"][0]["sources"]["web"]["documents_kept"] -= 1

    change(folder, edit)
    problems = check_card(folder, None)
    assert "funnel: stage documents does not conserve source web" in problems
    assert "funnel: the total of stage documents is not the sum of its sources" in problems


def test_a_ledger_that_does_not_add_up_is_found(folder):
    change(folder, lambda card: card["verdicts"][0].update(documents=1))
    assert any("differ between ledger and account" in problem for problem in check_card(folder, None))


def test_shares_that_do_not_sum_to_one_are_found(folder):
    change(folder, lambda card: card["mixture"]["by_domain"]["web"].update(target_share=0.9))
    assert any(problem.startswith("mixture: target_share sums to") for problem in check_card(folder, None))


EDITS = {
    "lock": lambda card: card["lock"]["inputs"]["files"]["web"][0].update(digest="00"),
    "stages": lambda card: card["stages"][0].update(key="00"),
    "shards": lambda card: card["shards"]["web"][0].update(sha256="0" * 64),
    "shards_by_domain": lambda card: card["shards_by_domain"]["web"].update(tokens=1),
    "mixture": lambda card: card["mixture"].update(samples=33),
    "training": lambda card: card["training"].update(steps=5),
}


@pytest.mark.parametrize("name", list(EDITS))
def test_a_number_that_is_not_the_runs_is_found(folder, mill, name):
    change(folder, EDITS[name])
    assert check_card(folder, None) == []
    assert [problem for problem in check_card(folder, mill.run) if problem.startswith(name)]


def test_an_account_that_balances_but_is_not_the_runs_is_found(folder, mill):
    def edit(card):
        for account in (card["funnel"][0]["total"], card["funnel"][0]["sources"]["web"]):
            account["documents_in"] += 1
            account["documents_dropped"] += 1

    change(folder, edit)
    assert check_card(folder, None) == []
    assert check_card(folder, mill.run) == ["funnel: stage documents differs from the run's manifest"]


def test_a_card_of_another_run_is_found(folder, mill, tmp_path):
    other = RunDir.create(tmp_path, "tiny", "", {"other": 1})
    assert check_card(folder, other) == [f"the card is of run {mill.run.path.name}, not of {other.path.name}"]


def test_a_run_that_went_on_after_its_card_is_found(folder, mill, tmp_path):
    run = RunDir(shutil.copytree(mill.run.path, tmp_path / mill.run.path.name))
    parts = run.manifest("signals").parts
    run.write_manifest(Manifest("signatures", parts))
    assert check_card(folder, run) == ["stages: signatures is in the run alone"]
    write_json(run.path / "plan" / "plan.json", {})
    assert any(problem.startswith("the run cannot be compared") for problem in check_card(folder, run))


@pytest.mark.parametrize("name", ["card.json", "croissant.json", "README.md"])
def test_rubbish_is_a_problem_and_no_traceback(folder, name):
    (folder / name).write_text("---\n{ [ :\n---\n")
    assert any(problem.startswith(name) for problem in check_card(folder, None))
