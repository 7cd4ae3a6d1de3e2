"""A small run directory: three domains in several shards, a plan with a step, a ramp and a domain that retires."""

from pathlib import Path

import numpy as np
import pytest

from gristmill.corpus.files import file_sha256
from gristmill.handoff.plan import Domain, Plan
from gristmill.handoff.schedule import Segment, quantise
from gristmill.handoff.shards import ShardWriter

ROW_TOKENS = 16
ROWS = {"books": 23, "code": 37, "web": 61}


def document_lists(rng, name, rows):
    """Zero to three slices a row, with gaps and padding."""
    lists = []
    for row in range(rows):
        cuts = np.sort(rng.choice(ROW_TOKENS + 1, 2 * int(rng.integers(0, 4)), replace=False)).reshape(-1, 2).tolist()
        lists.append(
            [
                {"doc_id": f"{name}-{row}-{a}", "start": a, "length": b - a, "offset": int(rng.integers(0, 2)) * 7}
                for a, b in cuts
            ]
        )
    return lists


def write_domain(folder: Path, name: str, rows: int, seed: int = 0, vocab_size: int = 100):
    """Write a domain's shards; returns what was written."""
    rng = np.random.default_rng([seed, len(name), rows])
    tokens, documents = rng.integers(0, vocab_size, (rows, ROW_TOKENS)), document_lists(rng, name, rows)
    with ShardWriter(folder, row_tokens=ROW_TOKENS, vocab_size=vocab_size, shard_rows=10, batch_rows=4) as writer:
        writer.write(tokens, documents)
    return tokens, documents


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """The run directory and, by domain, the tokens and documents in it. Read only."""
    folder = tmp_path_factory.mktemp("run")
    content = {name: write_domain(folder / "shards" / name, name, rows) for name, rows in ROWS.items()}
    domains = tuple(Domain(n, r, file_sha256(folder / "shards" / n / "index.json")) for n, r in ROWS.items())
    start, end = quantise([0.2, 0.3, 0.5]), quantise([0.5, 0.5, 0.0])
    segments = (Segment(40, start, start), Segment(120, start, end), Segment(203, end, end))
    Plan.build(domains, row_tokens=ROW_TOKENS, seed=5, segments=segments).save(folder / "plan")
    return folder, content
