"""Which texts of a run are asked for: kept or not, and by doc_id; how many they are is known before any is read."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.corpus.errors import UnknownNameError
from gristmill.corpus.tables import read_batches
from gristmill.file_table import PartFiles
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.measure_documents import DOCUMENTS_FILE
from gristmill.run_tables import keeper, part_files
from gristmill.text_table import TextTable, Wanted


def texts_of(context: RunContext, kept: bool | None, ids: str | Iterable[Any] | None) -> TextTable:
    """Texts of a run, see ``gristmill.Run.text``.

    Raises
    ------
    UnknownNameError : no document bears one of the ids
    StoreError : ``kept`` is asked of a run that has not decided
    """
    documents = part_files(context, "documents", DOCUMENTS_FILE)
    decided = kept is not None or context.run.has("decide")
    kept_file = part_files(context, keeper(context), "kept.parquet")[0].path(0) if decided else None
    if ids is None:
        n_docs = context.run.manifest("documents").rows
        n_kept = context.run.manifest("decide").rows if decided else 0
        wanted = Wanted(kept)
    else:
        names = known_ids(ids, documents)
        n_docs, n_kept = len(names), count_kept(kept_file, names) if kept_file else 0
        wanted = Wanted(kept, pa.array(names, pa.string()))
    return TextTable(documents, kept_file, wanted, {None: n_docs, True: n_kept, False: n_docs - n_kept}[kept])


def known_ids(ids: str | Iterable[Any], documents: Sequence[PartFiles]) -> list[str]:
    """The ids as texts, each once; UnknownNameError for one that no document bears.

    Parameters
    ----------
    ids : one doc_id, or several in a list, an Arrow array or a column of polars
    """
    listed = [ids] if isinstance(ids, str) else ids.to_pylist() if isinstance(ids, pa.Array | pa.ChunkedArray) else ids
    names = list(dict.fromkeys(str(one) for one in listed))
    wanted, missing = pa.array(names, pa.string()), set(names)
    for part in documents if names else ():
        for batch in read_batches(part.path(0), ["doc_id"]):
            missing -= set(batch["doc_id"].filter(pc.is_in(batch["doc_id"], value_set=wanted)).to_pylist())
    if missing:
        raise UnknownNameError("document", min(missing), ["a doc_id (32 hex characters)"])
    return names


def count_kept(kept: Path, ids: Sequence[str]) -> int:
    """How many of the documents are kept."""
    if not ids:
        return 0
    return pq.read_table(kept, columns=["doc_id"], filters=[("doc_id", "in", list(ids))]).num_rows
