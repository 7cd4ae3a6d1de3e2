"""A band index that follows a run: brought in step with the run's parts, then asked for the run's clusters.

``follow`` appends the documents that are new, and removes those that are gone or whose text changed; what is read of a
document that stays is its doc_id and hash. ``cluster_documents`` then writes what ``clusters.cluster_documents``
writes of the same parts, byte for byte, without comparing a text again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.corpus.receipt import Outcome
from gristmill.dedup.band_index import index_folder
from gristmill.dedup.band_index.index import BandIndex
from gristmill.dedup.band_index.index_folder import INDEX, DamagedIndexError, IndexScheme
from gristmill.dedup.clusters.cluster import PAIRS_FILE, cluster_rows, write_findings
from gristmill.dedup.clusters.cluster import ROWS_AT_ONCE as CLUSTER_ROWS
from gristmill.dedup.clusters.edges import NearGraph, write_edges
from gristmill.dedup.clusters.exact import Texts, group_texts
from gristmill.dedup.clusters.identities import Identities, read_identities
from gristmill.dedup.clusters.near import Scheme, choose_scheme
from gristmill.dedup.clusters.verification import Edges

ROWS_AT_ONCE = 1 << 20  # appended as one segment: 8 x bands bytes each
DEAD_SHARE = 0.25  # of all rows; from there on a compaction pays in disk and probes
MAX_SEGMENTS = 64  # a compaction writes the whole index, once in so many appends


@dataclass(frozen=True, slots=True)
class Followed:
    """What bringing an index in step took."""

    appended: int = 0
    removed: int = 0
    compacted: bool = False
    rebuilt: str | None = None  # why it was made anew

    def __str__(self) -> str:
        again = f"made anew: {self.rebuilt}; " if self.rebuilt else ""
        return f"{again}{self.appended} appended, {self.removed} removed{', compacted' if self.compacted else ''}"


class FollowingIndex(BandIndex):
    """The index of one recipe, which holds the documents of its last run."""

    @classmethod
    def of(cls, folder: Path, owner: str, scheme: Scheme, seed: int) -> tuple["FollowingIndex", str | None]:
        """Open the index that ``owner`` keeps in ``folder``, or make it, anew where it is damaged or of an old format.

        Returns the index and why it was made anew, None when it was not.

        Raises
        ------
        RecipeError : the index of another scheme or recipe, or a folder that holds something else
        """
        made = IndexScheme(
            scheme.bands, scheme.rows, scheme.shingle_words, scheme.hashes, seed % 2**32, scheme.threshold
        )
        problem = None
        if (folder / INDEX).exists():
            try:
                index_folder.check(folder, made, owner)
            except DamagedIndexError as error:
                problem = str(error)
        if problem or not (folder / INDEX).exists():
            index_folder.make(folder, made, owner)
        return cls(folder, made), problem

    def in_step_with(self, step: str) -> bool:
        """True when nothing was written since the index followed ``step``."""
        return self.state()["step"] == step

    def follow(self, signatures: Sequence[Path], documents: Sequence[Path], step: str) -> Followed:
        """Hold exactly the documents of these parts from now on.

        Parameters
        ----------
        signatures, documents : parts of ``minhash.signatures_part`` under the reading "raw", and their documents
        step : names the parts; see ``in_step_with``

        Raises
        ------
        LockedError : another writer is at work
        SchemaError : parts that do not belong together or to this index, or a doc_id that occurs twice
        """
        with self.writing() as scratch:
            found = read_identities(documents, signatures)
            gone, is_new = self._difference(found)
            if len(gone):
                self._remove_rows(gone, scratch)
            for some, chosen in _blocks(signatures, is_new):
                part = self._measure([signatures[i] for i in some], [documents[i] for i in some], chosen, scratch)
                self._append(part, [step], scratch)
            compacted = self._compaction_pays()
            if compacted:
                self._compact(scratch)
            self.commit(scratch, step=step)
        return Followed(int(is_new.sum()), len(gone), compacted)

    def _difference(self, found: Identities) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the index that are gone or say something else now, and bool[n]: documents to append."""
        live, places = self.live()
        row = pc.index_in(live["doc_id"], value_set=found.doc_ids)
        known = pc.is_valid(row).to_numpy()
        row = pc.fill_null(row, 0).to_numpy()
        hashes = self.variants()[live["variant"].to_numpy(), :2]
        same = known.copy()
        same[known] = (hashes[known] == found.text_hashes[row[known]]).all(axis=1)
        is_new = np.ones(len(found.doc_ids), np.bool_)
        is_new[row[same]] = False
        _refuse_twins(found, is_new)
        return places[~same], is_new

    def _compaction_pays(self) -> bool:
        rows = sum(segment.documents.num_rows for segment in self.segments())
        return len(self.dead()) > DEAD_SHARE * rows or len(self.state()["segments"]) > MAX_SEGMENTS

    # -------------------------------------------------------------------------------------------- clusters

    def clusters_of(self, signatures: Sequence[Path], documents: Sequence[Path], folder: Path) -> Outcome:
        """Write what ``clusters.cluster_documents`` writes of the parts that the index is in step with.

        Memory: 180 bytes a document, 24 an edge, and the largest segment's refused pairs one row group at a time.
        """
        identities = read_identities(documents, signatures)
        texts = group_texts(identities.doc_ids, identities.text_hashes)
        variant_of_text = self._variant_of_text(texts)
        text_of_variant = np.full(len(self.variants()), -1, np.int64)
        text_of_variant[variant_of_text] = np.arange(texts.n_texts)
        graph = NearGraph(texts.n_texts)
        write_edges(folder / PAIRS_FILE, texts, self._verified(text_of_variant), graph)

        def jaccard(a: np.ndarray, b: np.ndarray) -> np.ndarray:
            return self._jaccard(variant_of_text[a], variant_of_text[b])

        of = self.scheme
        facts = {"near": True, **Scheme(of.threshold, of.hashes, of.shingle_words, of.bands, of.rows).facts()}
        cuts = range(0, texts.n_documents, CLUSTER_ROWS)
        rows = cluster_rows(texts, graph, (texts.rank_of_row[at : at + CLUSTER_ROWS] for at in cuts))
        return write_findings(folder, rows, texts, graph, jaccard, of.threshold, identities.accounts, facts)

    def _variant_of_text(self, texts: Texts) -> np.ndarray:
        """int64[n_texts]: the variant of the document that stands for each text; the index holds the same documents."""
        live, _ = self.live()
        return live["variant"].take(pc.sort_indices(live["doc_id"])).to_numpy()[texts.first_rank]

    def _verified(self, text_of_variant: np.ndarray) -> Iterator[tuple[int, Edges]]:
        """All verified pairs of texts, ordered by a, then b; refused ones are counted."""
        found = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)), *self.edges(text_of_variant)]
        a, b, jaccard = (np.concatenate(column) for column in zip(*found, strict=True))
        refused = sum(pairs.shape[1] for pairs in self.refused(text_of_variant))
        order = np.lexsort((b, a))
        yield len(a) + refused, (a[order], b[order], jaccard[order])

    def _jaccard(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """double[n]: exact similarity of pairs of variants, whatever segments they lie in."""
        segments, out = list(self.segments()), np.zeros(len(a))
        firsts = np.array([segment.first_variant for segment in segments], np.int64)
        turn_a, turn_b = (np.searchsorted(firsts, ends, "right") - 1 for ends in (a, b))
        for i, j in np.unique(np.stack([turn_a, turn_b], axis=1), axis=0):
            some = np.flatnonzero((turn_a == i) & (turn_b == j))
            out[some] = segments[j].jaccard(segments[i].sets, a[some] - firsts[i], b[some] - firsts[j])
        return out


def _refuse_twins(found: Identities, is_new: np.ndarray) -> None:
    """A doc_id that occurs twice is new at least once."""
    new = found.doc_ids.filter(pa.array(is_new))
    stays = found.doc_ids.filter(pa.array(~is_new))
    if len(new) and (len(new.unique()) < len(new) or pc.any(pc.is_in(new, value_set=stays)).as_py()):
        group_texts(found.doc_ids, found.text_hashes)  # says which


def _blocks(signatures: Sequence[Path], is_new: np.ndarray) -> Iterator[tuple[list[int], np.ndarray]]:
    """Numbers of parts with new documents, about ROWS_AT_ONCE of these together, and which of their rows are new."""
    rows = [pq.read_metadata(path).num_rows for path in signatures]
    stops = np.cumsum(rows)
    some: list[int] = []
    chosen: list[np.ndarray] = []
    for number, (n, stop) in enumerate(zip(rows, stops, strict=True)):
        mark = is_new[stop - n : stop]
        if mark.any():
            some.append(number)
            chosen.append(mark)
        if some and (number == len(rows) - 1 or sum(int(one.sum()) for one in chosen) >= ROWS_AT_ONCE):
            yield some, np.concatenate(chosen)
            some, chosen = [], []


def follow_parts(
    signatures: Sequence[Path],
    documents: Sequence[Path],
    *,
    index: Path,
    owner: str,
    step: str,
    seed: int,
    **options: Any,
) -> Followed | None:
    """Bring the index in ``index`` in step with the parts; None when it is already.

    Parameters
    ----------
    signatures, documents : as in ``clusters.cluster_documents``
    owner : the recipe that keeps the index
    step : names the parts and the scheme
    seed : that the signatures were made with
    options : threshold, hashes, shingle_words, bands, rows as in ``clusters.cluster_documents``
    """
    opened, problem = _open(index, owner, seed, options)
    if opened.in_step_with(step):
        return None
    done = opened.follow(signatures, documents, step)
    return Followed(done.appended, done.removed, done.compacted, problem)


def cluster_documents(
    signatures: Sequence[Path],
    documents: Sequence[Path],
    folder: Path,
    *,
    index: Path,
    owner: str,
    step: str,
    seed: int,
    **options: Any,
) -> Outcome:
    """``clusters.cluster_documents`` from an index that follows the parts; the same files and facts."""
    follow_parts(signatures, documents, index=index, owner=owner, step=step, seed=seed, **options)
    opened, _ = _open(index, owner, seed, options)
    return opened.clusters_of(signatures, documents, folder)


def _open(folder: Path, owner: str, seed: int, options: dict[str, Any]) -> tuple[FollowingIndex, str | None]:
    return FollowingIndex.of(folder, owner, choose_scheme(engine="bands", **options), seed)
