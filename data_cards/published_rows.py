"""Do readers of Croissant get the rows of every domain, and are they those of the shards?"""

import warnings
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from gristmill.corpus.rundir import RunDir
from gristmill.data_cards.card import Card
from gristmill.data_cards.parts.row_samples import sample_file

PIECE = ("doc_id", "start", "length", "offset")
Row = tuple[list[int], list[tuple]]  # tokens, pieces


def row_mistakes(folder: Path, card: Card, run: RunDir | None) -> Iterator[str]:
    """Iterates the record set of each domain as mlcroissant gives it; with ``run``, compares it with the shards."""
    there = [domain for domain in card.row_samples if (folder / sample_file(domain)).is_file()]
    if not there or not (folder / "croissant.json").is_file():
        return
    try:
        dataset = _dataset(folder / "croissant.json")
    except Exception:  # noqa: BLE001  the check of croissant.json tells of it
        return
    for domain in there:
        yield from _mistakes(dataset, domain, card.row_samples[domain].rows, run)


def _mistakes(dataset: Any, domain: str, rows: int, run: RunDir | None) -> Iterator[str]:
    try:
        records = [_row(record, f"rows-{domain}") for record in islice(dataset.records(f"rows-{domain}"), rows + 1)]
    except Exception as error:  # noqa: BLE001  mlcroissant raises what its libraries raise
        yield f"{sample_file(domain)} cannot be read through croissant.json: {str(error).strip()}"
        return
    if len(records) != rows:
        yield f"{sample_file(domain)} has {len(records)} rows, card.json says {rows}"
    if run is not None and records != list(islice(_shard_rows(run, domain), len(records))):
        yield f"{sample_file(domain)} does not hold the first rows of shards/{domain}"


def _dataset(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # rdflib's, about mlcroissant's use of it
        import mlcroissant

        return mlcroissant.Dataset(jsonld=path)


def _row(record: Mapping[str, Any], name: str) -> Row:
    pieces = [tuple(piece[f"{name}/documents/{key}"] for key in PIECE) for piece in record[f"{name}/documents"]]
    pieces = [(_text(doc_id), *map(int, numbers)) for doc_id, *numbers in pieces]
    return [int(token) for token in record[f"{name}/tokens"]], pieces


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _shard_rows(run: RunDir, domain: str) -> Iterator[Row]:
    for path in sorted((run.path / "shards" / domain).glob("*.arrow")):
        with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as stream:
            for batch in stream:
                for row in batch.to_pylist():
                    yield row["tokens"], [tuple(piece[key] for key in PIECE) for piece in row["documents"]]
