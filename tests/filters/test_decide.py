import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.account import Account
from gristmill.corpus.errors import BudgetError, SchemaError, UnknownNameError
from gristmill.corpus.schema import CLUSTERS, KEPT, LEDGER
from gristmill.filters.decide.budgets import check_budgets
from gristmill.filters.decide.changes import whatif
from gristmill.filters.decide.contaminated_items import with_items
from gristmill.filters.decide.evidence import gather
from gristmill.filters.decide.language_notices import language_notices
from gristmill.filters.decide.language_reach import language_reach
from gristmill.filters.decide.profiles import PROFILES
from gristmill.filters.decide.rules import Rule
from gristmill.filters.decide.stage import DecideFacts
from gristmill.filters.decide.verdicts import decide, heldout_flags
from gristmill.filters.signals.measure import SCHEMA

WORDS = Rule("words", "words", at_least=50, profile="length v1")
PUNCT = Rule("punct", "punct_share", at_most=0.2)
RUSSIAN = Rule("ru_words", "words", at_least=80, languages=("ru",))
RULES = {"web": (WORDS, PUNCT), "code": (WORDS, RUSSIAN)}
PRIORITIES = {"books": 5}


def documents_of(rows: list[dict]) -> pa.Table:
    columns = {
        "doc_id": pa.array([row["id"] for row in rows], pa.string()),
        "source": pa.array([row["source"] for row in rows], pa.string()),
        "domain": pa.array([row["domain"] for row in rows], pa.string()),
        "lang_id": pa.array([row["lang"] for row in rows], pa.string()),
        "bytes": pa.array([row["bytes"] for row in rows], pa.int64()),
        "part": pa.array([0] * len(rows), pa.int32()),
        "row": pa.array(range(len(rows)), pa.int64()),
    }
    return pa.table(columns)


def signals_of(rows: list[dict]) -> pa.Table:
    values = {name: np.zeros(len(rows)) for name in SCHEMA.names[1:]}
    values["words"] = np.array([row["words"] for row in rows], float)
    values["punct_share"] = np.array([row["punct"] for row in rows], float)
    return pa.table({"doc_id": pa.array([row["id"] for row in rows], pa.string()), **values})


def clusters_of(rows: list[dict]) -> pa.Table:
    groups: dict[str, list[str]] = {}
    for row in rows:
        if row["cluster"] is not None:
            groups.setdefault(row["cluster"], []).append(row["id"])
    listed = [
        {"doc_id": one, "cluster": min(ids), "size": len(ids), "kind": row_kind(one), "jaccard": 0.9}
        for ids in groups.values()
        for one in ids
    ]
    return pa.Table.from_pylist(listed, CLUSTERS)


def row_kind(doc_id: str) -> str:
    return "exact" if int(doc_id, 16) % 2 else "near"


def row(number: int, **given) -> dict:
    base = {"source": "web", "domain": "web", "lang": "en", "bytes": 100, "words": 90, "punct": 0.1, "cluster": None}
    return {"id": f"{number:032x}", **base, **given}


def run(rows: list[dict], **given):
    options = {"priorities": PRIORITIES, "heldout": 0.0, "seed": 1} | given
    return decide(documents_of(rows), signals_of(rows), clusters_of(rows), RULES, **options)


def naive_fails(one: dict, rule: Rule) -> bool:
    value = {"words": one["words"], "punct_share": one["punct"]}[rule.signal]
    judged = not rule.languages or one["lang"] in rule.languages  # made for one language: never without one
    return judged and not rule.at_least <= value <= rule.at_most


def naive_verdicts(rows: list[dict]) -> dict[str, tuple[str, str | None]]:
    """doc_id -> (verdict, the document it lost to)."""
    found, best = {}, {}
    for one in rows:
        if any(naive_fails(one, rule) for rule in RULES[one["domain"]]):
            found[one["id"]] = ("dropped", None)
            continue
        group = one["cluster"] or one["id"]
        rank = (-PRIORITIES.get(one["source"], 0), -one["bytes"], one["id"])
        best[group] = min(best.get(group, rank), rank)
    for one in rows:
        if one["id"] not in found:
            winner = best[one["cluster"] or one["id"]][2]
            found[one["id"]] = ("kept", None) if winner == one["id"] else ("merged", winner)
    return found


some_rows = st.lists(
    st.fixed_dictionaries(
        {
            "source": st.sampled_from(["web", "books"]),
            "domain": st.sampled_from(["web", "code"]),
            "lang": st.sampled_from(["en", "ru", None]),
            "bytes": st.integers(0, 3),
            "words": st.sampled_from([10, 60, 90]),
            "punct": st.sampled_from([0.1, 0.3]),
            "cluster": st.sampled_from(["a", "b", None]),
        }
    ),
    max_size=14,
).map(lambda rows: [{"id": f"{(number * 7919) % 1000:032x}", **one} for number, one in enumerate(rows)])


