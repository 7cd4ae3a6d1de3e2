"""Hostile text from file to ledger, 20 seconds: no crash, no document lost, no read beyond a text.

The generators and the checks are those of bench/fuzz.py, where they run for ten minutes. Reads beyond a text are faults
here: in a process of its own every text ends at a page that cannot be read.
"""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.fuzz import PIECES, check_chain, check_pii, check_signals, check_utf8, is_utf8, random_document
from bench.guard import guarded_bytes

HOUSE = Path(__file__).resolve().parents[2]
pieces = st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join)
hostile = st.lists(st.binary(max_size=200) | pieces | st.text(max_size=80).map(str.encode), min_size=1, max_size=6)


def cleaned(documents: list[bytes]) -> list[bytes]:
    return [one if is_utf8(one) else one.decode("utf-8", "replace").encode() for one in documents]


@settings(max_examples=10)
@given(hostile)
def test_kernels_hold_on_hostile_bytes(documents):
    for check in (check_utf8, check_signals, check_pii):
        check(documents, cleaned(documents))


@settings(max_examples=5)
@given(hostile, st.integers(0, 2**32))
def test_no_document_is_lost_from_file_to_ledger(documents, seed):
    draw = np.random.default_rng(seed)
    documents = [*documents, *(random_document(draw) for _ in range(4))]
    check_chain(documents, cleaned(documents))


def test_no_kernel_reads_beyond_its_text():
    command = [sys.executable, "-X", "faulthandler", str(HOUSE / "bench" / "fuzz.py")]
    done = subprocess.run(
        [*command, "--inside", "--guard", "--seconds", "3"], capture_output=True, text=True, cwd=HOUSE
    )
    assert done.returncode == 0, (done.stdout[-200:], done.stderr[-2000:])
    assert done.stdout.splitlines()[-1].startswith("done ")


@pytest.mark.parametrize("step", [-1, 1])
def test_a_read_beyond_a_guarded_text_is_a_fault(step):
    code = (
        "import ctypes; from bench.guard import guarded_bytes; text = guarded_bytes(8192);"
        f"at = text.ctypes.data + {-1 if step < 0 else 8192};"
        "print('sound', text.sum(), flush=True); ctypes.string_at(at, 1)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=HOUSE)
    assert done.stdout == "sound 0\n"
    assert done.returncode == -signal.SIGSEGV


def test_guarded_bytes_are_zeros_to_write_on():
    text = guarded_bytes(5000)
    text[:] = 7
    assert text.sum() == 35_000
    assert guarded_bytes(0).size == 0
