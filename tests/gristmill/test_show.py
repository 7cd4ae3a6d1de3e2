"""What a person sees on a terminal of any width."""

from io import StringIO

import pytest
from rich.console import Console

from gristmill.show import size_text, table


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
