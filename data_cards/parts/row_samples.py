"""The first rows of each domain as JSON Lines beside the card, for readers of Croissant, which know no Arrow."""

import hashlib
import json
from dataclasses import dataclass

import pyarrow as pa

from gristmill.corpus.rundir import RunDir
from gristmill.data_cards.parts.handover import indexes
from gristmill.data_cards.reading import Reading

FOLDER = "rows"
MAX_ROWS = 4
MAX_TOKENS = 1 << 16  # of a domain, but at least one row


@dataclass(frozen=True, slots=True)
class RowSample:
    """One file of rows, ``rows/DOMAIN.jsonl``."""

    rows: int
    bytes: int
    sha256: str


def row_samples(reading: Reading) -> dict[str, RowSample]:
    """By domain, those without a row left out."""
    return {
        domain: RowSample(text.count("\n"), len(text.encode()), hashlib.sha256(text.encode()).hexdigest())
        for domain in indexes(reading, "shards")
        if (text := sample_text(reading.run, domain))
    }


def sample_file(domain: str) -> str:
    """Its name in the folder of a card."""
    return f"{FOLDER}/{domain}.jsonl"


def sample_text(run: RunDir, domain: str) -> str:
    """The first rows of a domain's shards, a JSON object on each line: tokens, documents."""
    for path in sorted((run.path / "shards" / domain).glob("*.arrow")):
        with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as stream:
            for batch in stream:
                width = batch.schema.field("tokens").type.list_size
                rows = batch.slice(0, max(1, min(MAX_ROWS, MAX_TOKENS // width))).to_pylist()
                return "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)
    return ""
