"""Sections hold plain text and whole tables, whatever the run did or left out."""

import pytest

from gristmill.corpus.run_stages import RunStages, runnable
from gristmill.data_cards.figures import FIGURES, draw_figures
from gristmill.data_cards.gather import gather
from gristmill.data_cards.limits import known_limits
from gristmill.data_cards.overview import glance, headline, totals
from gristmill.data_cards.page import Section, Share, Table
from gristmill.data_cards.sections.funnel import stages
from gristmill.data_cards.sections.order import sections
from gristmill.flows.pipeline.stages import BUILT_IN


@pytest.fixture
def card(mill):
    return gather(mill.run, mill.folder)


def section(card, anchor):
    return next(one for one in sections(card) if one.anchor == anchor)


@pytest.fixture
def rich_card(rich_mill):
    return gather(rich_mill.run, rich_mill.folder)


@pytest.mark.parametrize("made", ["card", "rich_card"])
def test_every_row_fits_its_columns(made, request):
    card = request.getfixturevalue(made)
    for one in sections(card):
        for table in one.tables:
            assert table.rows, f"{one.anchor}: an empty table"
            assert {len(row) for row in table.rows} == {len(table.columns)}
            assert 1 <= table.left <= len(table.columns)


def test_anchors_and_titles_are_unique(rich_card):
    shown = sections(rich_card)
    assert len({one.anchor for one in shown}) == len({one.title for one in shown}) == len(shown)


def test_shares_lie_between_zero_and_one(card):
    shares = [
        cell for one in sections(card) for t in one.tables for row in t.rows for cell in row if isinstance(cell, Share)
    ]
    assert shares
    assert all(0 <= share <= 1 for share in shares)


def test_totals_are_sums_over_sources(card):
    total = totals(card)
    assert (total.records, total.documents, total.kept) == (66, 60, 32)
    assert total.records == total.rejected + total.dropped + total.merged + total.kept
    assert (total.rows, total.tokens, total.shards) == (18, 216, 6)
    assert "66 records of 2 sources" in headline(card)
    assert [value for value, _, _ in glance(card)] == ["32", "3.2 kB", "216", "18", "512", "2"]


def test_one_source_and_one_domain_have_no_plural(card, edited):
    def one_of_each(value):
        value["sources"], value["shards"] = value["sources"][:1], dict(list(value["shards"].items())[:1])

    single = edited(card, one_of_each)
    assert " of 1 source, packed into " in headline(single)
    assert headline(single).endswith(" in 1 domain.")
    assert glance(single)[-1] == ("1", "domain", "from 1 source")


def test_a_long_language_table_is_folded_and_loses_nothing(card, edited):
    rows = [{"lang": f"x{i}", "documents": 1, "bytes": 1, "kept": 0} for i in range(45)]
    shown, folded = section(edited(card, lambda value: value.update(languages=rows)), "languages").tables
    assert [table.folded for table in (shown, folded)] == [False, True]
    assert [row[0] for row in [*shown.rows, *folded.rows]] == [f"x{i}" for i in range(45)]


def test_a_rule_named_after_its_signal_does_not_say_it_twice(card, edited):
    named = edited(card, lambda value: value["drops"][0].update(rule="short", signal="words"))
    assert [row[:2] for row in section(named, "rules").tables[0].rows] == [("short", "words"), ("lines", "")]
    assert section(card, "rules").tables[0].columns[:2] == ("rule", "must be")


def test_what_did_not_run_has_no_section(card, edited):
    nothing = {"training": None, "knowledge": None, "languages": [], "signals": {}}
    anchors = {one.anchor for one in sections(edited(card, lambda value: value.update(nothing)))}
    assert anchors.isdisjoint({"training", "knowledge", "languages", "lengths", "screens", "models", "takedowns"})


def test_everything_that_ran_has_a_section(rich_card):
    anchors = {one.anchor for one in sections(rich_card)}
    assert anchors >= {
        "contamination",
        "training",
        "knowledge",
        "languages",
        "lengths",
        "screens",
        "models",
        "takedowns",
    }


def test_empty_tables_are_left_out_and_an_empty_section_with_them():
    full, empty = Table(("a",), [("1",)]), Table(("a",), [])
    assert Section("x", "X", tables=[empty, full]).filled() == Section("x", "X", tables=[full])
    assert Section("x", "X", tables=[empty]).filled() is None


def test_the_funnel_shows_the_first_stage_and_those_that_lose_something(card, rich_card):
    assert [row[0] for row in stages(card)] == ["documents", "decide"]
    assert [row[0] for row in stages(rich_card)] == ["documents", "decide", "edits"]


def test_scans_models_and_reviews_stand_on_the_page(rich_card, edited):
    titles = [table.title for table in section(rich_card, "screens").tables]
    assert titles == ["Personal data", "Block lists", "Lines that a rule marks"]
    passages = section(rich_card, "contamination")
    assert passages.tables[0].rows == [("sums", "9", "1", "3", "8", "4", "0", "4")]  # the last: dropped, merged, kept
    assert passages.text[1].startswith("4 documents with a passage were kept")
    references, classifiers = section(rich_card, "models").tables
    assert references.rows[0] == ("prose", "ab" * 8, "1,200", "100", "5,000", "1.50 to 3.25", "")
    assert references.rows[1] == ("given", "ab" * 8, "given", "given", "given", "", "")
    assert classifiers.rows[0] == ("speech", "positive", "80", "10", "0.9", "0.9", "0.8", "–")
    reviewed = edited(rich_card, lambda value: value["reviewed"].update(keep=4, stale=3))
    assert section(reviewed, "rules").text[1:] == [
        "Reviewers kept 4 documents and dropped 0.",
        "3 decisions were made on an earlier version of the text and were not applied.",
    ]


