"""Near duplicates from signatures to verified edges: the scheme, the candidates, the proof."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gristmill.corpus.errors import RecipeError, SchemaError
from gristmill.corpus.tables import read_rows, together
from gristmill.dedup.clusters.candidates import Candidates, Engine, new_index
from gristmill.dedup.clusters.curve import check_threshold, choose_bands, curve
from gristmill.dedup.clusters.grouping import Grouping, Nodes
from gristmill.dedup.clusters.minhash import family_of, signature_matrix
from gristmill.dedup.clusters.verification import ShingleSets, shingle_sets

TOGETHER = 1 << 12  # documents indexed at once, a kilobyte of hashes each


@dataclass(frozen=True, slots=True)
class Scheme:
    """What is compared and how closely."""

    threshold: float  # Jaccard similarity from which on two texts are near duplicates
    hashes: int  # of a signature
    shingle_words: int
    bands: int
    rows: int  # hashes in a band
    engine: Engine = "bands"

    def facts(self) -> dict[str, Any]:
        """The scheme and its promise, for receipts and cards."""
        return {
            "threshold": self.threshold,
            "hashes": self.hashes,
            "shingle_words": self.shingle_words,
            "bands": self.bands,
            "rows": self.rows,
            "engine": self.engine,
            "curve": [list(point) for point in curve(self.bands, self.rows)],
        }


def choose_scheme(
    threshold: float, hashes: int, shingle_words: int, bands: int | None, rows: int | None, engine: Engine
) -> Scheme:
    """The scheme with its bands and rows chosen from threshold and hashes when they are not given.

    Raises
    ------
    RecipeError : threshold out of range, bands without rows, or a product beyond hashes
    """
    check_threshold(threshold)
    if bands is None and rows is None:
        bands, rows = choose_bands(threshold, hashes)
    if bands is None or rows is None:
        raise RecipeError("dedup.near.bands and dedup.near.rows are given together or not at all")
    if bands < 1 or rows < 1 or bands * rows > hashes:
        raise RecipeError(
            f"dedup.near: {bands} bands x {rows} rows; expected 1 or more each and at most hashes = {hashes} in all"
        )
    if engine == "datasketch" and bands < 2:
        raise RecipeError("datasketch's index needs two bands or more: set dedup.near.bands, or the engine to 'bands'")
    return Scheme(threshold, hashes, shingle_words, bands, rows, engine)


def find_candidates(signatures: Sequence[Path], texts: Grouping, scheme: Scheme, scratch: Path) -> Candidates:
    """Pairs of distinct texts that share a band; texts without a word never do. ``scratch``: folder for band tables.

    Raises
    ------
    SchemaError : signatures of another family than the scheme's
    """
    index = new_index(
        scheme.engine,
        n_documents=texts.n_documents,
        bands=scheme.bands,
        rows=scheme.rows,
        hashes=scheme.hashes,
        scratch=scratch,
    )
    _check_families(signatures, scheme)
    start = 0
    batches = (batch for path in signatures for batch in read_rows(path, ["shingles", "signature"], TOGETHER))
    for some in together(batches, lambda batch: batch.num_rows, TOGETHER):
        signed = some[0] if len(some) == 1 else pa.concat_batches(some)  # which copies
        text = texts.text_of_row[start : start + signed.num_rows]
        chosen = np.flatnonzero((text >= 0) & (signed["shingles"].to_numpy() > 0))
        index.add(text[chosen], signature_matrix(signed)[chosen])
        start += signed.num_rows
    return index.candidates()


def read_sets(
    documents: Sequence[Path], nodes: Nodes, candidates: Candidates, scheme: Scheme, scratch: Path
) -> ShingleSets:
    """The shingle sets of all nodes in ``candidates``."""
    return shingle_sets(documents, nodes.row_nodes, nodes.n_nodes, candidates.nodes, scheme.shingle_words, scratch)


def _check_families(signatures: Sequence[Path], scheme: Scheme) -> None:
    families = [family_of(pq.read_schema(path)) for path in signatures]
    for path, family in zip(signatures, families, strict=True):
        if (family["hashes"], family["shingle_words"]) != (scheme.hashes, scheme.shingle_words):
            raise SchemaError(
                f"{path} holds {family['hashes']} hashes of {family['shingle_words']}-word shingles, the recipe says "
                f"dedup.near.hashes = {scheme.hashes} and shingle_words = {scheme.shingle_words}; "
                "compute the signatures again"
            )
        if family != families[0]:
            raise SchemaError(
                f"{path} and {signatures[0]} were made with different seeds; compute the signatures again"
            )
