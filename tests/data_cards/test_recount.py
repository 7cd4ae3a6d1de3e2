"""The second count: it agrees with a good card, and each figure that is wrong is named."""

import shutil

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from gristmill.data_cards.check import check_card
from gristmill.data_cards.gather import gather
from gristmill.data_cards.recount import Tables, compare, recount_mistakes
from gristmill.data_cards.render import write_card


@pytest.fixture(scope="module")
def card(rich_mill):
    return gather(rich_mill.run, rich_mill.folder)


def test_a_good_card_is_counted_the_same_twice(card, rich_mill, hostile_mill):
    assert list(recount_mistakes(card, Tables(rich_mill.run, rich_mill.folder))) == []
    hostile = gather(hostile_mill.run, hostile_mill.folder)
    assert list(recount_mistakes(hostile, Tables(hostile_mill.run, hostile_mill.folder))) == []


WRONG = {
    "verdicts of books, books, kept": lambda card: card["verdicts"][1].update(documents=9),
    "emptied of web": lambda card: card["sources"][0].update(emptied=1, kept=21),
    "sources of web": lambda card: card["sources"][0].update(merged=6, kept=20),
    "drops of words, words, >= 50, length v1: alone is 1 in the card": lambda card: card["drops"][0].update(alone=1),
    "drops by source of words, words, >= 50, length v1, web": lambda card: card["drops"][0]["sources"].update(web=3),
    "merged of duplicate_near": lambda card: card["dedup"]["merged"][0].update(bytes=1),
    "languages of de": lambda card: card["languages"][1].update(kept=0),
    "languages of fr": lambda card: card["languages"][1].update(lang="fr"),
    "records of web": lambda card: card["sources"][0].update(records=44),
    "rejects of web, not_json": lambda card: card["rejects"][2].update(records=3),
    "rows of heldout, web": lambda card: card["heldout_by_domain"]["web"].update(tokens=13),
    "rows of shards, books": lambda card: card["shards_by_domain"]["books"].update(documents=8),
    "tokens of web": lambda card: card["tokenizer"]["encoded"][1].update(tokens=121),
    "edits of web, mask:EMAIL": lambda card: card["edits"][1].update(bytes=41),
}


@pytest.mark.parametrize("name", list(WRONG))
def test_a_wrong_count_is_named(card, edited, rich_mill, name):
    found = list(recount_mistakes(edited(card, WRONG[name]), Tables(rich_mill.run, rich_mill.folder)))
    assert any(problem.startswith(name) for problem in found), found


def test_what_gather_and_card_have_wrong_together_is_found(rich_mill, tmp_path, monkeypatch):
    """The same fault in writing and in checking: equality alone would pass."""
    monkeypatch.setattr("gristmill.data_cards.gather.dropped_by_rule", lambda ledger: ())
    write_card(rich_mill.run, rich_mill.folder, tmp_path)
    problems = check_card(tmp_path, rich_mill.run, rich_mill.folder)
    assert problems
    assert all(problem.startswith("drops") for problem in problems)


def test_nothing_may_be_left_out_or_be_zero():
    assert list(compare("x", ("n", "m"), {("a",): (0, 0)}, {})) == []
    found = list(compare("x", ("n", "m"), {}, {("a", None): (1, 0)}))
    assert found == ["x of a, None: n is 0 in the card, 1 in the tables"]


def test_a_run_that_drops_and_merges_nothing_is_counted(card, rich_mill, tmp_path):
    (receipt,) = rich_mill.run.manifest("decide").parts
    ledger = pq.read_table(rich_mill.folder(receipt) / "ledger.parquet")
    shutil.copytree(rich_mill.folder(receipt), tmp_path / "decide")
    kept = ledger.filter(pc.equal(ledger["verdict"], "kept"))
    pq.write_table(kept, tmp_path / "decide" / "ledger.parquet")

    def folder_of(one):
        return tmp_path / "decide" if one == receipt else rich_mill.folder(one)

    found = list(recount_mistakes(card, Tables(rich_mill.run, folder_of)))
    assert {problem.split(" of ")[0] for problem in found} == {
        "verdicts",
        "sources",
        "drops",
        "drops by source",
        "merged",
    }
