"""Finding the documents that a takedown names, and a part of documents without them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.corpus.account import Account
from gristmill.corpus.errors import AmbiguousNameError, SourceError, UnknownNameError
from gristmill.corpus.identity import document_id
from gristmill.corpus.own_files import read_own_lines
from gristmill.corpus.receipt import Outcome
from gristmill.corpus.rundir import TAKEN_DOWN
from gristmill.corpus.tables import read_batches, read_part, write_part
from gristmill.flows.inspect.id_prefixes import is_prefix, own_ids
from gristmill.flows.pipeline.measure_documents import DOCUMENTS_FILE, REJECTS_FILE
from gristmill.flows.takedown.search import Slices, column_blocks, file_blocks

VERSION = "1"
SAID = ("text", "text_hash", "url", "meta")  # columns that a document alone brings; locators name whole files
NAMED_MISSING = 10  # unknown names in one message


@dataclass(frozen=True, slots=True)
class Named:
    """What a takedown names, part by part of the documents: doc_ids and places of rejects, both ascending."""

    doc_ids: list[list[str]]
    rejects: list[list[int]]

    @property
    def all_doc_ids(self) -> list[str]:
        """The doc_ids of all parts, ascending."""
        return sorted(doc_id for part in self.doc_ids for doc_id in part)


def read_ids(file: Path) -> list[str]:
    """Names of documents, one a line: doc_ids, locators, or ids that the input gave them; blank lines are skipped.

    Raises
    ------
    SourceError : no such file, no UTF-8, or no name in it
    """
    try:
        names = read_own_lines(file)
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"--ids {file}: {error}; expected a text file with one document per line") from None
    if not names:
        raise SourceError(f"--ids {file} names no document; expected one doc_id, locator or input id a line")
    return names


def find_named(parts: Sequence[Path], names: Sequence[str]) -> Named:
    """Look names up in the folders of all documents parts.

    A locator or an id of the input that fits several documents names them all; the beginning of a doc_id, of 4
    characters or more, names the one that begins so, where it is not itself a name.

    Raises
    ------
    UnknownNameError : names that fit neither a document nor a reject
    AmbiguousNameError : a beginning of several doc_ids
    """
    named, missing = _named_in_full(parts, set(names))
    begun = {name for name in missing if is_prefix(name)}
    if begun:
        whole = _completed(parts, begun)
        named, missing = _named_in_full(parts, (set(names) - begun) | whole)
        missing |= {name for name in begun if not any(doc_id.startswith(name) for doc_id in whole)}
    if missing:
        shown = ", ".join(sorted(missing)[:NAMED_MISSING]) + (", ..." if len(missing) > NAMED_MISSING else "")
        expected = ["a doc_id or its beginning", "a locator such as file.jsonl:12", "the id that the input gave"]
        raise UnknownNameError(f"document ({len(missing)} of {len(set(names))})", shown, expected)
    return named


def _named_in_full(parts: Sequence[Path], names: set[str]) -> tuple[Named, set[str]]:
    """What the names fit as they stand, and those that fit nothing."""
    wanted, known = pa.array(sorted(names), pa.string()), set()
    doc_ids, rejects = [], []
    for part in parts:
        found, hits = _documents_named(part / DOCUMENTS_FILE, wanted)
        known |= hits
        doc_ids.append(found)
    for part in parts:
        found, hits = _rejects_named(part / REJECTS_FILE, names, names - known)
        known |= hits
        rejects.append(found)
    return Named(doc_ids, rejects), names - known


def _completed(parts: Sequence[Path], begun: set[str]) -> set[str]:
    """The doc_ids, of documents and of rejects, that begin with one of these; each is the beginning of one at most."""
    starts = tuple(sorted(begun))
    fits: list[str] = []
    for part in parts:
        ids = read_part(part / DOCUMENTS_FILE, ["doc_id"])["doc_id"].to_pylist()
        rejects = read_part(part / REJECTS_FILE, ["source", "locator"]).to_pylist()
        ids += [document_id(row["source"], row["locator"]) for row in rejects]
        fits += [doc_id for doc_id in ids if doc_id.startswith(starts)]
    for name in starts:
        several = sorted({doc_id for doc_id in fits if doc_id.startswith(name)})
        if len(several) > 1:
            raise AmbiguousNameError("document", name, several)
    return set(fits)


def _documents_named(path: Path, wanted: pa.Array) -> tuple[list[str], set[str]]:
    """Ascending doc_ids, and the names that fitted."""
    table = read_part(path, ["doc_id", "locator", "meta"])
    hit, known = np.zeros(table.num_rows, np.bool_), set()
    for column in (table["doc_id"], table["locator"], own_ids(table["meta"])):
        fits = pc.is_in(column, value_set=wanted)
        hit |= fits.to_numpy()
        known |= set(column.filter(fits).to_pylist())
    return sorted(table["doc_id"].filter(pa.array(hit)).to_pylist()), known


def _rejects_named(path: Path, names: set[str], unknown: set[str]) -> tuple[list[int], set[str]]:
    """Places of rejects by locator, or by the doc_id that they would have had while some name is ``unknown``."""
    table = read_part(path, ["source", "locator"])
    fits = pc.is_in(table["locator"], value_set=pa.array(sorted(names), pa.string())).to_numpy()
    known = set(table["locator"].filter(pa.array(fits)).to_pylist())
    if unknown - known:  # a Python loop: xxhash takes one string at a time
        ids = [document_id(row["source"], row["locator"]) for row in table.to_pylist()]
        by_id = np.array([doc_id in unknown for doc_id in ids], np.bool_)
        known |= {doc_id for doc_id in ids if doc_id in unknown}
        fits = fits | by_id
    return np.flatnonzero(fits).tolist(), known


def slices_of(parts: Sequence[Path], named: Named, given: Sequence[Path] = ()) -> Slices:
    """Slices of all that the named documents say, and no other document or file that is ``given`` does.

    A near copy that stays, a page's menu, or a name in a graph, holds slices of the text too: those no takedown of this
    document removes.
    """
    texts = []
    for part, doc_ids in zip(parts, named.doc_ids, strict=True):
        if doc_ids:
            table = pq.read_table(part / DOCUMENTS_FILE, columns=list(SAID), filters=[("doc_id", "in", doc_ids)])
            texts += table.columns
    own = Slices.of(texts).without(_remaining_blocks(parts, named))
    own = own.without(block for path in given for block in file_blocks(path, None))
    return own | Slices.of([pa.array(named.all_doc_ids)])


def copies_of(parts: Sequence[Path], named: Named) -> list[str]:
    """doc_ids of documents that stay with exactly the text of a named one, ascending."""
    tables = [read_part(part / DOCUMENTS_FILE, ["doc_id", "text_hash"]) for part in parts]
    gone, hashes = pa.array(named.all_doc_ids, pa.string()), set()
    marks = [pc.is_in(table["doc_id"], value_set=gone) for table in tables]
    for table, mark in zip(tables, marks, strict=True):
        hashes |= set(table["text_hash"].filter(mark).to_pylist())
    same = pa.array(sorted(hashes), pa.string())
    stay = [
        table["doc_id"].filter(pc.and_not(pc.is_in(table["text_hash"], value_set=same), mark))
        for table, mark in zip(tables, marks, strict=True)
    ]
    return sorted(doc_id for column in stay for doc_id in column.to_pylist())


def _remaining_blocks(parts: Sequence[Path], named: Named) -> Iterator[np.ndarray]:
    for part, doc_ids in zip(parts, named.doc_ids, strict=True):
        for batch in _without(part / DOCUMENTS_FILE, doc_ids):
            for column in batch.columns:
                yield from column_blocks(column)


def _without(documents: Path, doc_ids: Sequence[str]) -> Iterator[pa.RecordBatch]:
    gone = pa.array(doc_ids, pa.string())
    for batch in read_batches(documents):
        yield batch.filter(pc.invert(pc.is_in(batch["doc_id"], value_set=gone)))


def rejects_to_blank(parts: Sequence[Path], named: Named, slices: Slices) -> list[list[int]]:
    """Places of the rejects of each part that are named, or say one of the slices; ascending."""
    both = zip(parts, named.rejects, strict=True)
    return [sorted({*places, *rejects_that_say(part, slices)}) for part, places in both]


def rejects_that_say(part: Path, slices: Slices) -> list[int]:
    """Places of the part's rejects whose head or detail holds one of the slices."""
    table = read_part(part / REJECTS_FILE, ["detail", "head"])
    rows = (b"\0".join(((row["detail"] or "").encode(), row["head"] or b"")) for row in table.to_pylist())
    return [place for place, row in enumerate(rows) if slices.count_in(np.frombuffer(row, np.uint8))]


