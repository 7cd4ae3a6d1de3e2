"""The record of takedowns as a card tells it: counts and dates, no names."""

from dataclasses import asdict, replace

import pytest

from gristmill.corpus.files import canonical_json, write_json
from gristmill.corpus.rundir import TAKEDOWN, RunDir
from gristmill.data_cards.gather import gather
from gristmill.data_cards.sections.takedowns import section
from gristmill.data_cards.takedowns import gather_takedowns, sentence, takedowns

RECORD = {
    "date": "2026-01-31",
    "removed": ["a" * 32, "b" * 32],
    "reelected": ["c" * 32],
    "rejects": 1,
    "copies": [],
    "rows_rewritten": 1200,
    "entries_deleted": 30,
    "entries_of_others": {"/home/me/runs/x": 4},
    "index_removed": 2,
    "retrained": "tokenizer",
    "plan": None,
    "train": True,
    "left": [{"file": "/home/me/store/x", "slices": 3}],
}


@pytest.fixture
def run(tmp_path):
    write_json(tmp_path / TAKEDOWN, {"takedowns": [RECORD]})
    return RunDir(tmp_path)


def test_counts_and_dates_without_names(run):
    (told,) = gather_takedowns(run)
    assert (told.removed, told.reelected, told.copies, told.left) == (2, 1, 0, 1)
    assert (told.entries_of_others, told.training_deleted, told.index_removed) == (4, True, 2)
    assert canonical_json(takedowns(run)) == canonical_json([asdict(told)])
    assert not any(secret in str(told) for secret in ("aaaa", "cccc", "/home/me"))


def test_a_record_of_an_older_version_is_told_too(tmp_path):
    old = {name: value for name, value in RECORD.items() if name != "index_removed"}
    write_json(tmp_path / TAKEDOWN, {"takedowns": [old]})
    assert gather_takedowns(RunDir(tmp_path))[0].index_removed == 0


def test_a_run_without_a_takedown_shows_nothing(mill):
    card = gather(mill.run, mill.folder)
    assert card.takedowns == ()
    assert section(card) is None
    assert sentence(card.takedowns) == ""


def test_the_section_shows_each_takedown_and_its_proof(mill, run):
    (told,) = gather_takedowns(run)
    later = replace(told, date="2026-02-02", left=0, removed=1)
    shown = section(replace(gather(mill.run, mill.folder), takedowns=(told, later)))
    assert shown.text[0].startswith("3 documents were taken down from 2026-01-31 to 2026-02-02. Every 32-byte slice")
    assert [row[:2] for row in shown.tables[0].rows] == [("2026-01-31", "2"), ("2026-02-02", "1")]
    assert all(len(row) == len(shown.tables[0].columns) for row in shown.tables[0].rows)
    assert "2026-01-31: 1 files still hold such a slice." in shown.items
    assert "2026-02-02: the search found no slice left." in shown.items
    assert "2026-01-31: 4 old store entries stay, as other runs name them." in shown.items
    assert sentence([replace(told, removed=1)]) == "1 document was taken down on 2026-01-31."
