"""The band index: near duplicates kept for years. Snapshots are appended, documents removed, clusters asked for.

A folder holds immutable segments (``segments``), a list of removed rows, and ``index.json``, whose replacement is the
commit: a writer that dies leaves the index as it was, and what it left is swept by the next one. The clusters are
those of ``clusters.cluster_documents`` over all documents that are in, whatever the order of snapshots and removals:
every pair of variants was probed when the later one came, edges are kept, and those of documents that no longer
stand for their text are left out when clusters are asked for.

Removed text cannot be needed again: what verifies a pair is its shingle hashes, kept for each distinct text.
``remove`` hides a document at once; ``compact`` takes its rows, hashes and edges from the disk.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpus.errors import RecipeError, SchemaError, UnknownNameError
from corpus.files import fsync_path, read_json, write_json
from corpus.schema import CLUSTERS
from corpus.writer_lock import WriterLock
from dedup.clusters import cluster_rows
from dedup.edges import NearGraph
from dedup.exact import Texts, group_texts
from dedup.measured import Measured, as_binary, find_rows, first_of, measure_part
from dedup.minhash import family_of
from dedup.segments import DOCUMENTS, Segment, commit, joined_sets, write_edges, write_segment

VERSION = "1"
INDEX = "index.json"
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


@dataclass(frozen=True, slots=True)
class IndexScheme:
    """What an index compares; it never changes."""

    bands: int
    rows: int
    shingle_words: int
    hashes: int
    seed: int
    threshold: float


class BandIndex:
    """An index in a folder; see the module. Methods that write hold a lock, readers need none.

    Memory: 8 x bands bytes a document of the part at hand, about 100 bytes a document of the whole index and 24 an
    edge while clusters are built; keys and shingle sets are mapped from disk (8 x bands and 8 bytes a shingle).
    """

    def __init__(self, folder: Path, scheme: IndexScheme):
        self.folder, self.scheme = folder, scheme

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
        RecipeError : the folder's index was made with another scheme
        """
        scheme = IndexScheme(bands, rows, shingle_words, hashes, seed % 2**32, threshold)
        if (folder / INDEX).exists():
            _check_scheme(folder, read_json(folder / INDEX)["scheme"], asdict(scheme))
        else:
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / INDEX, {"scheme": asdict(scheme), "segments": [], "dead": None, "next": 0})
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
        with self._writing() as (state, scratch):
            part = self._measure(signatures, documents, scratch)
            self._refuse_known(part.doc_ids)
            self._fill_segment(part, scratch / "segment")
            entry = self._place(state, scratch, [snapshot])
            self._commit({**state, "segments": [*state["segments"], entry]}, scratch)
        return len(part.doc_ids)

    def remove(self, doc_ids: Sequence[str]) -> pa.Table:
        """Take documents out; returns AFFECTED: what became of the clusters that lost one, ordered by doc_id.

        Raises
        ------
        UnknownNameError : a doc_id that is not in the index
        """
        with self._writing() as (state, scratch):
            before = self.clusters()
            live, places = self._live()
            gone = pc.is_in(live["doc_id"], value_set=pa.array(doc_ids, pa.string()))
            _refuse_unknown(doc_ids, live["doc_id"].filter(gone))
            path = self.folder / f"dead-{state['next']:06d}.npy"
            np.save(path, np.union1d(self._dead(), places[gone.to_numpy()]))
            fsync_path(path)
            self._commit({**state, "dead": path.name}, scratch)
            return _affected(before, self.clusters(), doc_ids)

    def compact(self) -> None:
        """Write all segments as one, without removed documents and what only they said.

        The files are then those of an index to which the same documents were appended at once.
        """
        with self._writing() as (state, scratch):
            live, _ = self._live()
            self._fill_compacted(live, scratch / "segment")
            snapshots = [name for segment in state["segments"] for name in segment["snapshots"]]
            self._commit({**state, "segments": [self._place(state, scratch, snapshots)], "dead": None}, scratch)

    def _place(self, state: dict[str, Any], scratch: Path, snapshots: list[str]) -> dict[str, Any]:
        """Put a filled segment among the others; returns its entry."""
        name = f"segment-{state['next']:06d}"
        n_variants = len(np.load(scratch / "segment" / "sizes.npy"))
        commit(scratch / "segment", self.folder / name)
        return {"name": name, "variants": n_variants, "snapshots": snapshots}

    # -------------------------------------------------------------------------------------------- read

    def snapshots(self) -> list[str]:
        """Names of the parts, as they came."""
        return [name for segment in self._state()["segments"] for name in segment["snapshots"]]

    def clusters(self) -> pa.Table:
        """CLUSTERS of all documents that are in, ordered by doc_id."""
        texts, text_of_variant = self._texts()
        graph = NearGraph(texts.n_texts)
        for segment in self._segments():
            ends, jaccard = _edges_between(segment, text_of_variant)
            graph.add(len(jaccard), (*ends, jaccard))
        graph.settle()
        ranks = np.arange(texts.n_documents)
        return pa.Table.from_batches(cluster_rows(texts, graph, [ranks]), CLUSTERS)

    def query(self, signatures: Path, documents: Path) -> pa.Table:
        """PAIRS of the part's documents with those in the index, which stays as it is; ordered by doc_id, other.

        Raises
        ------
        SchemaError : as for ``append``
        """
        with tempfile.TemporaryDirectory() as scratch:
            part = self._measure(signatures, documents, Path(scratch))
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

    def _measure(self, signatures: Path, documents: Path, scratch: Path) -> Measured:
        self._check_family(signatures)
        scheme = self.scheme
        return measure_part(signatures, documents, scratch, scheme.bands, scheme.rows, scheme.shingle_words)

    def _fill_segment(self, part: Measured, folder: Path) -> None:
        """Documents by doc_id; new variants numbered by their first document, and their edges."""
        order = pc.sort_indices(part.doc_ids).to_numpy().astype(np.int64)
        known, variants = self._variants(), part.variants(order)
        number = find_rows(variants, known)
        is_new = number < 0
        new = as_binary(variants[is_new]).dictionary_encode()
        number[is_new] = new.indices.to_numpy() + len(known)
        row = order[is_new][first_of(new.indices.to_numpy(), len(new.dictionary))]
        wordy = np.flatnonzero(part.wordy[row])
        documents = pa.table([part.doc_ids.take(pa.array(order)), number], schema=DOCUMENTS)
        keys = np.ascontiguousarray(part.keys[:, row[wordy]])
        write_segment(folder, documents, part.variants(row), wordy, keys, part.sets, row)
        self._find_edges(Segment(folder, len(known), len(row)))

    def _find_edges(self, new: Segment) -> None:
        """Probe all segments, the new one among them, with the new variants."""
        wordy, keys = new.band_keys()
        ends, jaccards = [], []
        for segment in (*self._segments(), new):
            for place, found, jaccard in segment.matches(keys, new.sets, wordy, self.scheme.threshold):
                pair = np.stack([found + segment.first_variant, wordy[place] + new.first_variant])
                upward = pair[0] < pair[1]
                ends.append(pair[:, upward])
                jaccards.append(jaccard[upward])
        write_edges(new.folder, ends, jaccards)

    def _fill_compacted(self, live: pa.Table, folder: Path) -> None:
        """One segment of all segments."""
        segments, live = list(self._segments()), live.sort_by("doc_id")
        variant = live["variant"].combine_chunks().dictionary_encode()  # lists numbers as they first appear
        order = variant.dictionary.to_numpy()
        renumbered = np.full(sum(segment.n_variants for segment in segments), -1, np.int64)
        renumbered[order] = np.arange(len(order))
        documents = live.set_column(1, DOCUMENTS.field("variant"), variant.indices.cast(pa.int64()))
        sets = joined_sets(segments, folder.with_name("sets.u64"))
        write_segment(folder, documents, self._variants()[order], *_renumbered_keys(segments, renumbered), sets, order)
        found = [_edges_between(segment, renumbered) for segment in segments]
        write_edges(folder, [np.stack(ends) for ends, _ in found], [jaccard for _, jaccard in found])

    def _near(self, part: Measured, text_of_variant: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(row of the part, text of the index, jaccard) of verified pairs."""
        wordy = np.flatnonzero(part.wordy)
        keys = np.ascontiguousarray(part.keys[:, wordy])
        rows, others, jaccards = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0)]
        for segment in self._segments():
            for place, found, jaccard in segment.matches(keys, part.sets, wordy, self.scheme.threshold):
                text = text_of_variant[found + segment.first_variant]
                stands = text >= 0
                rows.append(wordy[place[stands]])
                others.append(text[stands])
                jaccards.append(jaccard[stands])
        return np.concatenate(rows), np.concatenate(others), np.concatenate(jaccards)

    def _texts(self) -> tuple[Texts, np.ndarray]:
        """The texts that are in, and int64[n_variants]: the text that a variant stands for, -1 where for none now."""
        live, _ = self._live()
        variant = live["variant"].to_numpy()
        texts = group_texts(live["doc_id"], np.ascontiguousarray(self._variants()[variant, :2]))
        text_of_variant = np.full(len(self._variants()), -1, np.int64)
        text = texts.text_of_row
        text_of_variant[variant[text >= 0]] = text[text >= 0]
        return texts, text_of_variant

    def _text_of(self, text_hashes: np.ndarray, text_of_variant: np.ndarray) -> np.ndarray:
        """int64[n]: the text with that hash, -1 where there is none."""
        stands = np.flatnonzero(text_of_variant >= 0)
        place = find_rows(text_hashes, np.ascontiguousarray(self._variants()[stands, :2]))
        return np.where(place >= 0, np.append(text_of_variant[stands], -1)[place], -1)

    def _variants(self) -> np.ndarray:
        return np.concatenate([np.empty((0, 3), np.uint64), *(segment.variants for segment in self._segments())])

    def _live(self) -> tuple[pa.Table, np.ndarray]:
        """DOCUMENTS that are in, and their row numbers in the whole index."""
        table = pa.concat_tables([DOCUMENTS.empty_table(), *(segment.documents for segment in self._segments())])
        places = np.setdiff1d(np.arange(table.num_rows), self._dead(), assume_unique=True)
        return table.take(pa.array(places)), places

    def _segments(self) -> Iterator[Segment]:
        first_variant = 0
        for entry in self._state()["segments"]:
            yield Segment(self.folder / entry["name"], first_variant, entry["variants"])
            first_variant += entry["variants"]

    def _dead(self) -> np.ndarray:
        """Numbers of removed rows, int64 ascending."""
        name = self._state()["dead"]
        return np.load(self.folder / name) if name else np.empty(0, np.int64)

    def _state(self) -> dict[str, Any]:
        return read_json(self.folder / INDEX)

    @contextmanager
    def _writing(self) -> Iterator[tuple[dict[str, Any], Path]]:
        """The state, and a scratch folder; one writer at a time."""
        with WriterLock(self.folder), tempfile.TemporaryDirectory(dir=self.folder, prefix=".writing-") as scratch:
            state = self._state()
            self._sweep(state, Path(scratch))
            yield state, Path(scratch)

    def _commit(self, state: dict[str, Any], scratch: Path) -> None:
        write_json(self.folder / INDEX, {**state, "next": state["next"] + 1})
        self._sweep(state, scratch)

    def _sweep(self, state: dict[str, Any], scratch: Path) -> None:
        """Delete what index.json does not name: superseded, or left by a writer that died."""
        named = {scratch.name, state["dead"], *(segment["name"] for segment in state["segments"])}
        for path in sorted(self.folder.iterdir()):
            if path.name.startswith((".writing-", "segment-", "dead-")) and path.name not in named:
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _check_family(self, signatures: Path) -> None:
        family = family_of(pq.read_schema(signatures))
        for name in ("shingle_words", "hashes", "seed"):
            if family[name] != getattr(self.scheme, name):
                raise SchemaError(
                    f"{signatures} was made with {name} = {family[name]}, the index in {self.folder} holds "
                    f"{name} = {getattr(self.scheme, name)}; compute the signatures again"
                )

    def _refuse_known(self, doc_ids: pa.ChunkedArray) -> None:
        live, _ = self._live()
        known = doc_ids.filter(pc.is_in(doc_ids, value_set=live["doc_id"]))
        if len(known):
            raise SchemaError(
                f"doc_id {known[0].as_py()} and {len(known) - 1} more are in the index already; remove them first"
            )


def _check_scheme(folder: Path, found: dict[str, Any], asked: dict[str, Any]) -> None:
    for name, value in asked.items():
        if found[name] != value:
            raise RecipeError(
                f"the index in {folder} was made with {name} = {found[name]}, the recipe says dedup.near.{name} = "
                f"{value}. An index keeps its scheme: give the recipe's new one a folder of its own."
            )


def _refuse_unknown(doc_ids: Sequence[str], found: pa.ChunkedArray) -> None:
    missing = sorted(set(doc_ids) - set(found.to_pylist()))
    if missing:
        raise UnknownNameError(f"document ({len(missing)} not in the index)", missing[0], found.to_pylist())


def _edges_between(segment: Segment, number: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """(a, b), jaccard of a segment's edges whose variants have a ``number``, as those numbers, a < b."""
    edges = segment.edges
    ends = np.stack([number[edges["a"].to_numpy()], number[edges["b"].to_numpy()]])
    both = (ends >= 0).all(axis=0)
    return (ends.min(axis=0)[both], ends.max(axis=0)[both]), edges["jaccard"].to_numpy()[both]


def _renumbered_keys(segments: Sequence[Segment], number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of all variants that have a word and a ``number``, ascending, and their band keys."""
    found = [segment.band_keys() for segment in segments]
    wordy = np.concatenate([nodes + s.first_variant for s, (nodes, _) in zip(segments, found, strict=True)])
    keys = np.concatenate([block for _, block in found], axis=1)
    stay = number[wordy] >= 0
    turn = np.argsort(number[wordy[stay]])
    return number[wordy[stay]][turn], np.ascontiguousarray(keys[:, stay][:, turn])


def _affected(before: pa.Table, after: pa.Table, doc_ids: Sequence[str]) -> pa.Table:
    lost = before["cluster"].filter(pc.is_in(before["doc_id"], value_set=pa.array(doc_ids, pa.string())))
    old = before["cluster"].take(pc.index_in(after["doc_id"], value_set=before["doc_id"]))
    columns = [after["doc_id"], old, after["cluster"], after["size"]]
    return pa.table(columns, schema=AFFECTED).filter(pc.is_in(old, value_set=lost))