def test_what_the_recipe_says_of_the_corpus_stands_on_the_page(card, edited):
    said = {"creator": "Ada", "contact": "ada@example.org", "published": "2026-01-31", "collected": "1842 to 1843"}
    said |= {"collection": "Copied by hand.", "intended_use": "Study."}
    told = edited(card, lambda value: value["identity"].update(said))
    assert [row[1] for row in section(told, "contact").tables[0].rows][:3] == ["Ada", "ada@example.org", "2026-01-31"]
    assert section(told, "uses").items[0] == "Study."
    assert section(told, "provenance").text[1:] == ["Collected: 1842 to 1843.", "How it was collected: Copied by hand."]


def test_languages_that_a_rule_judges_stand_in_a_cell_or_in_a_list_below(card, edited):
    def judge(value):
        rules = [{"rule": name, "judges": [f"l{i}" for i in range(n)], "passed_over": {}} for name, n in NAMED.items()]
        value["judged_languages"]["rules"] = rules

    *_, rules, judged = section(edited(card, judge), "languages").tables
    assert [row[1] for row in rules.rows] == ["l0, l1", "13 languages"]
    assert (judged.rows, judged.folded) == ([("wide", ", ".join(f"l{i}" for i in range(13)))], True)


NAMED = {"narrow": 2, "wide": 13}


def test_plug_ins_are_named_with_version_and_digest(card, edited):
    assert not [table for table in section(card, "provenance").tables if table.title == "Code from outside"]
    plugin = {"sha256": "ab" * 32, "version": "1.2"}
    outside = edited(card, lambda value: value["lock"]["plugins"].update(my_signals=plugin))
    assert section(outside, "provenance").tables[-1].rows == [("my_signals", "1.2", "ab" * 32)]


def test_near_duplicates_that_were_off_are_not_claimed(card, edited):
    card = edited(card, lambda value: value["dedup"]["scheme"].update(off=True))
    assert "were not looked for" in section(card, "duplicates").text[0]
    assert any("Near duplicates were not looked for" in limit for limit in known_limits(card))


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda card: card.update(languages_by="input"), "which no model has checked; 0 of 60 documents state none"),
        (lambda card: card["licenses"][0].update(license=None), "of 60 documents (66.7 %) come without a licence"),
        (lambda card: card.update(drops=[]), None),
        (lambda card: [source.update(rejected=0) for source in card["sources"]], None),
        (lambda card: [source.update(documents=0) for source in card["sources"]], None),
    ],
)
def test_limits_are_said_only_where_they_hold(card, edited, edit, sentence):
    before, after = known_limits(card), known_limits(edited(card, edit))
    assert len(after) < len(before) if sentence is None else any(sentence in limit for limit in after)


@pytest.mark.parametrize("stage", [spec for spec in runnable(BUILT_IN) if spec.unscanned], ids=lambda spec: spec.name)
def test_a_stage_that_ran_is_no_limit(stage):
    without = RunStages.of([], runnable(BUILT_IN)).not_done
    assert set(without) - set(RunStages.of([(stage.name, stage)], runnable(BUILT_IN)).not_done) == {stage.unscanned}
    assert RunStages.of([(spec.name, spec) for spec in runnable(BUILT_IN)], runnable(BUILT_IN)).not_done == ()


def test_repeated_passages_are_a_limit_only_where_neither_stage_looked_for_them(card, rich_card):
    said = "a search for passages repeated inside different documents"
    assert said in card.limits[-1]
    assert not any("Not part of this run" in limit or "repeated" in limit for limit in rich_card.limits)


def test_kept_documents_with_evaluation_passages_are_a_limit(card, rich_card):
    said = "The kept text holds evaluation passages: 4 documents with passages of sums."
    assert said in rich_card.limits
    assert said not in card.limits


def test_figures_stand_empty_and_crowded_corpora(card, edited):
    def crowd(value):
        shares = value["mixture"]["by_domain"]["web"]
        even = {f"d{i}": 1 / 14 for i in range(14)}
        phase = {"until_sample": 32, "until_tokens": 5 * 10**9, "first": even, "last": even}
        value["mixture"] |= {"by_domain": dict.fromkeys(even, shares), "schedule": [phase]}
        value["sources"] *= 12

    def empty(value):
        value["signals"]["bytes"] |= {"documents": [0] * 24, "kept": [0] * 24}
        value["sources"][0] |= dict.fromkeys(("records", "kept", "merged", "dropped", "rejected"), 0)

    crowded = edited(card, crowd)
    for one in (crowded, edited(card, empty)):
        assert set(draw_figures(one)) == {f"{name}.svg" for name in FIGURES}
    assert "billion tokens" in draw_figures(crowded)["mixture.svg"]
