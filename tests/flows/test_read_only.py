"""A run on a disk that is only read answers every question; what writes says in one sentence that it cannot."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from gristmill.corpus.errors import MissingEntryError, ReadOnlyError
from gristmill.flows.inspect.data_card import check_run_card, write_run_card
from gristmill.flows.inspect.explain import explain_document
from gristmill.flows.inspect.mix import mix_run
from gristmill.flows.inspect.rank import rank_run
from gristmill.flows.inspect.sample_choice import SampleChoice
from gristmill.flows.inspect.samples import samples_of_run
from gristmill.flows.inspect.sweep import sweep_run
from gristmill.flows.inspect.trace import trace_step
from gristmill.flows.inspect.verify import verify_run
from gristmill.flows.inspect.whatif import whatif_run
from gristmill.flows.review.page_server import queue_state

UNPRIVILEGED = 65534  # root may write what its rights forbid, so the questions are asked as another user


def forum(run: Path) -> dict:
    return samples_of_run(run, SampleChoice(source="forum"), 1)


QUESTIONS = {
    "verify": lambda run: verify_run(run)["ok"],
    "card --check": lambda run: check_run_card(run)["files"],
    "samples": lambda run: forum(run)["documents"],
    "whatif": lambda run: whatif_run(run, ["words.at_least=80"])["before"],
    "sweep": lambda run: sweep_run(run, "words.at_least", 1, 9, 2)["bounds"],
    "rank": lambda run: rank_run(run, ["forum"], ["legal"])["ranking"],
    "trace": lambda run: trace_step(run, 1)["rows"],
    "mix": lambda run: mix_run(run)["domains"],
    "review": lambda run: queue_state(run, 0.1),
    "explain": lambda run: explain_document(run, forum(run)["samples"][0]["doc_id"])["stages"],
}


def test_a_run_that_was_copied_without_its_store_says_so(small_run, tmp_path, monkeypatch):
    monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path / "another"))
    shutil.copytree(small_run, tmp_path / "copied")
    told = r"it is not in the store .*\. Where the run was copied from another home, set GRISTMILL_HOME"
    for name in ("rank", "review", "samples", "sweep", "whatif"):
        with pytest.raises(MissingEntryError, match=told):
            QUESTIONS[name](tmp_path / "copied")
    for name in ("card --check", "mix", "trace"):  # the run directory alone will do
        assert QUESTIONS[name](tmp_path / "copied")
    assert any("not in the store" in check["detail"] for check in verify_run(tmp_path / "copied")["checks"])


@pytest.fixture(scope="module")
def read_only(small_run, small_home):
    """The small run in a home that this user may only read."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        home = Path(folder) / "home"
        shutil.copytree(small_home, home)
        patch.chdir(Path(__file__).resolve().parents[2])
        for question in QUESTIONS.values():  # compiled kernels are of the user who asks first
            assert question(home / small_run.relative_to(small_home))
        for path in (Path(folder), home, *home.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        user = os.geteuid()
        os.seteuid(UNPRIVILEGED if user == 0 else user)
        try:
            yield home / small_run.relative_to(small_home)
        finally:
            os.seteuid(user)
            for path in (Path(folder), *(one for one in Path(folder).rglob("*") if one.is_dir())):
                path.chmod(0o755)


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_needs_no_right_to_write(read_only, question):
    with pytest.raises(OSError, match="denied"):
        (read_only / "probe").write_text("")
    assert QUESTIONS[question](read_only)


def test_what_writes_says_that_it_cannot(read_only):
    with pytest.raises(ReadOnlyError, match=r"cannot be written: Permission denied"):
        write_run_card(read_only)