@given(some_rows)
def test_verdicts_equal_the_naive_ones(rows):
    decision = run(rows)
    ledger = decision.ledger.to_pylist()
    assert {one["doc_id"]: (one["verdict"], one["other"]) for one in ledger} == naive_verdicts(rows)
    assert decision.ledger.schema == LEDGER
    assert decision.kept.schema == KEPT


@given(some_rows)
def test_every_failing_rule_is_in_the_ledger_in_order(rows):
    ledger = [one for one in run(rows).ledger.to_pylist() if one["verdict"] == "dropped"]
    expected = [(one["id"], rule.name) for one in rows for rule in RULES[one["domain"]] if naive_fails(one, rule)]
    assert [(one["doc_id"], one["rule"]) for one in ledger] == expected


@given(some_rows)
def test_nothing_is_lost(rows):
    decision = run(rows)
    assert all(account.balanced for account in decision.accounts.values())
    assert sum(account.documents_in for account in decision.accounts.values()) == len(rows)
    assert sum(account.bytes_in for account in decision.accounts.values()) == sum(one["bytes"] for one in rows)
    assert len(decision.kept) == sum(account.documents_kept for account in decision.accounts.values())


@given(some_rows, st.randoms())
def test_the_order_of_documents_does_not_matter(rows, random):
    shuffled = random.sample(rows, len(rows))
    verdicts = [{one["doc_id"]: one["verdict"] for one in run(some).ledger.to_pylist()} for some in (rows, shuffled)]
    assert verdicts[0] == verdicts[1]
    assert run(shuffled).accounts == run(rows).accounts


@given(some_rows)
def test_a_cluster_with_a_passing_member_keeps_exactly_one(rows):
    kept = set(run(rows).kept["doc_id"].to_pylist())
    for name in ("a", "b"):
        members = [one for one in rows if one["cluster"] == name]
        passing = [one for one in members if not any(naive_fails(one, rule) for rule in RULES[one["domain"]])]
        assert len(kept & {one["id"] for one in members}) == min(1, len(passing))


def test_the_ledger_tells_rule_value_bound_and_profile():
    ledger = run([row(1, words=10, punct=0.3), row(2)]).ledger.to_pylist()
    short, marks, kept = ledger
    assert (short["rule"], short["signal"], short["value"], short["bound"]) == ("words", "words", 10.0, ">= 50")
    assert short["profile"] == "length v1"
    assert (marks["rule"], marks["value"], marks["bound"]) == ("punct", 0.3, "<= 0.2")
    assert (kept["verdict"], kept["rule"], kept["stage"]) == ("kept", None, "decide")


def test_a_merged_document_names_the_one_it_lost_to():
    rows = [row(2, cluster="c"), row(3, cluster="c", bytes=200), row(4, cluster="c", words=3)]
    ledger = {one["doc_id"][-1]: one for one in run(rows).ledger.to_pylist()}
    assert ledger["3"]["verdict"] == "kept"
    assert (ledger["2"]["rule"], ledger["2"]["other"]) == ("duplicate_near", rows[1]["id"])
    assert ledger["2"]["value"] == pytest.approx(0.9)
    assert ledger["4"]["verdict"] == "dropped"


def test_the_ledger_names_the_items_that_a_dropped_document_holds(tmp_path):
    held = [("q", f"item{n}") for n in range(7)]
    rows = [{"doc_id": "b", "benchmark": name, "item": item} for name, item in held]
    rows += [{"doc_id": "c", "benchmark": "r", "item": "0"}, {"doc_id": "z", "benchmark": "r", "item": "1"}]
    pl.DataFrame(rows).write_parquet(tmp_path / "passages.parquet")
    none = dict.fromkeys(LEDGER.names)
    given = [
        ("a", None, None),
        ("b", "words", None),
        ("b", "contaminated_passages", None),
        ("c", "contaminated_passages", None),
        ("d", "jaccard", "a"),
    ]
    fixed = {"source": "s", "domain": "d", "stage": "decide", "verdict": "dropped", "bytes": 1}
    table = [{**none, **fixed, "doc_id": doc, "signal": signal, "other": other} for doc, signal, other in given]
    ledger = pa.Table.from_pylist(table, LEDGER)
    named = with_items(ledger, [tmp_path / "passages.parquet"])
    first = "q/item0, q/item1, q/item2, q/item3, q/item4 and 2 more"
    assert named["other"].to_pylist() == [None, None, first, "r/0", "a"]
    assert named.drop_columns("other").equals(ledger.drop_columns("other"))
    assert with_items(ledger, []) is ledger


