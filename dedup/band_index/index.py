"""The band index: near duplicates kept for years. Snapshots are appended, documents removed, clusters asked for.

A folder holds immutable segments (``segments``), a list of removed rows, and ``index.json``, whose replacement is the
commit: a writer that dies leaves the index as it was, and what it left is swept by the next one. The clusters are
those of ``clusters.cluster_documents`` over all documents that are in, whatever the order of snapshots and removals:
every pair of variants was probed when the later one came, edges are kept, and those of documents that no longer
stand for their text are left out when clusters are asked for.

Removed text cannot be needed again: what verifies a pair is its shingle hashes, kept for each distinct text.
``remove`` hides a document at once; ``compact`` takes its rows, hashes and edges from the disk.
"""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.corpus.errors import SchemaError, UnknownNameError
from gristmill.corpus.schema import CLUSTERS
from gristmill.corpus.whole_columns import coded, index_in, rows_of
from gristmill.dedup.band_index import index_folder
from gristmill.dedup.band_index.index_folder import INDEX, IndexFolder, IndexScheme
from gristmill.dedup.band_index.indexed_rows import Measured, as_binary, find_rows, first_of, measure_rows
from gristmill.dedup.band_index.segments import (
    DOCUMENTS,
    Segment,
    joined_sets,
    write_edges,
    write_refused,
    write_segment,
)
from gristmill.dedup.clusters.cluster import cluster_rows
from gristmill.dedup.clusters.edges import NearGraph
from gristmill.dedup.clusters.exact import Texts, group_texts
from gristmill.dedup.clusters.minhash import family_of
from gristmill.dedup.clusters.verification import Edges

PAIRS = pa.schema(
    [
        pa.field("doc_id", pa.string(), False),  # asked for
        pa.field("other", pa.string(), False),  # in the index: the smallest doc_id of its text
        pa.field("kind", pa.string(), False),  # exact | near
        pa.field("jaccard", pa.float64(), False),  # verified; 1 for exact
    ]
)
AFFECTED = pa.schema(
    [
        pa.field("doc_id", pa.string(), False),  # a document that stays, of a cluster that lost one
        pa.field("before", pa.string(), False),  # its cluster's root
        pa.field("cluster", pa.string(), False),  # the root now
        pa.field("size", pa.int32(), False),  # of its cluster now
    ]
)


