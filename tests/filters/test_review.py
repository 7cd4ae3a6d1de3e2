"""The queue against a naive twin, the file of decisions, and how decide honours it."""

import json
import resource
from dataclasses import asdict
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.errors import SourceError
from gristmill.corpus.schema import CLUSTERS, LEDGER
from gristmill.filters.decide.budgets import check_budgets
from gristmill.filters.decide.decisions import (
    DECISIONS,
    Decided,
    append_decision,
    count_reviewed,
    read_decisions,
    rules_key,
    split_stale,
)
from gristmill.filters.decide.evidence import DROP, KEEP, UNDECIDED, align_decisions, gather
from gristmill.filters.decide.highlights import highlights
from gristmill.filters.decide.review_queue import QUEUE, distances, queue, reason_of
from gristmill.filters.decide.rules import Rule
from gristmill.filters.decide.verdicts import decide

WORDS = Rule("words", "words", at_least=50, at_most=200)
PUNCT = Rule("punct", "punct_share", at_most=0.2)
TOXIC = Rule("toxic", "score_toxicity", at_most=0.5)
BLOCKED = Rule("blocked", "blocked_words", at_most=0)
RUSSIAN = Rule("ru_words", "words", at_least=80, languages=("ru",))
RULES = {"web": (WORDS, PUNCT, TOXIC, BLOCKED), "code": (WORDS, RUSSIAN)}
SIGNALS = ("words", "punct_share", "score_toxicity", "blocked_words")


def row(number: int, **given) -> dict:
    base = {"source": "web", "domain": "web", "lang_id": "en", "bytes": 100, "cluster": None}
    values = {"words": 100.0, "punct_share": 0.02, "score_toxicity": 0.01, "blocked_words": 0.0}
    return {"doc_id": f"{number:032x}", **base, **values, **given}


