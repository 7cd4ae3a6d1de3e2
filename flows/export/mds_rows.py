"""The target ``mds``: packed rows as samples of mosaicml streaming.

Source of the format: mosaicml-streaming 0.13.0, ``streaming/base/format/mds/writer.py`` and ``encodings.py``. A sample
has the columns of ``RowSample``; ``documents`` comes back as a list. ``StreamingDataset(shuffle=False,
num_canonical_nodes=1)`` gives them in the order of the files, which is the plan's after ``--order plan``.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gristmill.flows.export.part_files import AsideFiles
from gristmill.flows.export.row_export import export_rows
from gristmill.flows.export.row_part import Layout
from gristmill.flows.export.sample_chunks import RowSample, SampleFile, SamplePart
from gristmill.flows.export.target import Exported, ExportedFile, ExportOptions
from gristmill.flows.pipeline.context import RunContext

_SHAPES = ((1 << 8, 0, np.uint8), (1 << 16, 1, np.uint16), (1 << 32, 2, np.uint32))  # limit, code, type of a dimension


def export_mds(context: RunContext, folder: Path, options: ExportOptions) -> Exported:
    """Shards of mosaicml streaming, with their index."""
    return export_rows(context, folder, options, MdsPart, mds_index)


def columns_of(layout: Layout) -> dict[str, tuple[str, int | None]]:
    """Encoding of each column, by name in order, and its bytes where every sample has as many."""
    width = np.dtype(layout.token_type).itemsize * layout.row_tokens
    return {
        "documents": ("json", None),
        "domain": ("str", None),
        "lengths": ("ndarray:int32", None),
        "mask": (f"ndarray:uint8:{layout.row_tokens}", layout.row_tokens),
        "row": ("int", 8),
        "starts": ("ndarray:int32", None),
        "tokens": (f"ndarray:{layout.token_type}:{layout.row_tokens}", width),
    }


def _settings(layout: Layout) -> dict[str, Any]:
    columns = columns_of(layout)
    return {
        "version": 2,
        "format": "mds",
        "compression": None,
        "hashes": [],
        "size_limit": 1 << 26,
        "column_names": list(columns),
        "column_encodings": [encoding for encoding, _ in columns.values()],
        "column_sizes": [size for _, size in columns.values()],
    }


def mds_index(parts: Sequence[ExportedFile], layout: Layout) -> dict[str, Any]:
    """What ``index.json`` says of shards."""
    shards = [
        {
            "samples": part.rows,
            "raw_data": {"basename": part.path, "bytes": part.bytes, "hashes": {}},
            "zip_data": None,
            **_settings(layout),
        }
        for part in parts
    ]
    return {"version": 2, "shards": shards}


class MdsPart(SamplePart):
    """One shard."""

    def __init__(self, files: AsideFiles, layout: Layout):
        stated = json.dumps(_settings(layout), sort_keys=True).encode()
        super().__init__(SampleFile(files.path("mds"), stated), layout.domains, encoded)


def encoded(sample: RowSample) -> bytes:
    """Sizes of the columns that vary, then all columns in order of their names."""
    documents, domain = sample.documents.encode(), sample.domain.encode()
    lengths, starts = _array(sample.lengths), _array(sample.starts)
    sizes = np.array([len(value) for value in (documents, domain, lengths, starts)], np.uint32).tobytes()
    row = np.int64(sample.row).tobytes()
    return b"".join([sizes, documents, domain, lengths, sample.mask.tobytes(), row, starts, sample.tokens.tobytes()])


def _array(values: np.ndarray) -> bytes:
    """An array of one dimension whose length varies: a byte for the dimensions and their type, the length, values."""
    code, kind = next((code, kind) for limit, code, kind in _SHAPES if len(values) < limit)
    return bytes([1 << 2 | code]) + kind(len(values)).tobytes() + values.tobytes()
