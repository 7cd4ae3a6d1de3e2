"""Two runs side by side: planted changes are found, each with its reasons, and nothing else."""

import itertools
import json
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # for bench.diff

from bench import diff as planting
from gristmill.cli import main
from gristmill.corpus.errors import ConservationError, StoreError
from gristmill.flows.diff import changed_documents
from gristmill.flows.diff import diff_runs as room
from gristmill.flows.diff.change_reasons import REASONS
from gristmill.flows.diff.decided_columns import DecidedColumns
from gristmill.flows.diff.diff_runs import diff_runs
from gristmill.flows.direct import refine_directly
from gristmill.flows.takedown.removal import takedown

PER_SOURCE = 12


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two nights of one recipe; a document of the second is taken down."""
    folder = tmp_path_factory.mktemp("pair")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRISTMILL_HOME", str(folder / "home"))
        recipes = (planting.recipe_of(folder, night, PER_SOURCE) for night in (0, 1))
        runs = [Path(refine_directly(recipe, "edits")["run"]) for recipe in recipes]
        takedown(runs[1], [planting.TAKEN])
    return runs


@pytest.fixture(scope="module")
def result(pair):
    return diff_runs(*pair)


def test_every_planted_change_is_found_with_its_reasons_and_nothing_else(pair, result):
    assert planting.classified(result, planting.names_of(*pair)) == planting.planted(PER_SOURCE)
    assert list(result["by_reason"]) == list(REASONS)
    assert result["documents"] == len(planting.planted(PER_SOURCE))


def test_rules_are_named_with_both_bounds(result):
    rules = {(one["rule"], one["before"], one["after"]): one["by_source"] for one in result["by_rule"]}
    assert rules == {
        ("words", ">= 5", ">= 14"): {"bound": 4},
        ("words", None, ">= 5"): {"profile": 2},
        ("c4_sentences", ">= 5", None): {"tongue": 10},
        ("exclamations", "<= 2", "<= 2"): {"coded": 6},
    }


def test_what_else_differs_is_named(result):
    assert {one["key"] for one in result["recipe"]} > {"sources.first.priority", "sources.tongue.lang", "pii.email"}
    assert list(result["inputs"]) == ["bound", "first", "plain"]
    assert [(stage, one["key"]) for stage, found in result["code"].items() for one in found] == [
        ("marks", "plugins.marks.sha256"),
        ("pii", "settings.email"),
        ("pii", "version"),
    ]


def test_texts_are_shown_around_the_first_difference_and_masked(result):
    samples = {(one["source"], one["kind"]): one for one in result["samples"]}
    edited = samples["bound", "edited"]
    assert (edited["before"][-1], edited["after"][-1], edited["before"][:-1]) == ("y", "z", edited["after"][:-1])
    assert "<EMAIL>" in samples["mailed", "cut"]["after"]
    assert samples["first", "added"]["before"] is None
    assert "plain-3" not in json.dumps(result["samples"])


MIRROR = {"before": "after", "after": "before", "added": "removed", "removed": "added"}


def ordered(value: Any, names: dict[str, str]) -> Any:
    """The same under other names, lists in the order of their texts: groups of one size change places."""
    if isinstance(value, dict):
        return {names.get(key, key): ordered(one, names) for key, one in value.items() if key != "samples"}
    if isinstance(value, list | tuple):
        return sorted((ordered(one, names) for one in value), key=lambda one: json.dumps(one, sort_keys=True))
    return names.get(value, value) if isinstance(value, str) else value


def test_swapped_runs_give_the_mirror_image(pair, result):
    assert ordered(diff_runs(*reversed(pair)), {}) == ordered(result, MIRROR)


def test_a_run_against_itself_and_another_of_its_recipe_give_nothing(pair):
    same = diff_runs(pair[0], pair[0])
    assert (same["documents"], same["changes"], same["samples"], same["by_reason"]) == (0, [], [], {})
    assert (same["recipe"], same["inputs"], same["code"], same["card"]["differences"]) == ([], {}, {}, 0)


@pytest.mark.parametrize("fault", ["lost", "twice", "turned"])
def test_a_change_that_is_left_out_is_seen(pair, monkeypatch, fault):
    real = room.changed_documents
    faults = {
        "lost": lambda frame: frame.filter(pl.col("kind") != "removed"),
        "twice": lambda frame: pl.concat([frame, frame.filter(pl.col("kind") == "added").head(1)]),
        "turned": lambda frame: frame.with_columns(verdict_b=pl.col("verdict_b").replace("merged", "kept")),
    }
    monkeypatch.setattr(room, "changed_documents", lambda *columns: faults[fault](real(*columns)))
    with pytest.raises(ConservationError, match="do not add up"):
        diff_runs(*pair)


def test_a_change_without_a_reason_is_counted(pair, monkeypatch):
    real = room.reasons_of

    def blind(before, after, changed):
        reasoned = real(before, after, changed)
        reasoned.changed.replace_column(
            reasoned.changed.get_column_index("why_rule"),
            pl.Series("why_rule", [False]).new_from_index(0, len(changed)),
        )
        return reasoned

    monkeypatch.setattr(room, "reasons_of", blind)
    assert diff_runs(*pair)["by_reason"]["unexplained"] == {"documents": 4, "by_source": {"bound": 2, "profile": 2}}


def test_the_command_shows_counts_reasons_and_texts(pair, capsys, tmp_path):
    def called(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["diff", *map(str, pair), *arguments])
        assert ended.value.code == 0
        return capsys.readouterr().out

    assert json.loads(called("--json", "--samples", "0"))["samples"] == []
    shown = called("--html", str(tmp_path / "page" / "diff.html"))
    assert "49 documents are not the same" in (tmp_path / "page" / "diff.html").read_text()
    for text in ("removed", "kept documents", "words: >= 5 to >= 14", "<EMAIL>", "recipe  pii.email: None to mask"):
        assert text in shown
    main_shown = "no document changed"
    with pytest.raises(SystemExit):
        main(["diff", str(pair[0]), str(pair[0])])
    assert main_shown in capsys.readouterr().out


def test_a_run_that_has_not_decided_is_one_message(pair, tmp_path, monkeypatch):
    monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path / "home"))
    run = Path(refine_directly(planting.recipe_of(tmp_path, 0, 6), "documents")["run"])
    with pytest.raises(StoreError, match="has no decide yet"):
        diff_runs(pair[0], run)


ROWS = st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=8)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 8), max_size=3), ROWS, ROWS, st.permutations(range(4)), st.sets(st.integers(0, 3)))
def test_documents_of_shared_parts_are_paired_as_a_join_would(cuts, first, second, order, kept):
    """The second run has some parts of the first in another order, and what else there is of ``second`` in one more."""
    bounds = [0, *sorted(min(cut, len(first)) for cut in cuts), len(first)]
    parts = [tuple(first[start:stop]) for start, stop in itertools.pairwise(bounds)]
    shared = [parts[n] for n in order if n in kept and n < len(parts)]
    others = tuple(one for one in second if all(one not in part for part in shared))
    sides = [_decided(parts), _decided([*shared, others])]
    paired = changed_documents._pair(*sides)
    frames = [
        side.documents.select("doc_id").with_row_index(f"at_{name}") for side, name in zip(sides, "ab", strict=True)
    ]
    expected = frames[0].join(frames[1], on="doc_id", how="full", coalesce=True).select(paired.columns)
    assert paired.sort("doc_id").equals(expected.sort("doc_id"))


def _decided(parts):
    """Documents of nothing but a name, by part."""
    rows = [(doc_id, number) for number, part in enumerate(parts) for doc_id in part]
    documents = pl.DataFrame(rows, {"doc_id": pl.String, "part": pl.Int32}, orient="row")
    return DecidedColumns(documents, pl.DataFrame(), tuple(" ".join(part) for part in parts))
