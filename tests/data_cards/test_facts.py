"""card.json against naive sums over the same run."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.errors import CardError, StoreError
from gristmill.corpus.receipt import Manifest
from gristmill.corpus.rundir import RunDir
from gristmill.data_cards.facts import gather
from gristmill.data_cards.outputs import add_counts
from gristmill.data_cards.profile import EDGES


@pytest.fixture(scope="module")
def card(mill):
    return gather(mill.run, mill.folder)


@pytest.fixture(scope="module")
def ledger(mill):
    return pq.read_table(mill.folder(mill.run.manifest("decide").parts[0]) / "ledger.parquet").to_pylist()


def test_is_plain_json_and_a_pure_function_of_the_run(mill, card):
    assert json.loads(json.dumps(card, allow_nan=False)) == card
    assert gather(mill.run, mill.folder) == card


def test_says_nothing_of_this_machine(mill, card):
    text = json.dumps(card)
    assert str(mill.run.path.parent) not in text
    assert str(mill.store.root) not in text


def test_credentials_are_taken_out_everywhere(card):
    text = json.dumps(card)
    assert "AKIA" not in text
    assert "sec/ret" not in text
    assert card["lock"]["recipe"]["sources"][0]["path"] == "s3://bucket/web/*.jsonl"
    assert 'path = "s3://bucket/web/*.jsonl"' in card["recipe"]


def test_recipe_stands_word_for_word(mill, card):
    text = (mill.run.path / "recipe.toml").read_text()
    assert card["recipe"] == text.replace("AKIA:sec/ret@", "")
    assert "\n\n\n[[sources]]" in card["recipe"]


def test_identity(mill, card):
    assert card["identity"]["run"] == mill.run.path.name
    assert card["identity"]["version"].endswith(mill.run.path.name)
    assert card["identity"]["creator"] == "not stated"
    assert card["rebuild"] == "gristmill rebuild CARD_FOLDER --check"


def test_funnel_adds_up(card):
    for stage in card["funnel"]:
        assert stage["balanced"]
        for unit in ("documents", "bytes"):
            total = stage["total"]
            assert total[f"{unit}_in"] == sum(total[f"{unit}_{fate}"] for fate in ("kept", "dropped", "merged"))
            assert total[f"{unit}_in"] == sum(account[f"{unit}_in"] for account in stage["sources"].values())


def test_fates_of_a_source_add_up_to_its_records(card):
    for source in card["sources"]:
        assert source["records"] == sum(source[fate] for fate in ("rejected", "dropped", "merged", "kept"))


def test_verdicts_count_each_document_once(card, ledger):
    for source in ("web", "books"):
        for verdict in ("kept", "dropped", "merged"):
            ids = {row["doc_id"] for row in ledger if (row["source"], row["verdict"]) == (source, verdict)}
            counted = [row for row in card["verdicts"] if (row["source"], row["verdict"]) == (source, verdict)]
            assert sum(row["documents"] for row in counted) == len(ids)
            assert sum(row["bytes"] for row in counted) == 100 * len(ids)


def test_drops_by_rule_equal_naive_counts(card, ledger):
    failed = {}
    for row in ledger:
        if row["verdict"] == "dropped":
            failed.setdefault(row["doc_id"], []).append(row)
    for rule in card["drops"]:
        rows = [row for rows in failed.values() for row in rows if row["rule"] == rule["rule"]]
        assert rule["documents"] == len(rows)
        assert rule["alone"] == sum(len(failed[row["doc_id"]]) == 1 for row in rows)
        assert sum(rule["sources"].values()) == rule["documents"]
        assert (rule["lowest"], rule["highest"]) == (min(r["value"] for r in rows), max(r["value"] for r in rows))
    assert [rule["documents"] for rule in card["drops"]] == sorted(
        (r["documents"] for r in card["drops"]), reverse=True
    )
    assert {rule["rule"] for rule in card["drops"]} == {"words", "lines"}


def test_merged_documents_are_counted_by_kind(card, ledger):
    merged = [row for row in ledger if row["verdict"] == "merged"]
    assert card["dedup"]["merged"] == {"duplicate_near": {"documents": len(merged), "bytes": 100 * len(merged)}}


def test_rejects_are_added_by_source_and_reason(card):
    assert card["rejects"] == {
        name: {"rejects": {"not_json": 2}, "skipped": {"http_status": 1}} for name in ("books", "web")
    }


def test_languages_and_hosts_cover_every_document(card, ledger):
    kept = sum(row["verdict"] == "kept" for row in ledger)
    for table in ("languages", "licenses", "hosts"):
        assert sum(row["documents"] for row in card[table]) == 60
        assert sum(row["bytes"] for row in card[table]) == 6000
        assert sum(row["kept"] for row in card[table]) == kept
    assert [row["lang"] for row in card["languages"]] == ["en", "de"]
    assert [row["host"] for row in card["hosts"]] == ["example.org"]


def test_histograms_equal_numpy_on_the_whole_column(card):
    words = np.concatenate([np.arange(1, 41), np.arange(1, 21)])
    assert card["signals"]["words"]["documents"] == np.histogram(words, EDGES["words"])[0].tolist()
    assert card["signals"]["words"]["mean"] == pytest.approx(words.mean())
    assert (card["signals"]["words"]["lowest"], card["signals"]["words"]["highest"]) == (1, 40)
    assert card["signals"]["words"]["unit"] == "words"


def test_a_signal_without_value_counts_nowhere(card):
    assert sum(card["signals"]["byte_entropy_bits"]["documents"]) == 58  # one NaN a source
    assert card["signals"]["byte_entropy_bits"]["mean"] == pytest.approx(4.5)


def test_kept_documents_are_a_part_of_all(card):
    for histogram in card["signals"].values():
        assert all(kept <= documents for kept, documents in zip(histogram["kept"], histogram["documents"], strict=True))


def test_shards_are_those_of_the_index(mill, card):
    for domain in ("books", "web"):
        index = json.loads((mill.run.path / "shards" / domain / "index.json").read_text())
        assert [shard["sha256"] for shard in card["shards"][domain]] == [shard["sha256"] for shard in index["shards"]]
        assert card["shards_by_domain"][domain]["rows"] == index["rows"] == 9
    assert card["heldout_by_domain"]["web"]["rows"] == 1


def test_mixture_is_the_plan(card):
    by_domain = card["mixture"]["by_domain"]
    assert (card["mixture"]["samples"], card["mixture"]["tokens"]) == (32, 512)
    assert sum(entry["drawn"] for entry in by_domain.values()) == 32
    assert by_domain["web"]["target_share"] == pytest.approx((0.75 + 0.5) / 2)
    assert by_domain["books"]["target_share"] == pytest.approx((0.25 + 0.5) / 2)
    assert by_domain["web"]["epochs"] == pytest.approx(by_domain["web"]["drawn"] / 9)
    assert card["mixture"]["schedule"][1]["last"] == {"books": 0.75, "web": 0.25}


def test_knowledge_adds_parts_and_leaves_out_what_is_no_sum(card):
    assert (card["knowledge"]["mentions"], card["knowledge"]["documents"]) == (10, 60)
    assert card["knowledge"]["top_types"][0] == {"type": "person", "mentions": 8}
    assert "dangling_triples" not in card["knowledge"]


def test_stages_that_did_not_run_leave_no_numbers(hostile_mill):
    card = gather(hostile_mill.run, hostile_mill.folder)
    assert card["training"] is None
    assert "train" not in {stage["stage"] for stage in card["stages"]}


def test_limits_follow_from_the_numbers(card):
    text = "\n".join(card["limits"])
    assert "6 of 66 input records" in text
    assert "removal of personal data" in text
    assert "length v1" in text


def test_an_unfinished_run_is_refused(tmp_path, mill):
    run = RunDir.create(tmp_path, "tiny", "", mill.run.lock)
    with pytest.raises(StoreError, match="has no decide yet"):
        gather(run, mill.folder)


def test_tables_that_do_not_align_are_refused(tmp_path, mill):
    run = RunDir.create(tmp_path, "tiny", (mill.run.path / "recipe.toml").read_text(), mill.run.lock)
    for stage in ("documents", "signals", "language", "clusters", "decide"):
        run.write_manifest(mill.run.manifest(stage))
    run.write_manifest(Manifest("signals", mill.run.manifest("signals").parts[::-1]))
    with pytest.raises(CardError, match="do not align"):
        gather(run, mill.folder)


counts = st.dictionaries(st.sampled_from("abc"), st.integers(0, 9))


@given(st.lists(st.fixed_dictionaries({"n": st.integers(0, 9), "by": counts})))
def test_added_counts_equal_naive_sums(many):
    total = add_counts(many)
    assert total.get("n", 0) == sum(facts["n"] for facts in many)
    for key in "abc":
        assert total.get("by", {}).get(key, 0) == sum(facts["by"].get(key, 0) for facts in many)


def test_tokens_are_counts_and_the_vocabulary_is_not_added_up(card):
    assert card["tokenizer"]["vocab_size"] == 300
    assert card["tokenizer"]["encoded"] == {"tokens": {"web": 220, "books": 100}, "bytes": {"web": 2100, "books": 1100}}
