"""Sections hold plain text and whole tables, whatever the run did or left out."""

import copy

import pytest

from gristmill.data_cards.facts import gather
from gristmill.data_cards.figures import FIGURES, draw_figures
from gristmill.data_cards.limits import known_limits
from gristmill.data_cards.pages import Share, glance, headline, sections, totals


@pytest.fixture
def card(mill):
    return gather(mill.run, mill.folder)


def section(card, anchor):
    return next(one for one in sections(card) if one.anchor == anchor)


def test_every_row_fits_its_columns(card):
    for one in sections(card):
        for table in one.tables:
            assert table.rows, f"{one.anchor}: an empty table"
            assert {len(row) for row in table.rows} == {len(table.columns)}
            assert 1 <= table.left <= len(table.columns)


def test_anchors_and_titles_are_unique(card):
    shown = sections(card)
    assert len({one.anchor for one in shown}) == len({one.title for one in shown}) == len(shown)


def test_shares_lie_between_zero_and_one(card):
    shares = [
        cell for one in sections(card) for t in one.tables for row in t.rows for cell in row if isinstance(cell, Share)
    ]
    assert shares
    assert all(0 <= share <= 1 for share in shares)


def test_totals_are_sums_over_sources(card):
    total = totals(card)
    assert (total["records"], total["documents"], total["kept"]) == (66, 60, 32)
    assert total["records"] == total["rejected"] + total["dropped"] + total["merged"] + total["kept"]
    assert (total["rows"], total["tokens"], total["shards"]) == (18, 216, 6)
    assert "66 records of 2 sources" in headline(card)
    assert [value for value, _, _ in glance(card)] == ["32", "3.2 kB", "216", "18", "512", "2"]


def test_a_long_language_table_is_folded_and_loses_nothing(card):
    card["languages"] = [{"lang": f"x{i}", "documents": 1, "bytes": 1, "kept": 0} for i in range(45)]
    shown, folded = section(card, "languages").tables
    assert [table.folded for table in (shown, folded)] == [False, True]
    assert [row[0] for row in [*shown.rows, *folded.rows]] == [f"x{i}" for i in range(45)]


def test_a_rule_named_after_its_signal_does_not_say_it_twice(card):
    card["drops"][0] |= {"rule": "short", "signal": "words"}
    assert [row[:2] for row in section(card, "rules").tables[0].rows] == [("short", "words"), ("lines", "")]


def test_what_did_not_run_has_no_section(card):
    card |= {"training": None, "knowledge": None, "languages": [], "signals": {}}
    anchors = {one.anchor for one in sections(card)}
    assert anchors.isdisjoint({"training", "knowledge", "languages", "lengths"})


def test_near_duplicates_that_were_off_are_not_claimed(card):
    card["dedup"]["scheme"]["off"] = True
    assert "were not looked for" in section(card, "duplicates").text[0]
    assert any("Near duplicates were not looked for" in limit for limit in known_limits(card))


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda card: card.update(stages=[]), "no language was identified"),
        (lambda card: card["licenses"][0].update(license=None), "of 60 documents (66.7 %) come without a licence"),
        (lambda card: card.update(drops=[]), None),
        (lambda card: [source.update(rejected=0) for source in card["sources"]], None),
        (lambda card: [source.update(documents=0) for source in card["sources"]], None),
    ],
)
def test_limits_are_said_only_where_they_hold(card, edit, sentence):
    before = known_limits(card)
    edit(card)
    after = known_limits(card)
    assert len(after) < len(before) if sentence is None else any(sentence in limit for limit in after)


def test_a_stage_that_ran_is_no_limit(card):
    card["stages"].append({**card["stages"][0], "stage": "pii"})
    assert not any("personal data" in limit for limit in known_limits(card))


def test_figures_stand_empty_and_crowded_corpora(card):
    crowded = copy.deepcopy(card)
    crowded["mixture"]["by_domain"] = {f"d{i}": card["mixture"]["by_domain"]["web"] for i in range(14)}
    even = dict.fromkeys(crowded["mixture"]["by_domain"], 1 / 14)
    crowded["mixture"]["schedule"] = [{"until_sample": 32, "until_tokens": 5 * 10**9, "first": even, "last": even}]
    crowded["sources"] *= 12
    empty = copy.deepcopy(card)
    empty["signals"]["bytes"] |= {"documents": [0] * 24, "kept": [0] * 24}
    empty["sources"][0] |= dict.fromkeys(("records", "kept", "merged", "dropped", "rejected"), 0)
    for one in (crowded, empty):
        assert set(draw_figures(one)) == {f"{name}.svg" for name in FIGURES}
    assert "billion tokens" in draw_figures(crowded)["mixture.svg"]


def test_references_are_named_with_where_good_text_lies(card):
    assert "references" not in {one.anchor for one in sections(card)}
    spread = {"median": 2.0, "mad": 0.1, "p5": 1.5, "p95": 3.25}
    nothing = dict.fromkeys(spread)
    fitted = {"fitted_on": 1200, "heldout": 100, "ngrams": 5000, "cross_entropy": spread, "word_order": nothing}
    card["references"] = [
        {"name": "prose", "sha256": "ab" * 32, "texts": ["a"], **fitted},
        {"name": "given", "sha256": "cd" * 32, "texts": []},
    ]
    (table,) = section(card, "references").tables
    assert table.rows[0] == ("prose", "ab" * 8, "1,200", "100", "5,000", "1.50 to 3.25", "")
    assert table.rows[1] == ("given", "cd" * 8, "given", "given", "given", "", "")