def tables(rows: list[dict]) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Documents, signals and clusters."""
    ids = pa.array([one["doc_id"] for one in rows], pa.string())
    texts = {name: pa.array([one[name] for one in rows], pa.string()) for name in ("source", "domain", "lang_id")}
    numbers = {
        "bytes": pa.array([one["bytes"] for one in rows], pa.int64()),
        "part": pa.array([0] * len(rows), pa.int32()),
        "row": pa.array(range(len(rows)), pa.int64()),
    }
    signals = {name: pa.array([one[name] for one in rows], pa.float64()) for name in SIGNALS}
    groups: dict[str, list[str]] = {}
    for one in rows:
        if one["cluster"]:
            groups.setdefault(one["cluster"], []).append(one["doc_id"])
    links = [
        {"doc_id": doc_id, "cluster": min(group), "size": len(group), "kind": "near", "jaccard": 0.9}
        for group in groups.values()
        for doc_id in group
    ]
    documents = pa.table({"doc_id": ids, **texts, **numbers})
    return documents, pa.table({"doc_id": ids, **signals}), pa.Table.from_pylist(links, CLUSTERS)


def queued(rows: list[dict], margin: float = 0.1) -> list[dict]:
    return queue(gather(*tables(rows), {}), RULES, margin=margin).to_pylist()


def said(**decisions: str) -> pa.Table:
    """Decisions by number of a document: ``said(d1="keep")``."""
    rows = [
        {"doc_id": f"{int(name[1:]):032x}", "decision": one, "rules": "", "reviewer": "", "note": ""}
        for name, one in decisions.items()
    ]
    return pa.Table.from_pylist(rows, DECISIONS)


def decided(rows: list[dict], decisions: pa.Table | None = None):
    return decide(*tables(rows), RULES, priorities={}, heldout=0.0, seed=1, decisions=decisions)


some_rows = st.lists(
    st.fixed_dictionaries(
        {
            "source": st.sampled_from(["a", "b"]),
            "domain": st.sampled_from(["web", "code"]),
            "lang_id": st.sampled_from(["en", "ru", None]),
            "bytes": st.integers(0, 3),
            "words": st.sampled_from([10.0, 47.0, 50.0, 54.0, 79.0, 205.0, float("nan")]),
            "punct_share": st.sampled_from([0.05, 0.19, 0.2, 0.21, 0.5]),
            "score_toxicity": st.sampled_from([0.1, 0.45, 0.52, 0.9]),
            "blocked_words": st.sampled_from([0.0, 3.0]),
            "cluster": st.sampled_from(["x", "y", None]),
        }
    ),
    max_size=12,
).map(lambda rows: [{"doc_id": f"{(number * 7919) % 1000:032x}", **one} for number, one in enumerate(rows)])


def naive_distance(rule: Rule, value: float) -> float:
    fails = not rule.at_least <= value <= rule.at_most
    if rule is BLOCKED:
        return 0.0 if fails else float("inf")
    broken = [b for b in (rule.at_least, rule.at_most) if abs(b) != float("inf")]
    if fails:
        broken = [b for b in broken if (value < b if b == rule.at_least else value > b)]
    away = [abs(value - b) / (1.0 if rule is TOXIC or b == 0 else abs(b)) for b in broken]
    return min(away, default=float("inf"))


def naive_queue(rows: list[dict], margin: float) -> list[tuple]:
    ledger = {one["doc_id"]: one["verdict"] for one in decided(rows).ledger.to_pylist()}
    found = []
    for one in rows:
        rules = [r for r in RULES[one["domain"]] if not r.languages or one["lang_id"] in r.languages]
        told = [(naive_distance(r, one[r.signal]), not r.at_least <= one[r.signal] <= r.at_most, r) for r in rules]
        failing = [t for t in told if t[1]]
        choose, among = (max, failing) if failing else (min, told)
        away, fails, rule = choose(among, key=lambda t: t[0])
        if away <= margin and ledger[one["doc_id"]] != "merged":
            found.append((away, one["doc_id"], rule.name, "dropped" if fails else "kept"))
    return sorted(found)


@given(some_rows, st.sampled_from([0.0, 0.06, 0.3]))
def test_the_queue_equals_the_naive_one(rows, margin):
    found = queued(rows, margin)
    told = [(one["distance"], one["doc_id"], one["rule"], one["verdict"]) for one in found]
    assert told == naive_queue(rows, margin)


@given(some_rows, st.randoms())
def test_the_order_of_documents_does_not_matter(rows, random):
    without = [{k: v for k, v in one.items() if k != "row"} for one in queued(rows)]
    shuffled = [{k: v for k, v in one.items() if k != "row"} for one in queued(random.sample(rows, len(rows)))]
    assert without == shuffled


def test_a_document_that_passes_is_as_near_as_its_nearest_bound():
    (one,) = queued([row(1, words=54.0, punct_share=0.199), row(2)])
    assert (one["rule"], one["verdict"], one["bound"], one["reason"]) == ("punct", "kept", "<= 0.2", "margin")
    assert one["distance"] == pytest.approx(0.005)


def test_a_document_that_fails_is_as_far_as_the_farthest_bound_it_breaks():
    (one,) = queued([row(1, words=49.0, punct_share=0.21), row(2, words=49.0, punct_share=0.9)])
    assert (one["doc_id"][-1], one["rule"], one["verdict"]) == ("1", "punct", "dropped")


def test_scores_are_uncertain_and_hits_are_for_a_person():
    rows = [row(1, score_toxicity=0.55), row(2, blocked_words=9.0), row(3, blocked_words=9.0, words=3.0)]
    assert [(one["rule"], one["reason"]) for one in queued(rows)] == [("blocked", "blocklist"), ("toxic", "uncertain")]
    assert reason_of(Rule("lang", "lang_score", at_least=0.65)) == "uncertain"


def test_merged_documents_are_not_asked_for():
    rows = [row(1, words=51.0, cluster="c"), row(2, words=51.0, cluster="c")]
    assert [one["doc_id"][-1] for one in queued(rows)] == ["1"]


def test_an_empty_corpus_has_an_empty_queue():
    table = queue(gather(*tables([]), {}), RULES, margin=1.0)
    assert table.schema == QUEUE
    assert not len(table)


def test_a_bound_at_zero_is_measured_in_the_signal_itself():
    rule = Rule("residual", "word_entropy_residual", at_most=0.0)
    assert distances(rule, np.array([-0.25, 0.5, np.nan, np.inf])).tolist() == [0.25, 0.5, np.inf, np.inf]


def test_decisions_are_appended_and_the_last_one_wins(tmp_path):
    path = tmp_path / "new" / "decisions.jsonl"
    assert read_decisions(path).num_rows == 0
    append_decision(path, Decided("b", "keep", "k", "ada", "a “quote”\nand a line"))
    append_decision(path, Decided("a", "drop"))
    append_decision(path, Decided("b", "drop"))
    assert len(path.read_text().splitlines()) == 3
    table = read_decisions(path)
    assert table.schema == DECISIONS
    assert list(zip(*(table[name].to_pylist() for name in ("doc_id", "decision")), strict=True)) == [
        ("a", "drop"),
        ("b", "drop"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"doc_id": "a"}',
        '{"doc_id": "a", "decision": "maybe"}',
        '{"doc_id": 1, "decision": "keep"}',
        '{"doc_id": "a", "decision": "keep", "colour": "red"}',
        '{"doc_id": "a", "decision": ["keep"]}',
        '\udcff{"doc_id"',
    ],
)
def test_a_bad_line_is_named(tmp_path, line):
    path = tmp_path / "decisions.jsonl"
    append_decision(path, Decided("a", "keep"))
    path.write_bytes(path.read_bytes() + b"\n" + line.encode("utf-8", "surrogateescape"))
    with pytest.raises(SourceError, match=r"decisions\.jsonl:3: not a decision.*decide\.decisions"):
        read_decisions(path)


def test_a_line_needs_the_document_and_the_decision_alone(tmp_path):
    path = tmp_path / "decisions.jsonl"
    path.write_text(json.dumps({"doc_id": "a", "decision": "keep"}))
    assert read_decisions(path).to_pylist() == [
        {"doc_id": "a", "decision": "keep", "rules": "", "reviewer": "", "note": "", "text_hash": ""}
    ]


def test_a_withdrawn_decision_is_none(tmp_path):
    path = tmp_path / "decisions.jsonl"
    for decision in ("keep", "drop", "withdraw"):
        append_decision(path, Decided("a", decision))
        append_decision(path, Decided("b", "keep"))
    assert read_decisions(path)["doc_id"].to_pylist() == ["b"]
    append_decision(path, Decided("a", "drop"))
    assert read_decisions(path)["decision"].to_pylist() == ["drop", "keep"]
    assert len(path.read_text().splitlines()) == 7  # nothing is ever taken out of the file


def test_a_decision_on_another_text_is_stale():
    lines = [
        Decided("same", "keep", text_hash="1"),
        Decided("changed", "drop", text_hash="2"),
        Decided("any", "keep"),
        Decided("elsewhere", "keep", text_hash="4"),
    ]
    told = pa.Table.from_pylist([asdict(line) for line in lines], DECISIONS)
    texts = pa.table({"doc_id": ["changed", "any", "same"], "text_hash": ["x", "y", "1"]})
    in_force, stale = split_stale(told, texts)
    assert in_force["doc_id"].to_pylist() == ["same", "any", "elsewhere"]
    assert stale["doc_id"].to_pylist() == ["changed"]
    nothing = split_stale(DECISIONS.empty_table(), texts)
    assert [table.num_rows for table in nothing] == [0, 0]


def test_the_key_of_rules_changes_with_a_bound_and_not_with_the_order_of_domains():
    turned = dict(reversed(RULES.items()))
    assert rules_key(RULES) == rules_key(turned)
    assert rules_key(RULES) != rules_key(RULES | {"web": (PUNCT,)})


def test_decisions_are_aligned_with_documents_and_foreign_ones_are_no_mistake():
    ids = pa.chunked_array([pa.array([f"{number:032x}" for number in (3, 1, 2)])])
    assert align_decisions(ids, said(d1="drop", d3="keep", d77="drop")).tolist() == [KEEP, DROP, UNDECIDED]
    assert align_decisions(ids, said()).tolist() == [UNDECIDED] * 3


def test_a_persons_keep_beats_every_rule():
    decision = decided([row(1, words=3.0, punct_share=0.9), row(2)], said(d1="keep"))
    first = decision.ledger.to_pylist()[0]
    assert (first["verdict"], first["rule"], first["bound"], first["profile"]) == ("kept", "review", "keep", "person")
    assert len(decision.ledger) == len(decision.kept) == 2


def test_a_persons_keep_beats_no_duplicate():
    rows = [row(1, words=3.0, cluster="c"), row(2, cluster="c", bytes=200)]
    verdicts = {one["doc_id"][-1]: one for one in decided(rows, said(d1="keep")).ledger.to_pylist()}
    assert (verdicts["1"]["verdict"], verdicts["1"]["other"]) == ("merged", rows[1]["doc_id"])


def test_a_persons_drop_beats_all_and_the_cluster_elects_another():
    rows = [row(1, cluster="c"), row(2, cluster="c", bytes=200)]
    verdicts = {one["doc_id"][-1]: one["verdict"] for one in decided(rows, said(d2="drop")).ledger.to_pylist()}
    assert verdicts == {"1": "kept", "2": "dropped"}


def test_a_dropped_document_names_the_person_first_and_then_every_rule():
    ledger = decided([row(1, words=3.0)], said(d1="drop")).ledger
    assert ledger.schema == LEDGER
    assert [(one["rule"], one["bound"]) for one in ledger.to_pylist()] == [
        ("review", "drop"),
        ("words", ">= 50 and <= 200"),
    ]


some_decisions = st.dictionaries(st.integers(0, 11), st.sampled_from(["keep", "drop"]))


@given(some_rows, some_decisions)
def test_laws_hold_with_decisions(rows, numbers):
    decisions = said(**{f"d{(number * 7919) % 1000}": one for number, one in numbers.items()})
    decision = decided(rows, decisions)
    assert all(account.balanced for account in decision.accounts.values())
    assert sum(account.documents_in for account in decision.accounts.values()) == len(rows)
    verdicts = {one["doc_id"]: one["verdict"] for one in decision.ledger.to_pylist()}
    assert verdicts.keys() == {one["doc_id"] for one in rows}
    turned = {one["doc_id"]: one["verdict"] for one in decided(rows[::-1], decisions).ledger.to_pylist()}
    assert turned == verdicts
    for one in decisions.to_pylist():
        allowed = {"keep": {"kept", "merged", None}, "drop": {"dropped", None}}[one["decision"]]
        assert verdicts.get(one["doc_id"]) in allowed


def test_the_card_counts_people_and_budgets_name_the_rule_that_took_most():
    rows = [row(1), row(2, words=3.0), row(3, words=3.0), row(4, words=3.0)]
    decision = decided(rows, said(d1="drop", d2="keep"))
    assert count_reviewed(decision.ledger) == {"keep": 1, "drop": 1}
    assert count_reviewed(decided(rows).ledger) == {"keep": 0, "drop": 0}
    with pytest.raises(Exception, match="most failed words"):
        check_budgets(decision.accounts, {"web": 0.1}, decision.ledger)


LINES = "one line here.\n- two\nthree…\none line here.\n"


@pytest.mark.parametrize(
    ("signal", "marked"),
    [
        ("dup_line_share", ["one line here."]),
        ("fineweb_dup_line_char_share", ["one line here."]),
        ("dolma_bullet_line_share", ["- two"]),
        ("ellipsis_line_share", ["three…"]),
        ("terminal_punct_line_share", ["one line here.", "three…", "one line here."]),
        ("short_line_share", LINES.split("\n")[:-1]),
        ("dup_3gram_char_share", ["one line here."]),
        ("top_2gram_char_share", ["one line", "one line"]),
        ("words", []),
    ],
)
def test_highlights_mark_what_a_signal_counts(signal, marked):
    caption, ranges = highlights(LINES, signal)
    assert [LINES[start:end] for start, end in ranges] == marked
    assert bool(caption) == bool(marked)


def test_highlights_of_phrases_and_paragraphs():
    text = "Lorem IPSUM {\n\nWe use cookies\n\nsame\n\nsame #"
    found = {name: [text[a:b] for a, b in highlights(text, name)[1]] for name in ("lorem_ipsum", "curly_brackets")}
    assert found == {"lorem_ipsum": ["Lorem IPSUM"], "curly_brackets": ["{"]}
    assert [text[a:b] for a, b in highlights(text, "policy_lines")[1]] == ["use cookies"]
    assert highlights("a\n\nb\n\na", "dup_paragraph_share") == ("paragraphs seen before", [(6, 7)])
    assert highlights("", "top_4gram_char_share")[1] == []


@given(st.text(alphabet="ab \n{", max_size=60), st.sampled_from(["dup_5gram_char_share", "dup_line_share"]))
def test_marks_are_sorted_and_do_not_touch(text, signal):
    ranges = highlights(text, signal)[1]
    assert all(0 <= start < end <= len(text) for start, end in ranges)
    assert all(end < start for (_, end), (start, _) in pairwise(ranges))


def test_a_decision_that_is_written_in_part_is_an_error_and_not_taken_for_another(tmp_path):
    path = tmp_path / "decisions.jsonl"
    append_decision(path, Decided("d1", "keep"))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 9, before[1]))  # as on a disk that fills up
    try:
        with pytest.raises(OSError, match=r"No space left on device.*decisions\.jsonl"):
            append_decision(path, Decided("d2", "drop"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with pytest.raises(SourceError, match=r"decisions\.jsonl:2: not a decision"):
        read_decisions(path)
