"""``gristmill explain``: the life of one document, from its file to the rows it stands in."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.corpus.errors import UnknownNameError
from gristmill.corpus.files import canonical_json
from gristmill.corpus.identity import document_id
from gristmill.flows.pipeline.context import Mill, reopen_mill
from gristmill.flows.pipeline.each_part import DOCUMENTS, REJECTS
from gristmill.flows.pipeline.judge import decisions_file
from gristmill.flows.pipeline.signal_tables import measured_files

HEAD_CHARS = 300


def explain_document(run_path: Path, name: str) -> dict[str, Any]:
    """Tell the life of the document with this doc_id, locator, or id of the input.

    Raises
    ------
    UnknownNameError : no document and no reject bears the name
    """
    with reopen_mill(run_path) as mill:
        found = _find_document(mill, name)
        if found is not None:
            return _life(mill, *found)
        rejected = _find_reject(mill, name)
        if rejected is not None:
            return rejected
    raise UnknownNameError("document", name, ["a doc_id (32 hex characters)", "a locator such as file.jsonl:12"])


def _find_document(mill: Mill, name: str) -> tuple[int, int] | None:
    """Part and row of the document, by doc_id, locator, or the id that the input gave it."""
    own_id = canonical_json({"id": name})[1:-1]
    for number, part in enumerate(mill.run.manifest("documents").parts):
        table = pq.read_table(mill.store.folder(part) / DOCUMENTS, columns=["doc_id", "locator", "meta"])
        hit = pc.or_(pc.equal(table["doc_id"], name), pc.equal(table["locator"], name))
        hit = pc.or_(hit, pc.fill_null(pc.match_substring(table["meta"], own_id), False))
        row = pc.index(hit, True).as_py()
        if row >= 0:
            return number, row
    return None


def _find_reject(mill: Mill, name: str) -> dict[str, Any] | None:
    for part in mill.run.manifest("documents").parts:
        for reject in pq.read_table(mill.store.folder(part) / REJECTS).to_pylist():
            doc_id = document_id(reject["source"], reject["locator"])
            if name in (doc_id, reject["locator"]):
                head = (reject.pop("head") or b"").decode("utf-8", "replace")
                stage = {"stage": "documents", "verdict": "rejected", **reject, "head": head[:HEAD_CHARS]}
                return {
                    "doc_id": doc_id,
                    "source": reject["source"],
                    "verdict": "rejected",
                    "stages": [stage],
                } | NOTHING
    return None


NOTHING: dict[str, Any] = {"verdicts": [], "cluster": None, "spans": [], "rows": []}


def _life(mill: Mill, part: int, row: int) -> dict[str, Any]:
    document = _row_of(mill, "documents", DOCUMENTS, part, row)
    doc_id, text = document["doc_id"], document.pop("text")
    verdicts = _rows_where(mill, "decide", "ledger.parquet", doc_id)
    verdict = verdicts[0]["verdict"] if verdicts else "measured"
    stages = [{"stage": "documents", "verdict": "read", **document, "head": text[:HEAD_CHARS]}]
    stages += _measured(mill, part, row)
    stages += _line_edits(mill, part, row, text)
    kept = _rows_where(mill, "edits" if mill.run.has("edits") else "decide", "kept.parquet", doc_id)
    if verdicts:
        rules = [v["rule"] for v in verdicts if v["rule"]]
        stages.append({"stage": "decide", "verdict": verdict, "rules": rules, **_person(mill, document)})
    return {
        "doc_id": doc_id,
        "source": document["source"],
        "verdict": verdict,
        "stages": stages,
        "verdicts": verdicts,
        "cluster": _cluster(mill, doc_id),
        "spans": kept[0]["spans"] if kept else [],
        "rows": _rows_of_document(mill, doc_id, document["domain"]) if kept else [],
    }


def _person(mill: Mill, document: dict[str, Any]) -> dict[str, Any]:
    """What a person decided of the document, and whether it was on this text; nothing where nobody has."""
    from gristmill.filters.decide.decisions import read_decisions

    path = decisions_file(mill)
    said = [row for row in read_decisions(path).to_pylist() if row["doc_id"] == document["doc_id"]] if path else []
    if not said:
        return {}
    told = {name: said[0][name] for name in ("decision", "reviewer", "note")}
    stale = said[0]["text_hash"] not in ("", document["text_hash"])
    return {"person": {**told, "stale": stale}}


def _row_of(mill: Mill, stage: str, name: str, part: int, row: int) -> dict[str, Any]:
    return pq.read_table(mill.file(stage, name, part)).slice(row, 1).to_pylist()[0]


def _measured(mill: Mill, part: int, row: int) -> list[dict[str, Any]]:
    """What each stage measured of the document, a stage after the other."""
    entries: dict[str, dict[str, Any]] = {}
    files = [*measured_files(mill), *([("mentions", "mentions.parquet")] if mill.run.has("mentions") else [])]
    for stage, name in files:
        if stage == "line_edits":
            continue  # shown with the text it cut
        entry = entries.setdefault(stage, {"stage": stage, "verdict": "measured"})
        entry |= _row_of(mill, stage, name, part, row)
    return list(entries.values())


def _line_edits(mill: Mill, part: int, row: int, text: str) -> list[dict[str, Any]]:
    """What line rules cut from the document and why, whether it is kept or not."""
    if not mill.run.has("line_edits"):
        return []
    columns = _row_of(mill, "line_edits", "line_edits.parquet", part, row)
    spans = pq.read_table(mill.file("line_edits", "spans.parquet", part), filters=[("doc_id", "=", columns["doc_id"])])
    data = text.encode()
    cut = [
        span | {"text": data[span["start"] : span["end"]].decode()[:HEAD_CHARS]}
        for spans_of in spans["spans"].to_pylist()
        for span in spans_of
    ]
    return [{"stage": "line_edits", "verdict": "measured", **columns, "cut": cut}]


def _rows_where(mill: Mill, stage: str, name: str, doc_id: str) -> list[dict[str, Any]]:
    if not mill.run.has(stage):
        return []
    return pq.read_table(mill.file(stage, name), filters=[("doc_id", "=", doc_id)]).to_pylist()


def _cluster(mill: Mill, doc_id: str) -> dict[str, Any] | None:
    """The document's cluster and its other members; None when it stands alone."""
    own = _rows_where(mill, "clusters", "clusters.parquet", doc_id)
    if not own or own[0]["size"] == 1:
        return None
    table = pq.read_table(mill.file("clusters", "clusters.parquet"), filters=[("cluster", "=", own[0]["cluster"])])
    return {**own[0], "members": [other for other in table["doc_id"].to_pylist() if other != doc_id]}


def _rows_of_document(mill: Mill, doc_id: str, domain: str) -> list[dict[str, Any]]:
    """Every packed row that holds a piece of the document."""
    return [
        {"stage": stage, "domain": domain, "row": row, **piece}
        for stage in ("shards", "heldout")
        if mill.run.has(stage)
        for row, piece in _pieces(mill.run.path / stage / domain, doc_id)
    ]


def _pieces(folder: Path, doc_id: str) -> list[tuple[int, dict[str, Any]]]:
    found, first = [], 0
    for path in sorted(folder.glob("data-*.arrow")):
        with pa.memory_map(str(path)) as source:
            documents = pa.ipc.open_stream(source).read_all()["documents"].combine_chunks()
        flat = documents.flatten()
        hits = pc.indices_nonzero(pc.equal(flat.field("doc_id"), doc_id)).to_pylist()
        parents = pc.list_parent_indices(documents)
        found += [(first + parents[hit].as_py(), flat[hit].as_py()) for hit in hits]
        first += len(documents)
    return found