def test_source_priority_comes_before_length():
    rows = [row(2, cluster="c", bytes=900), row(3, cluster="c", source="books", bytes=1)]
    assert run(rows).kept["source"].to_pylist() == ["books"]


def test_an_empty_corpus_is_decided():
    decision = run([])
    assert len(decision.ledger) == len(decision.kept) == 0
    assert decision.accounts == {}


def test_heldout_is_keyed_by_document_and_seed():
    ids = pa.chunked_array([pa.array([f"{number:032x}" for number in range(4000)])])
    flags = heldout_flags(ids, 0.1, 1)
    assert 0.07 < flags.mean() < 0.13
    assert (heldout_flags(ids.slice(1000), 0.1, 1) == flags[1000:]).all()
    assert (heldout_flags(ids, 0.2, 1) | ~flags).all()
    assert (heldout_flags(ids, 0.1, 2) != flags).any()
    assert not heldout_flags(ids, 0.0, 1).any()
    assert heldout_flags(ids, 1.0, 1).all()


def test_budget_names_source_share_rule_and_key():
    decision = run([row(1, words=1), row(2, words=2), row(3, source="books")])
    check_budgets(decision.accounts, {"web": 1.0, "books": 0.0})
    expected = r"source 'web' lost 2 of 2 documents \(100.0%.*budget of 50.0%; most failed words >= 50 \(2 documents\)"
    with pytest.raises(BudgetError, match=expected + r".*sources\.web\.retention_budget"):
        check_budgets(decision.accounts, {"web": 0.5}, decision.ledger)


def test_rejects_count_against_the_budget():
    rejects = {"web": {"not_json": 3, "text_null": 1}, "gone": {"not_json": 9}, "fine": {}}
    accounts = {"web": Account(6, 5, 1, 0, 6, 5, 1, 0)}
    check_budgets(accounts, {"web": 0.5, "fine": 0.0}, rejects=rejects)
    lost = r"'web' lost 5 of 10 records \(50.0%: 4 rejected, 1 dropped\).*40.0%; most were rejected as not_json \(3 re"
    with pytest.raises(BudgetError, match=lost):
        check_budgets(accounts, {"web": 0.4}, rejects=rejects)
    with pytest.raises(BudgetError, match=r"'gone' lost 9 of 9 records.*sources\.gone\.retention_budget"):
        check_budgets(accounts, {"gone": 0.9}, rejects=rejects)


def test_duplicates_count_against_the_budget():
    accounts = {"web": Account(10, 1, 0, 9, 10, 1, 0, 9)}
    with pytest.raises(BudgetError, match="9 of 10"):
        check_budgets(accounts, {"web": 0.8})


def test_a_domain_without_rules_is_named():
    with pytest.raises(UnknownNameError, match="unknown domain 'wen'; did you mean 'web'"):
        run([row(1, domain="wen")])


def test_a_rule_on_a_signal_that_was_not_measured_is_named():
    documents, signals, clusters = documents_of([row(1)]), signals_of([row(1)]), clusters_of([row(1)])
    rules = {"web": (Rule("score", "lang_score", at_least=0.5),)}
    with pytest.raises(UnknownNameError, match="lang_score"):
        decide(documents, signals, clusters, rules, priorities={}, heldout=0, seed=1)
    scored = documents.append_column("lang_score", pa.array([0.4]))
    decision = decide(scored, signals, clusters, rules, priorities={}, heldout=0, seed=1)
    assert decision.ledger["verdict"].to_pylist() == ["dropped"]


def test_tables_that_do_not_align_are_refused():
    rows = [row(1), row(2)]
    with pytest.raises(SchemaError, match="row-aligned"):
        gather(documents_of(rows), signals_of(rows[::-1]), clusters_of(rows), {})
    with pytest.raises(SchemaError, match="which the documents do not have"):
        gather(documents_of(rows), signals_of(rows), clusters_of([row(9, cluster="x")]), {})
    twice = pa.concat_tables([clusters_of([row(1, cluster="x")])] * 2)
    with pytest.raises(SchemaError, match="more than one row"):
        gather(documents_of(rows), signals_of(rows), twice, {})
    with pytest.raises(SchemaError, match="'lang_id'"):
        gather(documents_of(rows).drop(["lang_id"]), signals_of(rows), clusters_of(rows), {})


@given(some_rows, st.sampled_from([5, 70, 95]))
def test_whatif_equals_a_real_rerun(rows, at_least):
    after = {domain: (Rule("words", "words", at_least=at_least),) for domain in RULES}
    evidence = gather(documents_of(rows), signals_of(rows), clusters_of(rows), PRIORITIES)
    answer = whatif(evidence, RULES, after)
    first = run(rows)
    again = decide(
        documents_of(rows), signals_of(rows), clusters_of(rows), after, priorities=PRIORITIES, heldout=0.0, seed=1
    )
    assert (answer.before, answer.after) == (first.accounts, again.accounts)
    verdicts = [{one["doc_id"]: one["verdict"] for one in decision.ledger.to_pylist()} for decision in (first, again)]
    flips = [one["id"] for one in rows if verdicts[0][one["id"]] != verdicts[1][one["id"]]]
    assert answer.flipped["doc_id"].to_pylist() == flips
    assert answer.flipped["after"].to_pylist() == [verdicts[1][one] for one in flips]


