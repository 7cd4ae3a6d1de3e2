"""card.json against naive sums over the same run."""

import json
import shutil
from dataclasses import asdict, replace

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.errors import CardError, StoreError
from gristmill.corpus.files import read_json, write_json
from gristmill.corpus.receipt import Manifest
from gristmill.corpus.rundir import RunDir
from gristmill.data_cards.card import Card
from gristmill.data_cards.gather import gather
from gristmill.data_cards.parts.corpus_identity import STATED
from gristmill.data_cards.parts.environment import present
from gristmill.data_cards.parts.handover import EncodedDomain
from gristmill.data_cards.parts.histogram import EDGES, HistogramSums
from gristmill.data_cards.parts.knowledge import EntityType, Relation, TypeQuota
from gristmill.data_cards.parts.ledger import MergedKind
from gristmill.data_cards.parts.screens import Contamination, PiiFinds, Screens
from gristmill.data_cards.parts.sources import RejectRow
from gristmill.data_cards.render import render, write_card
from gristmill.data_cards.sections.order import sections
from gristmill.filters.line_edits.stage import LineEditsFacts
from gristmill.filters.lists.stage import BlocklistFacts


@pytest.fixture(scope="module")
def card(mill):
    return gather(mill.run, mill.folder)


@pytest.fixture(scope="module")
def rich_card(rich_mill):
    return gather(rich_mill.run, rich_mill.folder)


@pytest.fixture(scope="module")
def ledger(mill):
    return pq.read_table(mill.folder(mill.run.manifest("decide").parts[0]) / "ledger.parquet").to_pylist()


def test_is_plain_json_and_a_pure_function_of_the_run(mill, card):
    value = card.to_json()
    assert json.loads(json.dumps(value, allow_nan=False)) == value
    assert Card.from_json(value) == card
    assert gather(mill.run, mill.folder) == card


def test_says_nothing_of_this_machine(mill, card):
    text = json.dumps(card.to_json())
    assert str(mill.run.path.parent) not in text
    assert str(mill.store.root) not in text


def test_credentials_are_taken_out_everywhere(card):
    text = json.dumps(card.to_json())
    assert "AKIA" not in text
    assert "sec/ret" not in text
    assert card.lock["recipe"]["sources"][0]["path"] == "s3://bucket/web/*.jsonl"
    assert 'path = "s3://bucket/web/*.jsonl"' in card.recipe


def test_recipe_stands_word_for_word(mill, card):
    text = (mill.run.path / "recipe.toml").read_text()
    assert card.recipe == text.replace("AKIA:sec/ret@", "")
    assert "\n\n\n[[sources]]" in card.recipe


def test_identity(mill, card):
    assert card.identity.run == mill.run.path.name
    assert card.identity.version.endswith(mill.run.path.name)
    assert card.identity.creator is None
    assert card.rebuild == "gristmill rebuild CARD_FOLDER --check"


def relocked(mill, path, edit):
    """A copy of the run, with another lock."""
    run = RunDir(shutil.copytree(mill.run.path, path / mill.run.path.name))
    lock = read_json(run.path / "lock.json")
    edit(lock)
    write_json(run.path / "lock.json", lock)
    return run


def test_the_section_card_of_the_recipe_fills_the_identity_line_by_line(mill, tmp_path):
    said = {key: f" {key}:\n\tas   said\u2028" for key in STATED}
    run = relocked(mill, tmp_path, lambda lock: lock["recipe"].update(card=said))
    identity = gather(run, mill.folder).identity
    assert [getattr(identity, key) for key in STATED] == [f"{key}: as said" for key in STATED]


def test_locks_of_both_formats_say_the_same(mill, card, tmp_path):
    def edit(lock):
        versions = {"stages": lock.pop("stages"), "libraries": lock.pop("libraries")["documents"]}
        inputs = {"files": lock.pop("inputs"), "graph": None, "language_model": None}
        for name in ("artefacts", "plugins"):
            lock.pop(name)
        lock |= {"format": 1, "inputs": inputs, "versions": versions}

    found = gather(relocked(mill, tmp_path, edit), mill.folder)
    assert found == replace(card, lock=found.lock)
    assert sections(found) == sections(card)


def test_the_environment_is_the_one_that_the_run_recorded(mill, card, tmp_path):
    assert card.environment == present()
    run = relocked(mill, tmp_path, lambda lock: None)
    write_json(run.path / "environment.json", present() | {"gristmill": "7.0", "numpy": "1.0"})
    found = gather(run, mill.folder)
    assert found.environment["numpy"] == "1.0"
    assert found.identity.version == f"7.0+{run.path.name}"


def test_funnel_adds_up(card):
    for stage in card.funnel:
        assert stage.balanced
        for unit in ("documents", "bytes"):
            total = asdict(stage.total)
            assert total[f"{unit}_in"] == sum(total[f"{unit}_{fate}"] for fate in ("kept", "dropped", "merged"))
            assert total[f"{unit}_in"] == sum(asdict(account)[f"{unit}_in"] for account in stage.sources.values())


