"""A copy of ``handoff/`` alone reads a run: no other room is on Python's path, and no library beyond four."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy

from gristmill.corpus._rooms import HOUSE
from gristmill.handoff.loader import Loader
from tests.handoff.conftest import ROW_TOKENS

SCRIPT = """
import hashlib, json, sys
from pathlib import Path
sys.path += sys.argv[1:3]
from gristmill.handoff import audit, loader, piece_index, shards, tiny_plan, trace
digest = hashlib.sha256()
for batch in loader.Loader(Path(sys.argv[3]), batch_rows=8, rank=1, world=2):
    digest.update(batch.tokens.tobytes() + batch.digest.tobytes())
rooms = sorted({name.split(".")[1] for name in sys.modules if name.startswith("gristmill.")})
print(json.dumps([digest.hexdigest(), rooms]))
"""
LIBRARIES = ("llvmlite", "numba", "numpy", "numpy.libs", "pyarrow", "xxhash")


def test_a_copied_folder_needs_nothing_else_of_ours(written, tmp_path):
    shutil.copytree(HOUSE / "handoff", tmp_path / "gristmill" / "handoff", ignore=shutil.ignore_patterns("__pycache__"))
    packages = tmp_path / "packages"
    packages.mkdir()
    for name in LIBRARIES:
        (packages / name).symlink_to(Path(numpy.__file__).parent.parent / name)
    # without `site` no .pth file is read: neither an editable install of gristmill nor another library is found
    command = [sys.executable, "-I", "-S", "-c", SCRIPT, str(tmp_path), str(packages), str(written[0])]
    environment = {**os.environ, "NUMBA_OPT": "0", "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    digest, rooms = json.loads(done.stdout)
    expected = hashlib.sha256()
    for batch in Loader(written[0], batch_rows=8, rank=1, world=2):
        assert batch.tokens.shape[1] == ROW_TOKENS
        expected.update(batch.tokens.tobytes() + batch.digest.tobytes())
    assert digest == expected.hexdigest()
    assert rooms == ["handoff"]
    alone = [sys.executable, "-c", "import handoff"]
    done = subprocess.run(alone, cwd=HOUSE, capture_output=True, text=True, check=False)
    assert "import gristmill.handoff, not handoff" in done.stderr
