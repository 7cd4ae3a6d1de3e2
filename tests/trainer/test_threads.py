"""How threads wait, and how many there are."""

import logging
import os
import subprocess
import sys

import pytest

import gristmill.trainer
from gristmill.trainer.training.threads import DEFAULT, thread_count


def asked(code: str, **environment: str) -> str:
    """What a fresh process prints, in an environment without a word of threads but ``environment``."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "GOMP_", "KMP_"))}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**clean, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


TORCH_LATER = (
    "import os, gristmill.trainer.training.threads as t; print(os.environ.get('OMP_WAIT_POLICY'), t.thread_count(4))"
)
TORCH_FIRST = "import torch; " + TORCH_LATER


def test_threads_sleep_while_they_wait():
    assert asked(TORCH_LATER) == "PASSIVE 4"


def test_libgomp_has_read_it():
    """The policy that libgomp itself prints when torch loads it."""
    code = "import gristmill.trainer, os; os.environ['OMP_DISPLAY_ENV'] = 'true'; import torch; torch.ones(2).sum()"
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "GOMP_", "KMP_"))}
    done = subprocess.run([sys.executable, "-c", code], env=clean, capture_output=True, text=True, check=True)
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in done.stderr


def test_one_thread_where_torch_came_first():
    assert asked(TORCH_FIRST) == "None 1"


@pytest.mark.parametrize("code", [TORCH_FIRST, TORCH_LATER])
def test_what_the_user_chose_stays(code):
    assert asked(code, OMP_WAIT_POLICY="ACTIVE") == "ACTIVE 4"


def test_threads_left_out_are_said(monkeypatch, caplog):
    monkeypatch.setattr(gristmill.trainer, "spins", lambda: True)
    with caplog.at_level(logging.WARNING):
        assert (thread_count(0), thread_count(1)) == (DEFAULT, 1)
        assert not caplog.text
        assert thread_count(3) == 1
    assert "takes one of trainer.threads = 3" in caplog.text


def test_a_step_takes_one_thread_unless_asked(monkeypatch):
    monkeypatch.setattr(gristmill.trainer, "spins", lambda: False)
    assert [thread_count(wanted) for wanted in (0, 1, 5)] == [1, 1, 5]
