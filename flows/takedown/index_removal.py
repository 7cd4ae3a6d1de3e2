"""Takedown in the band index of a run's recipe: documents out of it and off the disk, and the search for what is left.

The index stores no text: doc_ids, hashes of texts and of their shingles. All three go with a document, unless another
document that stays says the same.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.corpus.files import read_json
from gristmill.corpus.tables import read_part
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.measure_documents import DOCUMENTS_FILE
from gristmill.flows.takedown.forget import Named


def index_of(context: RunContext) -> Path | None:
    """The folder of the recipe's index, when there is one on the disk."""
    from gristmill.dedup.band_index.index_folder import INDEX

    named = context.recipe.dedup.near.index
    return Path(named) if named and (Path(named) / INDEX).exists() else None


def index_follows(context: RunContext) -> bool:
    """True when the index holds the documents of this very run; a later run of the recipe takes it along."""
    from gristmill.dedup.band_index.index_folder import INDEX

    folder = index_of(context)
    if folder is None or not context.run.has("clusters"):
        return False
    try:
        return read_json(folder / INDEX)["step"] == context.run.manifest("clusters").parts[0].key
    except (ValueError, KeyError):
        return False


def forget_in_index(folder: Path | None, doc_ids: Sequence[str]) -> int:
    """Take documents out of the index in ``folder`` and off the disk; returns how many of them it held.

    A damaged index is deleted: what it holds is unknown, and the next run makes it anew.

    Raises
    ------
    LockedError : another writer is at work
    """
    from gristmill.dedup.band_index import index_folder
    from gristmill.dedup.band_index.index import BandIndex

    if folder is None:
        return 0
    try:
        state = read_json(folder / index_folder.INDEX)
        scheme = index_folder.IndexScheme(**state["scheme"])
        index_folder.check(folder, scheme)
    except (ValueError, KeyError, TypeError, index_folder.DamagedIndexError):
        index_folder.clear(folder)
        return 0
    return BandIndex(folder, scheme).forget(doc_ids)


def lone_hashes(parts: Sequence[Path], named: Named) -> list[str]:
    """Text hashes of the named documents that no other document of the run has."""
    gone, own, others = pa.array(named.all_doc_ids, pa.string()), set(), set()
    for part in parts:
        table = read_part(part / DOCUMENTS_FILE, ["doc_id", "text_hash"])
        mark = pc.is_in(table["doc_id"], value_set=gone)
        own |= set(table["text_hash"].filter(mark).to_pylist())
        others |= set(table["text_hash"].filter(pc.invert(mark)).to_pylist())
    return sorted(own - others)


def hashes_left(folder: Path, hashes: Sequence[str]) -> list[dict[str, Any]]:
    """Files of the index that hold one of the hashes (32 hex characters), and how many, as a search reports them."""
    from gristmill.dedup.band_index.indexed_rows import find_rows

    wanted = np.frombuffer(bytes.fromhex("".join(hashes)), np.uint64).reshape(-1, 2)
    left = []
    for path in sorted(folder.glob("segment-*/variants.npy")):
        found = int((find_rows(np.ascontiguousarray(np.load(path)[:, :2]), wanted) >= 0).sum())
        left += [{"file": str(path), "slices": found}] if found else []
    return left
