"""The tokenizer's work on a few words, for the kernels that it compiles (``corpus.warmup``)."""

import tempfile
from pathlib import Path

import pyarrow as pa

from gristmill.corpus.schema import DOCUMENTS, KEPT
from gristmill.corpus.tables import write_part
from gristmill.tokenizer.bpe_training import train_tokenizer
from gristmill.tokenizer.encode import TOKENS, encode_part
from gristmill.tokenizer.pack import Layout, pack_domain
from gristmill.tokenizer.stage import Tokenizer
from gristmill.tokenizer.tokenizer_json import TOKENIZER

TEXTS = ("a tiny text, long enough to be cut in rows: aa aa aa ab ab", "another one")


def train_encode_and_pack() -> None:
    """Train a tokenizer on two texts, cut a span out of one, encode and pack them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_part(folder / "documents.parquet", DOCUMENTS, [_documents()])
        kept = _kept()
        parts = [(folder / "documents.parquet", kept)]
        section = Tokenizer(vocab_size=264, min_frequency=1, sample_bytes=1000)
        facts = train_tokenizer(parts, folder, section=section, seed=1).facts
        encode_part(folder / "documents.parquet", kept, folder / TOKENIZER, folder)
        layout, rows = Layout(row_tokens=16, shard_rows=2, batch_rows=2), folder / "rows"
        rows.mkdir()
        pack_domain([folder / TOKENS], rows, domain="d", heldout=False, vocab_size=facts["vocab_size"], layout=layout)


def _documents() -> pa.RecordBatch:
    """Two documents; every other column empty."""
    values = {"doc_id": _ids(), "text": list(TEXTS), "source": ["s", "s"], "domain": ["d", "d"]}
    empty = {field.name: [None if field.nullable else ""] * 2 for field in DOCUMENTS}
    return pa.record_batch([pa.array((empty | values)[f.name], f.type) for f in DOCUMENTS], schema=DOCUMENTS)


def _kept() -> pa.Table:
    spans = [[{"start": 0, "end": 2, "reason": "mask:word"}], []]
    columns = [_ids(), ["s", "s"], ["d", "d"], [0, 0], [0, 1], spans, [1.0, 1.0], [False, False]]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, KEPT, strict=True)], schema=KEPT)


def _ids() -> list[str]:
    return [f"{number:032x}" for number in range(2)]