class BandIndex(IndexFolder):
    """An index in a folder; see the module. Methods that write hold a lock, readers need none.

    Memory: 8 x bands bytes and 24 a candidate pair of the documents at hand, about 100 bytes a document of the whole
    index and 24 an edge while clusters are built; keys and shingle sets are mapped from disk (8 x bands and 8 bytes a
    shingle).
    """

    @classmethod
    def open(
        cls, folder: Path, *, bands: int, rows: int, shingle_words: int, hashes: int, seed: int, threshold: float
    ) -> "BandIndex":
        """Open an index, or make an empty one.

        Parameters
        ----------
        bands, rows : the LSH scheme, bands x rows <= hashes
        shingle_words, hashes, seed : as the signatures were made; of the seed the low 32 bits count
        threshold : Jaccard similarity from which on two texts are near duplicates

        Raises
        ------
        RecipeError : the folder's index was made with another scheme, or the folder holds something else
        DamagedIndexError : its files are not what they were
        """
        scheme = IndexScheme(bands, rows, shingle_words, hashes, seed % 2**32, threshold)
        if (folder / INDEX).exists():
            index_folder.check(folder, scheme)
        else:
            index_folder.make(folder, scheme)
        return cls(folder, scheme)

    # -------------------------------------------------------------------------------------------- write

    def append(self, signatures: Path, documents: Path, snapshot: str) -> int:
        """Add the documents of one part; returns how many.

        Parameters
        ----------
        signatures, documents : a part of ``minhash.signatures_part`` and the documents it was made of
        snapshot : what the part is called in ``snapshots``

        Raises
        ------
        SchemaError : files that do not belong together or to this index, or a doc_id that is in it already
        """
        with self.writing() as scratch:
            part = self._measure([signatures], [documents], None, scratch)
            self._refuse_known(part.doc_ids)
            self._append(part, [snapshot], scratch)
        return len(part.doc_ids)

    def remove(self, doc_ids: Sequence[str]) -> pa.Table:
        """Take documents out; returns AFFECTED: what became of the clusters that lost one, ordered by doc_id.

        Raises
        ------
        UnknownNameError : a doc_id that is not in the index
        """
        with self.writing() as scratch:
            before = self.clusters()
            live, places = self.live()
            gone = pc.is_in(live["doc_id"], value_set=pa.array(doc_ids, pa.string()))
            _refuse_unknown(doc_ids, live["doc_id"].filter(gone))
            self._remove_rows(places[gone.to_numpy()], scratch)
            return _affected(before, self.clusters(), doc_ids)

    def forget(self, doc_ids: Sequence[str]) -> int:
        """Take those of the documents that are in out, and off the disk; returns how many there were."""
        with self.writing() as scratch:
            live, places = self.live()
            gone = pc.is_in(live["doc_id"], value_set=pa.array(doc_ids, pa.string())).to_numpy()
            self._remove_rows(places[gone], scratch)
            self._compact(scratch)
        return int(gone.sum())

    def compact(self) -> None:
        """Write all segments as one, without removed documents and what only they contain.

        The files are then those of an index to which the same documents were appended at once.
        """
        with self.writing() as scratch:
            self._compact(scratch)

    def _append(self, part: Measured, snapshots: Sequence[str], scratch: Path) -> None:
        self._fill_segment(part, scratch / "segment")
        entry = self.place(scratch / "segment", snapshots)
        self.commit(scratch, segments=[*self.state()["segments"], entry], step=None)

    def _remove_rows(self, places: np.ndarray, scratch: Path) -> None:
        self.commit(scratch, dead=self.place_dead(np.union1d(self.dead(), places)), step=None)

    def _compact(self, scratch: Path) -> None:
        live, _ = self.live()
        self._fill_compacted(live, scratch / "segment")
        entry = self.place(scratch / "segment", self.snapshots())
        self.commit(scratch, segments=[entry], dead=None)

    # -------------------------------------------------------------------------------------------- read

    def snapshots(self) -> list[str]:
        """Names of the parts, as they came."""
        return [name for segment in self.state()["segments"] for name in segment["snapshots"]]

    def clusters(self) -> pa.Table:
        """CLUSTERS of all documents that are in, ordered by doc_id."""
        texts, text_of_variant = self._texts()
        graph = NearGraph(texts.n_texts)
        for edges in self.edges(text_of_variant):
            graph.add(len(edges[0]), edges)
        graph.settle()
        ranks = np.arange(texts.n_documents)
        return pa.Table.from_batches(cluster_rows(texts, graph, [ranks]), CLUSTERS)

    def edges(self, number: np.ndarray) -> Iterator[Edges]:
        """(a, b, jaccard) of the verified pairs of variants that both have a ``number`` (none: -1), as those, a < b."""
        for segment in self.segments():
            table = segment.edges
            ends, both = _numbered(np.stack([table["a"].to_numpy(), table["b"].to_numpy()]), number)
            yield ends[0], ends[1], table["jaccard"].to_numpy()[both]

    def refused(self, number: np.ndarray) -> Iterator[np.ndarray]:
        """int64[2, n], a < b, block by block: the refused pairs likewise."""
        for segment in self.segments():
            for pairs in segment.refused():
                yield _numbered(pairs, number)[0]

    def query(self, signatures: Path, documents: Path) -> pa.Table:
        """PAIRS of the part's documents with those in the index, which stays as it is; ordered by doc_id, other.

        Raises
        ------
        SchemaError : as for ``append``
        """
        with tempfile.TemporaryDirectory() as scratch:
            part = self._measure([signatures], [documents], None, Path(scratch))
            texts, text_of_variant = self._texts()
            rows, others, jaccard = self._near(part, text_of_variant)
        same = self._text_of(part.text_hashes, text_of_variant)
        exact = np.flatnonzero(same >= 0)
        near = same[rows] != others
        table = pa.table(
            {
                "doc_id": part.doc_ids.take(pa.array(np.concatenate([exact, rows[near]]))),
                "other": texts.names_of(np.concatenate([same[exact], others[near]])),
                "kind": pa.array(["exact"] * len(exact) + ["near"] * int(near.sum()), pa.string()),
                "jaccard": np.concatenate([np.ones(len(exact)), jaccard[near]]),
            },
            schema=PAIRS,
        )
        return table.sort_by([("doc_id", "ascending"), ("other", "ascending")])

    # -------------------------------------------------------------------------------------------- inside

    def _measure(
        self, signatures: Sequence[Path], documents: Sequence[Path], chosen: np.ndarray | None, scratch: Path
    ) -> Measured:
        for path in signatures:
            self._check_family(path)
        scheme = self.scheme
        return measure_rows(signatures, documents, chosen, scratch, scheme.bands, scheme.rows, scheme.shingle_words)

    def _fill_segment(self, part: Measured, folder: Path) -> None:
        """Documents by doc_id; new variants numbered by their first document, and their edges."""
        order = pc.sort_indices(part.doc_ids).to_numpy().astype(np.int64)
        known, own = self.variants(), part.variants()
        variants = own[order]
        number = find_rows(variants, known)
        is_new = number < 0
        new = as_binary(variants[is_new]).dictionary_encode()
        number[is_new] = new.indices.to_numpy() + len(known)
        row = order[is_new][first_of(new.indices.to_numpy(), len(new.dictionary))]
        wordy = np.flatnonzero(part.wordy[row])
        documents = pa.table([part.doc_ids.take(pa.array(order)), number], schema=DOCUMENTS)
        keys = np.ascontiguousarray(part.keys[:, row[wordy]])
        write_segment(folder, documents, own[row], wordy, keys, part.sets, row)
        self._find_edges(Segment(folder, len(known), len(row)))

    def _find_edges(self, new: Segment) -> None:
        """Probe all segments, the new one among them, with the new variants."""
        wordy, keys = new.band_keys()
        ends, jaccards = [], []
        for segment in (*self.segments(), new):
            for place, found, jaccard in segment.matches(keys, new.sets, wordy, self.scheme.threshold):
                pair = np.stack([found + segment.first_variant, wordy[place] + new.first_variant])
                upward = pair[0] < pair[1]
                ends.append(pair[:, upward])
                jaccards.append(jaccard[upward])
        proved = [jaccard >= self.scheme.threshold for jaccard in jaccards]
        write_edges(
            new.folder,
            [pair[:, good] for pair, good in zip(ends, proved, strict=True)],
            [jaccard[good] for jaccard, good in zip(jaccards, proved, strict=True)],
        )
        write_refused(new.folder, [pair[:, ~good] for pair, good in zip(ends, proved, strict=True)])

    def _fill_compacted(self, live: pa.Table, folder: Path) -> None:
        """One segment of all segments."""
        segments, live = list(self.segments()), rows_of(live, pc.sort_indices(live["doc_id"]))
        variant = coded(live["variant"])  # lists numbers as they first appear
        order = variant.dictionary.to_numpy()
        renumbered = np.full(sum(segment.n_variants for segment in segments), -1, np.int64)
        renumbered[order] = np.arange(len(order))
        documents = live.set_column(1, DOCUMENTS.field("variant"), variant.indices.cast(pa.int64()))
        sets = joined_sets(segments, folder.with_name("sets.u64"))
        write_segment(
            folder, documents, self.variants()[order], *self._renumbered_keys(segments, renumbered), sets, order
        )
        found = list(self.edges(renumbered))
        write_edges(folder, [np.stack([a, b]) for a, b, _ in found], [jaccard for _, _, jaccard in found])
        write_refused(folder, list(self.refused(renumbered)))

    def _renumbered_keys(self, segments: Sequence[Segment], number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The numbers of all variants that have a word and a ``number``, ascending, and their band keys."""
        nodes, blocks = [np.empty(0, np.int64)], [np.empty((self.scheme.bands, 0), np.uint64)]
        for segment in segments:
            members, keys = segment.band_keys()
            nodes.append(members + segment.first_variant)
            blocks.append(keys)
        wordy, keys = np.concatenate(nodes), np.concatenate(blocks, axis=1)
        stay = number[wordy] >= 0
        turn = np.argsort(number[wordy[stay]])
        return number[wordy[stay]][turn], np.ascontiguousarray(keys[:, stay][:, turn])

    def _near(self, part: Measured, text_of_variant: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(row of the part, text of the index, jaccard) of verified pairs."""
        wordy = np.flatnonzero(part.wordy)
        keys = np.ascontiguousarray(part.keys[:, wordy])
        rows, others, jaccards = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0)]
        for segment in self.segments():
            for place, found, jaccard in segment.matches(keys, part.sets, wordy, self.scheme.threshold):
                text = text_of_variant[found + segment.first_variant]
                stands = (text >= 0) & (jaccard >= self.scheme.threshold)
                rows.append(wordy[place[stands]])
                others.append(text[stands])
                jaccards.append(jaccard[stands])
        return np.concatenate(rows), np.concatenate(others), np.concatenate(jaccards)

    def _texts(self) -> tuple[Texts, np.ndarray]:
        """The texts that are in, and int64[n_variants]: the text that a variant stands for, -1 where for none now."""
        live, _ = self.live()
        variant = live["variant"].to_numpy()
        texts = group_texts(live["doc_id"], np.ascontiguousarray(self.variants()[variant, :2]))
        text_of_variant = np.full(len(self.variants()), -1, np.int64)
        text = texts.text_of_row
        text_of_variant[variant[text >= 0]] = text[text >= 0]
        return texts, text_of_variant

    def _text_of(self, text_hashes: np.ndarray, text_of_variant: np.ndarray) -> np.ndarray:
        """int64[n]: the text with that hash, -1 where there is none."""
        stands = np.flatnonzero(text_of_variant >= 0)
        place = find_rows(text_hashes, np.ascontiguousarray(self.variants()[stands, :2]))
        return np.where(place >= 0, np.append(text_of_variant[stands], -1)[place], -1)

    def _check_family(self, signatures: Path) -> None:
        family = family_of(pq.read_schema(signatures))
        for name in ("shingle_words", "hashes", "seed"):
            if family[name] != getattr(self.scheme, name):
                raise SchemaError(
                    f"{signatures} was made with {name} = {family[name]}, the index in {self.folder} holds "
                    f"{name} = {getattr(self.scheme, name)}; compute the signatures again"
                )

    def _refuse_known(self, doc_ids: pa.ChunkedArray) -> None:
        live, _ = self.live()
        known = doc_ids.filter(pc.is_in(doc_ids, value_set=live["doc_id"]))
        if len(known):
            raise SchemaError(
                f"doc_id {known[0].as_py()} and {len(known) - 1} more are in the index already; remove them first"
            )


def _refuse_unknown(doc_ids: Sequence[str], found: pa.ChunkedArray) -> None:
    missing = sorted(set(doc_ids) - set(found.to_pylist()))
    if missing:
        raise UnknownNameError(f"document ({len(missing)} not in the index)", missing[0], found.to_pylist())


def _numbered(pairs: np.ndarray, number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``pairs int64[2, n]`` whose ends both have a ``number``, as those, the smaller first; and which they are."""
    ends = number[pairs]
    both = np.asarray((ends >= 0).all(axis=0))
    return np.sort(ends[:, both], axis=0), both


def _affected(before: pa.Table, after: pa.Table, doc_ids: Sequence[str]) -> pa.Table:
    lost = before["cluster"].filter(pc.is_in(before["doc_id"], value_set=pa.array(doc_ids, pa.string())))
    old = before["cluster"].take(index_in(after["doc_id"], before["doc_id"]))
    columns = [after["doc_id"], old, after["cluster"], after["size"]]
    return pa.table(columns, schema=AFFECTED).filter(pc.is_in(old, value_set=lost))
