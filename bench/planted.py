"""Documents for the dedup benches: real texts, new ones made of them by heavy edits, and planted near copies.

A new document has REWRITTEN of its words replaced, so that it resembles neither its base nor another edit of it
(Jaccard of about 0.05 and 0.01); a planted copy has one word in COPY_WORDS replaced (Jaccard 0.95 to 0.98).
Words are drawn from the same texts. Everything follows from one seed.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from gristmill.corpus.schema import DOCUMENTS
from gristmill.corpus.tables import write_part

REWRITTEN, COPY_SHARE, COPY_WORDS, MIN_WORDS = 0.4, 0.05, 200, 100
PART_BYTES = 64 << 20
HOUSE, SAMPLES = Path(__file__).resolve().parent.parent, ("docs", "legal", "reference")

Document = tuple[str, str, str | None]  # doc_id, text, doc_id of what it is a copy of


def real_texts(data: Path | None) -> list[str]:
    """English texts of the sample corpus, or of ``data/text``, in a fixed shuffle."""
    files = (
        sorted((data / "text").glob("*.parquet"))
        if data
        else sorted(path for name in SAMPLES for path in (HOUSE / "samples" / name).glob("*.parquet"))
    )
    texts = []
    for path in files:
        if {"text", "lang"} <= set(pq.read_schema(path).names):
            table = pq.read_table(path, columns=["text", "lang"])
            texts += [row["text"] for row in table.to_pylist() if row["lang"] == "en" and row["text"].strip()]
    if not texts:
        raise SystemExit(f"{data} has no English texts: --data names a folder with text/*.parquet")
    order = np.random.default_rng(0).permutation(len(texts))
    return [texts[i] for i in order]


def edited(words: list[str], pool: np.ndarray, places: np.ndarray, draw: np.random.Generator) -> list[str]:
    """``words`` with those at ``places`` replaced by words of the pool."""
    words = words.copy()
    for place, word in zip(places.tolist(), pool[draw.integers(0, len(pool), len(places))].tolist(), strict=True):
        words[place] = word
    return words


def documents(texts: list[str], max_bytes: int, seed: int = 1) -> Iterator[Document]:
    """About ``max_bytes`` of text: the texts themselves, then edits of them, with copies in between."""
    draw = np.random.default_rng(seed)
    pool = np.array(sorted({word for text in texts[:2000] for word in text.split()}), object)
    done, number = 0, 0
    while True:
        words = texts[number % len(texts)].split(" ")
        if number >= len(texts):
            words = edited(words, pool, np.flatnonzero(draw.random(len(words)) < REWRITTEN), draw)
        doc_id, text = xxhash.xxh3_128_hexdigest(f"{seed} {number}".encode()), " ".join(words)
        yield doc_id, text, None
        done, number = done + len(text.encode()), number + 1
        if len(words) >= MIN_WORDS and draw.random() < COPY_SHARE:
            places = draw.integers(0, len(words), 1 + len(words) // COPY_WORDS)
            copy = " ".join(edited(words, pool, places, draw))
            yield xxhash.xxh3_128_hexdigest(f"{seed} {number} copy".encode()), copy, doc_id
            done += len(copy.encode())
        if done >= max_bytes:
            return


def write_documents(folder: Path, found: Iterator[Document]) -> tuple[list[Path], list[tuple[str, str]]]:
    """DOCUMENTS parts of PART_BYTES of text each; and the planted pairs (original, copy)."""
    paths, pairs, rows, n_bytes = [], [], [], 0
    for document in found:
        rows.append(document)
        n_bytes += len(document[1].encode())
        if document[2] is not None:
            pairs.append((document[2], document[0]))
        if n_bytes >= PART_BYTES:
            paths.append(_write_part(folder, len(paths), rows))
            rows, n_bytes = [], 0
    if rows:
        paths.append(_write_part(folder, len(paths), rows))
    return paths, pairs


def _write_part(folder: Path, number: int, rows: list[Document]) -> Path:
    path = folder / f"part-{number:05}.parquet"
    write_rows(path, rows)
    return path


def write_rows(path: Path, rows: list[Document]) -> None:
    """One DOCUMENTS part."""
    write_part(path, DOCUMENTS, (_batch(rows[i : i + 500]) for i in range(0, len(rows), 500)))


def _batch(rows: list[Document]) -> pa.RecordBatch:
    values = {
        "doc_id": [row[0] for row in rows],
        "text": [row[1] for row in rows],
        "text_hash": [xxhash.xxh3_128_hexdigest(row[1].encode()) for row in rows],
        "locator": [row[0] for row in rows],
        "source": ["edits"] * len(rows),
        "domain": ["edits"] * len(rows),
    }
    columns = [pa.array(values.get(field.name, [None] * len(rows)), field.type) for field in DOCUMENTS]
    return pa.record_batch(columns, schema=DOCUMENTS)
