"""The receipt of a finished training, train/done.json: its key, and every file of train/ with its digest.

It stands beside the files, not in a manifest: seconds stand in them, and a manifest holds none.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

from gristmill.corpus.files import file_sha256, write_json
from gristmill.corpus.receipt import FileDigest
from gristmill.corpus.state_files import missing, read_typed
from gristmill.flows.pipeline.training_html import PAGE_FILE

DONE, SUMMARY = "done.json", "summary.json"
AGAIN = "run the recipe again, or `gristmill train` the run, which goes on from the last checkpoint and writes it anew"


@dataclass(frozen=True, slots=True)
class TrainingReceipt:
    """What was trained, and its files; None: an earlier version kept no digests."""

    key: str
    files: tuple[FileDigest, ...] | None = None


def read_done(out: Path) -> TrainingReceipt | None:
    """The receipt of a training's folder; None while it is not finished.

    Raises
    ------
    DamagedFileError : done.json is not what was written
    """
    return read_typed(TrainingReceipt, out / DONE, AGAIN) if (out / DONE).exists() else None


def write_done(out: Path, key: str) -> None:
    """Write the receipt of a finished training; the page of it can be drawn again, and is no part of it."""
    files = sorted(path for path in out.rglob("*") if path.is_file() and path not in (out / DONE, out / PAGE_FILE))
    found = [FileDigest(path.relative_to(out).as_posix(), path.stat().st_size, file_sha256(path)) for path in files]
    write_json(out / DONE, {"key": key, "files": [asdict(one) for one in found]})


def differs(out: Path, file: FileDigest) -> str | None:
    """What is wrong with a file of a training; None where nothing is."""
    path = out / file.name
    if not path.is_file():
        return f"{path} is missing"
    if path.stat().st_size != file.bytes or file_sha256(path) != file.sha256:
        return f"{path} is not what was written (sha256 {file.sha256[:12]}...)"
    return None


def expect_done(out: Path) -> None:
    """Raise DamagedFileError where a training has ended by its summary, and its receipt is gone."""
    if (out / SUMMARY).exists() and not (out / DONE).exists():
        raise missing(out / DONE, f"{SUMMARY} says that the training has ended", AGAIN)
