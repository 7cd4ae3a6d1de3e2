"""A document that ingest gave another domain than its source has: verify names step, row and document."""

import re
from pathlib import Path

import pyarrow as pa
import pytest

from gristmill.flows.direct import refine_directly
from gristmill.flows.inspect import verify_training
from gristmill.flows.inspect.verify import verify_run
from gristmill.sources import part

TRAINER = """[trainer]
heldout_rows = 0
[trainer.model]
layers = 1
width = 16
heads = 1
experts = 2
expert_width = 8
[[trainer.stages]]
name = "alignment"
context = 8
"""


@pytest.fixture
def recipe(write_notes, tmp_path, monkeypatch):
    """Notes of two domains, one for each source."""
    monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path / "home"))
    path = write_notes(tmp_path, {})
    text = path.read_text().replace('odd.jsonl"\ndomain = "notes"', 'odd.jsonl"\ndomain = "others"')
    path.write_text(text.replace("notes = 1.0", "notes = 0.5, others = 0.5") + TRAINER)
    return path


def change_labels(patch):
    """Twenty documents of the domain others are put into notes: some are held out, some in no row that is planned."""

    def repeat(value, rows):
        return pa.array(["notes"] * 20 + ["others"] * (rows - 20)) if value == "others" else REPEAT(value, rows)

    patch.setattr(part.pa, "repeat", repeat)


REPEAT = pa.repeat


def test_a_label_changed_at_ingest_is_found(recipe):
    with pytest.MonkeyPatch.context() as patch:
        change_labels(patch)
        run = Path(refine_directly(recipe)["run"])
        inside = verify_run(run)
    with pytest.MonkeyPatch.context() as patch:  # some of the documents in memory at a time, by beginnings of doc_ids
        patch.setattr(verify_training, "DOCUMENTS_AT_ONCE", 16)
        parted = verify_run(run)
    assert parted["checks"] == inside["checks"]
    for result in (inside, parted):  # with the patch in the process of verify as well, and without
        failed = {check["name"]: check["detail"] for check in result["checks"] if not check["ok"]}
        assert list(failed) == ["labels notes"]
        sentence = r"step \d+: row \d+ of shards/notes: document [0-9a-f]{32} is of source odd, whose domain is others"
        assert re.match(sentence, failed["labels notes"]), failed
