"""Whose word for the language decide takes, from files to the receipt, the notice and the card."""

from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gristmill.corpus.facts import read_facts
from gristmill.corpus.schema import CLUSTERS
from gristmill.data_cards.limits import LIMITS, _judged
from gristmill.data_cards.parts.judged_languages import judged_languages
from gristmill.data_cards.sections.languages import _no_language, _rules
from gristmill.filters.decide.rules import Rule
from gristmill.filters.decide.stage import DecideFacts
from gristmill.filters.signals.measure import measure
from gristmill.flows.pipeline.deciding import Judging, Tables, decide_stage, document_columns, text_bytes

TAGS = ["en-GB", "zh-tw", "arb", "python", None, ""]
STOPS = Rule("stop_words", "stop_words", at_least=2, languages=("en",), profile="test v1")


@pytest.fixture
def run(tmp_path):
    """Documents of one word each, by tag, and what a language stage would say of them."""
    ids = [f"{number:032x}" for number in range(len(TAGS))]
    documents = pa.table(
        {
            "doc_id": ids,
            "source": ["web"] * len(TAGS),
            "domain": ["web"] * len(TAGS),
            "lang": pa.array(TAGS, pa.string()),
            "text": pa.array(["mill"] * len(TAGS), pa.large_string()),
        }
    )
    files = SimpleNamespace(
        documents=tmp_path / "documents.parquet",
        signals=tmp_path / "signals.parquet",
        language=tmp_path / "language.parquet",
        clusters=tmp_path / "clusters.parquet",
        folder=tmp_path,
    )
    pq.write_table(documents, files.documents)
    (batch,) = documents.combine_chunks().to_batches()
    pq.write_table(pa.Table.from_batches([measure(batch)]), files.signals)
    pq.write_table(pa.table({"lang_id": ["de", "en", "und", "en", "sh", "zh"]}), files.language)
    pq.write_table(CLUSTERS.empty_table(), files.clusters)
    return files


def decided(run, with_stage: bool) -> DecideFacts:
    tables = Tables([run.documents], [[run.signals]], [run.clusters], [run.language] if with_stage else [])
    outcome = decide_stage(tables, Judging({"web": (STOPS,)}, {}, heldout=0.0, seed=1), run.folder)
    return read_facts(DecideFacts, outcome.facts)


def verdicts(run) -> list[str]:
    return pq.read_table(run.folder / "ledger.parquet")["verdict"].to_pylist()


def test_without_a_language_stage_the_documents_own_tag_counts(run):
    facts = decided(run, with_stage=False)
    assert verdicts(run) == ["dropped", *["kept"] * 5]
    assert facts.passed_over == {"stop_words": {"": 3, "ar": 1, "zh": 1}}
    assert (facts.languages_by, facts.no_language) == ("record", 1)


def test_the_language_stage_comes_before_the_tag(run):
    facts = decided(run, with_stage=True)
    assert verdicts(run) == ["kept", "dropped", "kept", "dropped", "kept", "kept"]
    assert facts.passed_over == {"stop_words": {"": 1, "de": 1, "sh": 1, "zh": 1}}
    assert (facts.languages_by, facts.no_language) == ("stage", 1)


def test_columns_hold_primary_subtags(run):
    found = document_columns([run.documents], text_bytes([run.signals]), [])
    assert found["lang_id"].to_pylist() == ["en", "zh", "ar", None, None, None]
    assert found["no_language"].to_pylist() == [False, False, False, True, False, False]


def test_the_card_says_what_was_judged_by_which_rules(run):
    rows = [SimpleNamespace(documents=6)]
    card = SimpleNamespace(judged_languages=judged_languages(decided(run, with_stage=False)), languages=rows)
    assert _judged in LIMITS
    assert _judged(card).startswith("stop_words judges en alone and passed over 5 of 6 documents: 3 no language, 1 ar")
    assert _no_language(card) == ["Documents whose label names no language: 1."]
    assert list(_rules(card).rows) == [("stop_words", "en", "5", "3 no language, 1 ar, 1 zh")]
