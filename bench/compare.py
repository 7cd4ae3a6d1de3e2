"""What every bench script shares: its options, CPU time, the peer's environment, and one line a comparison."""

import argparse
import json
import resource
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HOUSE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Comparison:
    """Ours against a peer on the same input in one run. ``equal``: both gave the same answer (None: nothing to ask)."""

    work: str
    peer: str
    peer_version: str
    unit: str
    ours: float
    theirs: float | None
    ratio: float | None
    target: str
    equal: bool | None
    rss_mb: float
    note: str = ""


def options(description: str | None) -> argparse.ArgumentParser:
    """--data DIR, --quick, --json."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder with text/*.parquet; samples/ when left out")
    parser.add_argument("--quick", action="store_true", help="less input, for a first look")
    parser.add_argument("--json", action="store_true", help="one JSON line a comparison")
    return parser


def cpu_seconds(function: Callable[[], Any], repeats: int = 3) -> tuple[float, Any]:
    """CPU seconds of this process, all threads, for the fastest of ``repeats`` calls; and what it returned."""
    best, result = float("inf"), None
    for _ in range(repeats):
        begin = time.process_time()
        result = function()
        best = min(best, time.process_time() - begin)
    return best, result


def peak_rss_mb() -> float:
    """Peak memory of this process so far, in MB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6, 1)


def peer_python(name: str) -> Path:
    """The Python of the environment of bench/peers/NAME.txt under .bench/, made when missing."""
    folder, requirements = HOUSE / ".bench" / name, HOUSE / "bench" / "peers" / f"{name}.txt"
    python, done = folder / "bin" / "python", folder / "requirements.txt"
    if not done.exists() or done.read_text() != requirements.read_text():
        print(f"making {folder} ...", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-qq", "-r", requirements], check=True, stdout=sys.stderr)
        done.write_text(requirements.read_text())
    return python


def run_peer(name: str, script: str, request: dict[str, Any]) -> dict[str, Any]:
    """Run bench/peers/SCRIPT in its environment: JSON in on standard input, JSON out on standard output."""
    command = [peer_python(name), HOUSE / "bench" / "peers" / script]
    done = subprocess.run(command, input=json.dumps(request), text=True, capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"{script} failed:\n{done.stderr[-4000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def say(found: Comparison, as_json: bool) -> None:
    """Print one comparison."""
    if as_json:
        print(json.dumps(asdict(found)))
        return
    against = f", {found.peer} {found.peer_version} {found.theirs:.4g}: {found.ratio:.3g}x" if found.ratio else ""
    equal = {True: "equal", False: "NOT EQUAL", None: ""}[found.equal]
    print(f"{found.work}: {found.ours:.4g} {found.unit}{against} (target {found.target}) {equal} {found.note}".rstrip())
