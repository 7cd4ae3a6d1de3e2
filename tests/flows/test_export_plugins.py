"""A target of export from an installed package: the page's own example, and what one does wrong."""

# ruff: noqa: E501  tables of one row for each case

import importlib
import re
import sys
from pathlib import Path

import pytest

from gristmill.cli import main
from gristmill.corpus.errors import StageError, UnknownNameError
from gristmill.corpus.files import read_json
from gristmill.corpus.plugins import package_digest
from gristmill.flows.export.export_run import export_run
from gristmill.flows.export.targets import target_named

NAME = "gristmill_test_lines"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "plugins.md"
LINES = re.search(r"```python\n(from collections import Counter\n.*?)```", PAGE.read_text(), re.DOTALL)[1]


@pytest.fixture
def install(tmp_path, monkeypatch):
    """A function that installs a package of one file that announces targets of export."""
    site = tmp_path / "site"
    monkeypatch.syspath_prepend(str(site))

    def write(code: str, points: str = f"lines = {NAME}:export_lines") -> None:
        info = site / f"{NAME}-2.0.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        (site / f"{NAME}.py").write_text(code)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 2.0\n")
        (info / "RECORD").write_text(f"{NAME}.py,,\n")
        (info / "entry_points.txt").write_text(f"[gristmill.exports]\n{points}\n")
        forget()

    def forget() -> None:
        importlib.invalidate_caches()
        package_digest.cache_clear()
        sys.modules.pop(NAME, None)

    yield write
    forget()


def test_an_announced_target_writes_whole_or_not_at_all(small_run, tmp_path, install, monkeypatch, capsys):
    with pytest.raises(UnknownNameError, match="known: arrow, deepseekv3, dots1, jsonl, litdata, mds"):
        export_run(small_run, "lines", tmp_path / "out")
    install(LINES)
    monkeypatch.setattr("gristmill.flows.export.export_run._record", lambda *_: None)  # the run is shared
    with pytest.raises(SystemExit) as ended:
        main(["export", str(small_run), "--to", "lines", "--out", str(tmp_path / "out")])
    assert not ended.value.code, capsys.readouterr().err
    export = read_json(tmp_path / "out" / "export.json")
    assert export["plugin"] == {"name": NAME, "version": "2.0", "sha256": package_digest(NAME)}
    lines = b"".join((tmp_path / "out" / file["path"]).read_bytes() for file in export["files"]).split(b"\n")[:-1]
    ours = export_run(small_run, "jsonl", tmp_path / "jsonl")
    assert len(lines) == export["documents"] == ours["documents"] > 0
    assert export["by_source"] == ours["by_source"]
    assert "plugin" not in ours


WRONG = "from gristmill.flows.export.target import Exported, ExportedFile\n"
GIVES = "def export_lines(run, folder, options):\n    {}\n"


@pytest.mark.parametrize(
    ("code", "points", "told"),
    [
        (GIVES.format("return 3"), None, "it returned int, not gristmill.flows.export.target.Exported"),
        (GIVES.format("1 / 0"), None, f"plug-in '{NAME}' failed while writing the export 'lines': ZeroDivisionError"),
        (GIVES.format("return Exported((ExportedFile('a', 1, 1, ''),), {}, 0, {})"), None, "reported a, which is no file"),
        (GIVES.format("return Exported((ExportedFile('../r', 1, 1, ''),), {}, 0, {})"), None, "reported ../r, which is no"),
        (GIVES.format("(folder / 'a').touch(); return Exported((ExportedFile('a', 0, 1, ''),), {}, 0, {})"), None, "by size"),
        ("1 / 0", None, "ZeroDivisionError"),
        ("", None, "export_lines"),
        ("", "lines = no_such_module:f", "which cannot be loaded: no module 'no_such_module'"),
    ],
)  # fmt: skip
def test_what_a_target_does_wrong_is_one_error_that_names_it(small_run, tmp_path, install, code, points, told):
    install(WRONG + code, *([points] if points else []))
    (tmp_path / "r").touch()
    with pytest.raises(StageError) as caught:
        export_run(small_run, "lines", tmp_path / "out")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out" / "export.json").exists()


def test_the_mills_own_names_stay_its_own(install):
    install(LINES, f"jsonl = {NAME}:export_lines\nlines = {NAME}:export_lines\n")
    assert target_named("jsonl").plugin is None
    assert target_named("lines").plugin.name == NAME