def forget_rows(
    part: Path, doc_ids: list[str], rejects: list[int], account: dict[str, Account], facts: dict[str, Any], folder: Path
) -> Outcome:
    """Write documents.parquet without ``doc_ids``, and rejects.parquet without what ``rejects`` say.

    The documents count as dropped while reading, by the reason "takedown", with the bytes of their text: how large
    their records were is not stored. A reject keeps its row: source, locator, reason and size.
    """
    schema = pq.read_schema(part / DOCUMENTS_FILE)
    rows = write_part(folder / DOCUMENTS_FILE, schema, _without(part / DOCUMENTS_FILE, doc_ids))
    table = read_part(part / REJECTS_FILE)
    for name in ("detail", "head"):
        place = table.schema.get_field_index(name)
        kept = np.ones(len(table), np.bool_)
        kept[rejects] = False
        column = pc.if_else(pa.array(kept), table[name], pa.scalar(None, table.schema.field(name).type))
        table = table.set_column(place, table.schema.field(name), column)
    write_part(folder / REJECTS_FILE, table.schema, table.to_batches())
    gone_bytes = _text_bytes(part / DOCUMENTS_FILE) - _text_bytes(folder / DOCUMENTS_FILE)
    return Outcome(rows, _dropped(account, len(doc_ids), gone_bytes), _facts(facts, len(doc_ids), gone_bytes))


def _text_bytes(documents: Path) -> int:
    return sum(pc.sum(pc.binary_length(b["text"])).as_py() or 0 for b in read_batches(documents, ["text"]))


def _dropped(accounts: dict[str, Account], n: int, n_bytes: int) -> dict[str, Account]:
    """The account of the part's one source with ``n`` documents moved from kept to dropped."""
    (source, account), *_ = accounts.items()
    n_bytes = min(n_bytes, account.bytes_kept)
    moved = replace(
        account,
        documents_kept=account.documents_kept - n,
        documents_dropped=account.documents_dropped + n,
        bytes_kept=account.bytes_kept - n_bytes,
        bytes_dropped=account.bytes_dropped + n_bytes,
    )
    return {source: moved}


def _facts(facts: dict[str, Any], n: int, n_bytes: int) -> dict[str, Any]:
    skipped = dict(facts["skipped"])
    skipped[TAKEN_DOWN] = skipped.get(TAKEN_DOWN, 0) + n
    return {**facts, "skipped": dict(sorted(skipped.items())), "text_bytes": facts["text_bytes"] - n_bytes}
