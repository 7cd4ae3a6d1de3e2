"""What a person sees on a terminal of any width."""

from io import StringIO

import pytest
from rich.console import Console

from gristmill.show import size_text, table
from gristmill.show_diff import show_diff
from gristmill.show_home import show_collected
from gristmill.show_text import show_runs, show_samples


@pytest.mark.parametrize("width", [60, 80, 120])
def test_names_are_shown_whole_however_narrow_the_terminal(width):
    view = table("stages", "stage", "computed", "reused", "seconds", "documents in", "text in")
    names = ["reference-model-prose", "reference-prose", "contamination"]
    for name in names:
        view.add_row(name, "14", "0", "1.0", "20,341", "20.81 MB")
    out = StringIO()
    Console(file=out, width=width).print(view)
    lines = [line[: width // 3].split(" ")[0] for line in out.getvalue().splitlines()]
    assert "".join(lines).endswith("".join(names))
    assert "…" not in out.getvalue()


def test_sizes_read_like_sizes():
    assert [size_text(n) for n in (0, 999, 99_999, 100_000, 10**9)] == [
        "0.0 kB", "1.0 kB", "100.0 kB", "0.10 MB", "1,000.00 MB",
    ]  # fmt: skip


def test_a_diff_has_a_line_for_what_one_run_has_alone_and_equal_texts_once(capsys):
    gone = [{"key": f"trainer.model.k{n}", "before": n, "after": None} for n in range(9)]
    sample = {"doc_id": "d", "kind": "verdict", "locator": "a:1", "before": "one text", "after": "one text"}
    edited = {**sample, "kind": "edited", "after": "other text"}
    show_diff(
        {
            "before": "run", "after": "run", "by_kind": {}, "by_reason": {}, "shares": {}, "plan": {}, "documents": 1,
            "by_source": {"before": {}, "after": {}}, "changes": [], "tokens": {},
            "recipe": [{"key": "decide.profiles[0]", "before": "a", "after": "b"}, *gone],
            "code": {"train": [{"key": "version", "before": "4", "after": None}], "decide": gone[:1]},
            "card": {"differences": 0}, "samples": [sample, edited],
        }
    )  # fmt: skip
    out = capsys.readouterr().out
    assert "recipe  trainer: 9 keys only in the run before\n" in out
    assert "recipe  decide.profiles[0]: a to b\n" in out
    assert "code  train: only in the run before\n" in out
    assert "code  decide: trainer.model.k0 0 to None\n" in out
    assert (out.count("'one text'"), out.count("- 'one text'\n+ 'other text'")) == (2, 1)


def test_what_is_counted_once_has_no_plural(capsys):
    one = {"locator": "a:1", "source": "s", "reason": "blank", "detail": None, "bytes": 2, "head": " "}
    show_samples({"choice": {"rejected": True}, "documents": 1, "samples": [one], "reasons": {"blank": 1}})
    show_samples({"choice": {"kept": True}, "documents": 1, "samples": []})
    show_collected(
        {
            "dry_run": False, "runs_removed": [], "entries_removed": {"edits": 1}, "unfinished_removed": 1,
            "runs_kept": {"r": "it is the latest"}, "bytes_before": 2, "bytes_after": 1,
        }
    )  # fmt: skip
    out = capsys.readouterr().out
    assert "1 record, 1 shown: 1 blank\n" in out
    assert "1 document, 0 shown\n" in out
    assert "deleted 1 entry of edits\ndeleted 1 unfinished file or folder\nkept 1 run\n" in out


def test_the_list_says_which_run_waits_for_approval(capsys):
    row = {
        "recipe": "r",
        "run": "ab" * 8,
        "when": "",
        "stage": "card",
        "documents": 3,
        "verified": True,
        "problem": None,
    }
    rows = [{**row, "latest": True, "state": "complete"}, {**row, "latest": False, "state": "paused"}]
    show_runs({"home": "home", "rows": rows})
    shown = capsys.readouterr()
    assert [line.split("3  ")[1].strip() for line in (shown.out + shown.err).splitlines() if "abab" in line] == [
        "yes (latest)",
        "yes, paused",
    ]
