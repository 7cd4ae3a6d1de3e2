"""Freed memory goes back to the system."""

import subprocess
import sys

import pytest

GROWN = """
import pyarrow as pa
from gristmill.corpus.memory import give_back

def resident_mb():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1000

before = resident_mb()
small = [pa.array(range(8192)) for _ in range(2000)]  # 128 MB in pieces that a pool keeps
kept = small[::500]
del small
{call}
print(resident_mb() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="resident memory is read from /proc")
def test_what_is_free_is_given_back():
    grown = {}
    for call in ("give_back()", "pass"):
        command = [sys.executable, "-c", GROWN.format(call=call)]
        grown[call] = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert 2 * grown["give_back()"] < grown["pass"], grown
