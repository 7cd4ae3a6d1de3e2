"""Tables of many columns: does the time of reading them grow with the columns, or with their square?

    python bench/wide_table.py

Three rows of CSV, JSONL and Parquet with one text and N other columns, N doubled three times; each is read to documents
in a process of its own. Printed: CPU seconds without the start, and by how much each doubling multiplies them (2 is
linear, 4 is the square).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

COLUMNS = (1, 15_000, 30_000, 60_000, 120_000)
ROWS = 3
READ = """
import resource, sys
from pathlib import Path
from gristmill.flows.direct import refine_directly
result = refine_directly(Path(sys.argv[1]), "documents")
assert result["stages"]["documents"]["documents_out"] == 3
print(resource.getrusage(resource.RUSAGE_SELF).ru_utime + resource.getrusage(resource.RUSAGE_SELF).ru_stime)
"""


def table(columns: int) -> dict[str, list[str]]:
    """One column of text and ``columns`` of one character."""
    text = {"text": [f"Some words stand in row {row}." for row in range(ROWS)]}
    return text | {f"c{number}": ["1"] * ROWS for number in range(columns)}


def write_csv(path: Path, columns: dict[str, list[str]]) -> None:
    """Comma separated, the names first."""
    rows = [list(columns), *zip(*columns.values(), strict=True)]
    path.write_text("".join(",".join(row) + "\n" for row in rows))


def write_jsonl(path: Path, columns: dict[str, list[str]]) -> None:
    """One object a line."""
    rows = zip(*columns.values(), strict=True)
    path.write_text("".join(json.dumps(dict(zip(columns, row, strict=True))) + "\n" for row in rows))


def write_parquet(path: Path, columns: dict[str, list[str]]) -> None:
    """One row group."""
    pq.write_table(pa.table(columns), path)


WRITERS: dict[str, Callable[[Path, dict[str, list[str]]], None]] = {
    "csv": write_csv,
    "jsonl": write_jsonl,
    "parquet": write_parquet,
}


def cpu_seconds(folder: Path, kind: str, columns: int) -> float:
    """CPU seconds of a process that reads such a table to documents."""
    folder.mkdir()
    WRITERS[kind](folder / f"wide.{kind}", table(columns))
    (folder / "recipe.toml").write_text(
        f'name = "wide"\nseed = 1\n[[sources]]\nname = "wide"\npath = "wide.{kind}"\ndomain = "wide"\n'
    )
    environment = {**os.environ, "GRISTMILL_HOME": "home"}
    command = [sys.executable, "-c", READ, "recipe.toml"]
    return float(
        subprocess.check_output(
            command, cwd=folder, env=environment, stderr=subprocess.DEVNULL, text=True
        ).splitlines()[-1]
    )


def main() -> None:
    """Print one line for each kind of table."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    print(f"{'':8}" + "".join(f"{columns:>18,}" for columns in COLUMNS[1:]) + "  columns")
    with tempfile.TemporaryDirectory() as scratch:
        for kind in WRITERS:
            start, *found = [cpu_seconds(Path(scratch) / f"{kind}{n}", kind, n) for n in COLUMNS]
            seconds = [max(one - start, 1e-3) for one in found]
            grown = ["", *(f" (x{now / before:.1f})" for before, now in pairwise(seconds))]
            cells = (f"{one:.2f} s{growth}" for one, growth in zip(seconds, grown, strict=True))
            print(f"{kind:8}" + "".join(f"{cell:>18}" for cell in cells))


if __name__ == "__main__":
    main()