def test_fates_of_a_source_add_up_to_its_records(card):
    for source in card.sources:
        assert source.records == source.rejected + source.dropped + source.merged + source.emptied + source.kept
    assert {source.name: source.emptied for source in card.sources} == {"web": 0, "books": 0}


def test_verdicts_count_each_document_once(card, ledger):
    for source in ("web", "books"):
        for verdict in ("kept", "dropped", "merged"):
            ids = {row["doc_id"] for row in ledger if (row["source"], row["verdict"]) == (source, verdict)}
            counted = [row for row in card.verdicts if (row.source, row.verdict) == (source, verdict)]
            assert sum(row.documents for row in counted) == len(ids)
            assert sum(row.bytes for row in counted) == 100 * len(ids)


def test_drops_by_rule_equal_naive_counts(card, ledger):
    failed = {}
    for row in ledger:
        if row["verdict"] == "dropped":
            failed.setdefault(row["doc_id"], []).append(row)
    for rule in card.drops:
        rows = [row for rows in failed.values() for row in rows if row["rule"] == rule.rule]
        assert rule.documents == len(rows)
        assert rule.alone == sum(len(failed[row["doc_id"]]) == 1 for row in rows)
        assert sum(rule.sources.values()) == rule.documents
        assert (rule.lowest, rule.highest) == (min(r["value"] for r in rows), max(r["value"] for r in rows))
    assert [rule.documents for rule in card.drops] == sorted((r.documents for r in card.drops), reverse=True)
    assert {rule.rule for rule in card.drops} == {"words", "lines"}


def test_merged_documents_are_counted_by_kind(card, ledger):
    merged = [row for row in ledger if row["verdict"] == "merged"]
    assert card.dedup.merged == (MergedKind("duplicate_near", len(merged), 100 * len(merged)),)


def test_rejects_are_added_by_source_and_reason(card):
    expected = [("rejected", "not_json", 2), ("skipped", "http_status", 1)]
    assert card.rejects == tuple(RejectRow(name, *row) for name in ("books", "web") for row in expected)


def test_languages_and_hosts_cover_every_document(card, ledger):
    kept = sum(row["verdict"] == "kept" for row in ledger)
    for table in (card.languages, card.licenses, card.hosts):
        assert sum(row.documents for row in table) == 60
        assert sum(row.bytes for row in table) == 6000
        assert sum(row.kept for row in table) == kept
    assert [row.lang for row in card.languages] == ["en", "de"]
    assert [row.host for row in card.hosts] == ["example.org"]
    assert card.languages_by == "model"


def test_a_licence_of_several_lines_is_one_line(hostile_mill):
    card = gather(hostile_mill.run, hostile_mill.folder)
    assert {row.license for row in card.licenses} == {" ".join(hostile_mill.licence.split())}
    assert {source.license for source in card.sources} == {" ".join(hostile_mill.licence.split()), None}
    assert "\n" not in card.identity.description


def test_histograms_equal_numpy_on_the_whole_column(card):
    words = np.concatenate([np.arange(1, 41), np.arange(1, 21)])
    found = card.signals["words"]
    assert list(found.documents) == np.histogram(words, EDGES["words"])[0].tolist()
    assert found.mean == pytest.approx(words.mean())
    assert (found.lowest, found.highest, found.unit) == (1, 40, "words")


def test_a_signal_without_value_counts_nowhere(card):
    assert sum(card.signals["byte_entropy_bits"].documents) == 58  # one NaN a source
    assert card.signals["byte_entropy_bits"].mean == pytest.approx(4.5)


@given(st.lists(st.lists(st.one_of(st.just(float("nan")), st.floats(1, 1e6)), max_size=4), max_size=4))
def test_parts_without_a_value_do_not_pull_the_lowest_to_zero(parts):
    sums = HistogramSums("words", "words")
    for part in parts:
        sums.add(pl.Series(part, dtype=pl.Float64), pl.Series([True] * len(part), dtype=pl.Boolean))
    values = [value for part in parts for value in part if value == value]
    found = sums.histogram()
    assert (found.lowest, found.highest) == ((min(values), max(values)) if values else (None, None))


def test_kept_documents_are_a_part_of_all(card):
    for histogram in card.signals.values():
        assert all(kept <= documents for kept, documents in zip(histogram.kept, histogram.documents, strict=True))


def test_shards_are_those_of_the_index(mill, card):
    for domain in ("books", "web"):
        index = json.loads((mill.run.path / "shards" / domain / "index.json").read_text())
        assert [shard.sha256 for shard in card.shards[domain]] == [shard["sha256"] for shard in index["shards"]]
        assert card.shards_by_domain[domain].rows == index["rows"] == 9
    assert card.heldout_by_domain["web"].rows == 1


