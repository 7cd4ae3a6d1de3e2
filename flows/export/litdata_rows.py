"""The target ``litdata``: packed rows as items of litdata's StreamingDataset.

Source of the format: litdata 0.2.76, ``litdata/streaming/writer.py``, ``item_loader.py`` and ``serializers.py``. An
item is a dict with the columns of ``RowSample``; ``documents`` is JSON text. Its ``TokensLoader`` knows one stream of
ids without masks or borders, so rows are items of the default loader. ``shuffle=False`` gives them in the order of the
files, which is the plan's after ``--order plan``.
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

_NUMPY_TYPES = {"int32": 2, "uint8": 4, "uint16": 5, "uint32": 6}  # places in litdata.constants._NUMPY_SCTYPES


def export_litdata(context: RunContext, folder: Path, options: ExportOptions) -> Exported:
    """Chunks of litdata, with their index."""
    return export_rows(context, folder, options, LitdataPart, litdata_index)


def data_format(layout: Layout) -> dict[str, str]:
    """The serializer of each column, in order."""
    kinds = {"tokens": layout.token_type, "mask": "uint8", "starts": "int32", "lengths": "int32"}
    arrays = {name: f"no_header_numpy:{_NUMPY_TYPES[kind]}" for name, kind in kinds.items()}
    return {**arrays, "documents": "str", "domain": "str", "row": "int"}


def litdata_index(parts: Sequence[ExportedFile], layout: Layout) -> dict[str, Any]:
    """What ``index.json`` says of chunks; ``data_spec`` is torch's description of a dict with these keys."""
    columns = data_format(layout)
    leaf = {"type": None, "context": None, "children_spec": []}
    tree = {"type": "builtins.dict", "context": json.dumps(list(columns)), "children_spec": [leaf] * len(columns)}
    chunks = [
        {"chunk_bytes": part.bytes, "chunk_size": part.rows, "dim": None, "filename": part.path} for part in parts
    ]
    config = {
        "compression": None,
        "chunk_size": layout.part_rows,
        "chunk_bytes": None,
        "data_format": list(columns.values()),
        "data_spec": json.dumps([1, tree]),
        "encryption": None,
        "item_loader": "PyTreeLoader",
    }
    return {"chunks": chunks, "config": config, "updated_at": "0"}


class LitdataPart(SamplePart):
    """One chunk."""

    def __init__(self, files: AsideFiles, layout: Layout):
        super().__init__(SampleFile(files.path("bin")), layout.domains, encoded)


def encoded(sample: RowSample) -> bytes:
    """Sizes of all columns, then the columns."""
    arrays = [array.tobytes() for array in (sample.tokens, sample.mask, sample.starts, sample.lengths)]
    values = [*arrays, sample.documents.encode(), sample.domain.encode(), np.int64(sample.row).tobytes()]
    return np.array([len(value) for value in values], np.uint32).tobytes() + b"".join(values)