# ------------------------------------------------------------------------------------------------ languages

ENGLISH = Rule("stops", "words", at_least=80, languages=("en",))
OTHERS = Rule("stops", "words", at_least=5, not_for=("en",))


def reach_of(rules: tuple[Rule, ...], languages: list[str | None]):
    rows = [row(number, lang=language) for number, language in enumerate(languages)]
    return language_reach(documents_of(rows), {"web": rules})


def test_a_rule_made_for_a_language_judges_no_document_without_one():
    rows = [row(1, lang=None, words=60), row(2, lang="ru", words=60), row(3, lang="en", words=60)]
    rows = [{**one, "domain": "code"} for one in rows]
    assert run(rows).ledger["verdict"].to_pylist() == ["kept", "dropped", "kept"]


@given(some_rows)
def test_documents_that_a_rule_passed_over_are_counted_by_language(rows):
    decision = run(rows)
    expected: dict[str, int] = {}
    for one in rows:
        if one["domain"] == "code" and one["lang"] != "ru":
            expected[one["lang"] or ""] = expected.get(one["lang"] or "", 0) + 1
    assert decision.reach.passed_over == ({"ru_words": expected} if expected else {})
    assert decision.reach.judges == ({"ru_words": ("ru",)} if any(one["domain"] == "code" for one in rows) else {})


def test_rules_of_one_name_count_together():
    languages = ["en", "de", None]
    assert reach_of((ENGLISH, OTHERS), languages).judges == {}
    assert reach_of((ENGLISH,), languages).passed_over == {"stops": {"": 1, "de": 1}}
    german = Rule("stops", "words", at_least=5, languages=("de",))
    assert reach_of((ENGLISH, german), languages).passed_over == {"stops": {"": 1}}
    assert reach_of((ENGLISH, german), languages).judges == {"stops": ("de", "en")}


def test_what_a_rule_is_not_made_for_is_counted_and_told():
    spaced = Rule("words", "words", at_least=5, not_for=("th",))
    reach = reach_of((spaced,), ["en", "th", None])
    assert (reach.judges, reach.passed_over) == ({"words": ()}, {"words": {"th": 1}})
    (told,) = language_notices(facts_of(reach), 3)
    assert told == "words judges all other languages and passed over 1 of 3 documents: 1 th."
    assert reach_of((spaced,), ["en", None]).judges == {}


@pytest.mark.parametrize("language", ["am", "ti", "km", "lo"])
def test_words_that_no_space_parts_are_not_counted_against_a_document(language):
    for name in ("length", "gopher@datatrove", "gopher@dolma", "gopher@dclm"):
        (words,) = (rule for rule in PROFILES[name].rules if rule.name == "words")
        assert language in words.not_for


def test_the_residual_of_clauses_has_bounds_of_its_own_in_lao():
    rules = [one for one in PROFILES["entropy@residual"].rules if one.signal == "word_conditional_entropy_residual"]
    judging = [one for one in rules if "lo" in one.languages or (not one.languages and "lo" not in one.not_for)]
    assert [one.at_most for one in judging] == [9]


def facts_of(reach, **given) -> DecideFacts:
    return DecideFacts(judges=reach.judges, passed_over=reach.passed_over, **given)


def test_a_notice_is_given_above_one_in_a_hundred():
    seen = facts_of(reach_of((ENGLISH,), ["zh", "zh", None, *["en"] * 97]))
    assert language_notices(seen, 100) == (
        "stops judges en alone and passed over 3 of 100 documents: 2 zh, 1 no language.",
    )
    assert language_notices(facts_of(reach_of((ENGLISH,), ["zh", *["en"] * 99])), 100) == ()


def test_rules_that_could_judge_nothing_are_named_with_the_key():
    (said,) = language_notices(facts_of(reach_of((ENGLISH,), [None] * 3)), 3)
    assert said == (
        "stops judges en alone and passed over 3 of 3 documents: no language is known. Add [language] or sources.lang."
    )


def test_tags_that_name_no_language_are_told_with_where_they_come_from():
    reach = reach_of((ENGLISH,), ["en"] * 50)
    record, stage = (
        language_notices(facts_of(reach, no_language=5, languages_by=by), 50) for by in ("record", "stage")
    )
    assert "5 of 50 documents state what is no language" in record[0]
    assert "5 of 50 documents got no language from the model" in stage[0]