def test_mixture_is_the_plan(card):
    by_domain = card.mixture.by_domain
    assert (card.mixture.samples, card.mixture.tokens) == (32, 512)
    assert sum(entry.drawn for entry in by_domain.values()) == 32
    assert by_domain["web"].target_share == pytest.approx((0.75 + 0.5) / 2)
    assert by_domain["books"].target_share == pytest.approx((0.25 + 0.5) / 2)
    assert by_domain["web"].epochs == pytest.approx(by_domain["web"].drawn / 9)
    assert card.mixture.schedule[1].last == {"books": 0.75, "web": 0.25}


def test_knowledge_adds_parts(card):
    assert (card.knowledge.mentions, card.knowledge.documents) == (10, 60)
    assert card.knowledge.top_types[0] == EntityType("person", 8)
    everything, persons = card.knowledge.coverage
    assert (everything.type, everything.documents) == ("", {"1": 40, "3": 6, "10": 2})
    assert (persons.type, persons.documents["3"]) == ("person", 4)
    assert card.knowledge.relations == (Relation("spouse", 6, 4),)


def test_a_quota_stands_on_the_card_with_what_is_drawn(card):
    assert card.knowledge.quotas == ()
    quotas = (TypeQuota("Q5", 40, 9, 9.0, 36.0, False),)
    page = render(replace(card, knowledge=replace(card.knowledge, quotas=quotas)))["README.md"]
    assert "| Q5 | 40 | 9 | 9.0 | 36.0 | no |" in str(page)


def test_stages_that_did_not_run_leave_no_numbers(hostile_mill):
    card = gather(hostile_mill.run, hostile_mill.folder)
    assert card.training is None
    assert "train" not in {stage.stage for stage in card.stages}
    assert card.screens == Screens(None, None, None, None)
    assert card.edits == card.classifiers == card.references == ()


def test_scans_are_added_over_parts(rich_card):
    found = rich_card.screens
    assert found.pii == (PiiFinds("email", "mask", 6), PiiFinds("phone", "count", 0))
    assert found.blocklist == BlocklistFacts(blocked_words=8, blocked_url=2, blocked_hash=0)
    assert found.line_edits == LineEditsFacts({"c4:few_words": 240}, 10)


def test_a_passage_that_two_parts_hold_is_found_once(rich_card):
    """8 documents hold one, of which numbers 0 and 3 of both sources are dropped."""
    assert rich_card.screens.contamination == (Contamination("sums", 9, 1, 3, 8, 4, 4),)


def test_models_tell_what_was_fitted_here(rich_card):
    assert [(one.name, one.trained is None) for one in rich_card.classifiers] == [("speech", False), ("given", True)]
    assert [(one.name, one.fitted is None) for one in rich_card.references] == [("prose", False), ("given", True)]
    assert rich_card.references[0].fitted.cross_entropy.p95 == 3.25


def test_edits_are_told_by_source_and_reason(rich_card):
    assert [(one.reason, one.masks, one.bytes) for one in rich_card.edits] == [
        ("line", False, 130),
        ("mask:EMAIL", True, 40),
        ("substring", False, 60),
    ]
    assert (rich_card.repeats.lines.duplicates, rich_card.repeats.substrings.windows) == (4, 12)


def test_a_receipt_that_says_what_nobody_knows_is_refused(mill, tmp_path):
    run = relocked(mill, tmp_path, lambda lock: None)
    (part,) = run.manifest("clusters").parts
    run.write_manifest(Manifest("clusters", (replace(part, facts={**part.facts, "cluster": 1}),)))
    with pytest.raises(CardError, match=r"receipt of clusters, part 0: unknown key 'cluster'; did you mean 'clusters'"):
        gather(run, mill.folder)


def test_an_unfinished_run_is_refused(tmp_path, mill):
    run = RunDir.create(tmp_path, "tiny", "", mill.run.lock)
    with pytest.raises(StoreError, match="has no decide yet"):
        gather(run, mill.folder)


def test_tables_that_do_not_align_are_refused(tmp_path, mill):
    run = relocked(mill, tmp_path, lambda lock: None)
    run.write_manifest(Manifest("signals", mill.run.manifest("signals").parts[::-1]))
    with pytest.raises(CardError, match="do not align"):
        gather(run, mill.folder)


def test_what_writing_the_card_leaves_behind_changes_nothing(mill, card, tmp_path):
    run = relocked(mill, tmp_path, lambda lock: None)
    (run.path / "card").mkdir()
    write_card(run, mill.folder, run.path / "card")
    run.write_manifest(Manifest("card", run.manifest("decide").parts))
    assert gather(run, mill.folder) == card


def test_tokens_are_counts_and_the_vocabulary_is_not_added_up(card):
    assert card.tokenizer.vocab_size == 300
    assert card.tokenizer.encoded == (EncodedDomain("books", 1100, 120), EncodedDomain("web", 2100, 120))
