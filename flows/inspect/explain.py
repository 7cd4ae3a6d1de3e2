"""``gristmill explain``: the history of one document, from its file to the rows it stands in."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.corpus.errors import AmbiguousNameError, UnknownNameError
from gristmill.corpus.files import canonical_json
from gristmill.corpus.identity import document_id
from gristmill.corpus.span_tables import MASK
from gristmill.corpus.tables import CHECKED
from gristmill.flows.inspect.document_steps import batch_rows_of, pieces_of, plan_of, steps_of
from gristmill.flows.inspect.id_prefixes import is_prefix, own_ids
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.damage import names_damage
from gristmill.flows.pipeline.judge import decisions_file
from gristmill.flows.pipeline.measure_documents import DOCUMENTS_FILE, REJECTS_FILE
from gristmill.flows.pipeline.open_context import read_run, stages_of_run
from gristmill.handoff.piece_index import FOLDER
from gristmill.handoff.reader import ShardReader

MAX_LIKE = 8  # locators that a wrong name is compared with
HEAD_CHARS = 300


@names_damage
def explain_document(run_path: Path, name: str) -> dict[str, Any]:
    """Tell the history of the document with this doc_id, locator, or id of the input; a beginning of a doc_id will do.

    Raises
    ------
    AmbiguousNameError : several doc_ids begin with the name, or several documents bear it
    UnknownNameError : no document and no reject bears the name
    """
    context = read_run(run_path, first_format=True)
    found = _find_document(context, name)
    if found is not None:
        return _life(context, *found)
    rejected = _find_reject(context, name)
    if rejected is not None:
        return rejected
    known = _ending_so(context, name) or ["a doc_id (32 hex characters)", "a locator such as file.jsonl:12"]
    raise UnknownNameError("document", name, known)


def _ending_so(context: RunContext, name: str) -> list[str]:
    """The first locators that end like this: of a file that is named without its folder."""
    found: list[str] = []
    for part in context.run.manifest("documents").parts:
        table = pq.read_table(context.store.folder(part) / DOCUMENTS_FILE, columns=["locator"], **CHECKED)
        found += table["locator"].filter(pc.ends_with(table["locator"], f"/{name}"))[:MAX_LIKE].to_pylist()
        if len(found) >= MAX_LIKE:
            break
    return found[:MAX_LIKE]


def _find_document(context: RunContext, name: str) -> tuple[int, int] | None:
    """Part and row of the document, by doc_id, locator, or the id that the input gave it; else by how doc_id begins."""
    bear: list[tuple[int, int, str]] = []
    begin: list[tuple[int, int, str]] = []
    for number, part in enumerate(context.run.manifest("documents").parts):
        table = pq.read_table(
            context.store.folder(part) / DOCUMENTS_FILE, columns=["doc_id", "locator", "meta"], **CHECKED
        )
        row = pc.index(table["doc_id"], name).as_py()
        if row >= 0:
            return number, row
        rows = _rows_that_bear(table, name)
        bear += [(number, row, table["doc_id"][row].as_py()) for row in rows]
        if is_prefix(name):
            rows = pc.indices_nonzero(pc.starts_with(table["doc_id"], name)).to_pylist()
            begin += [(number, row, table["doc_id"][row].as_py()) for row in rows]
    if len(bear) > 1:
        raise AmbiguousNameError("document", name, [doc_id for _, _, doc_id in bear], shared=True)
    if len(begin) > 1 and not bear:
        raise AmbiguousNameError("document", name, [doc_id for _, _, doc_id in begin])
    return (bear or begin)[0][:2] if bear or begin else None


def _rows_that_bear(table: pa.Table, name: str) -> list[int]:
    """Rows of the documents with this locator or this id of the input; two files may give the same id."""
    spelled = canonical_json(name)[1:-1]  # only meta that holds it is parsed
    maybe = pc.indices_nonzero(pc.fill_null(pc.match_substring(table["meta"], spelled), False))
    own = maybe.filter(pc.fill_null(pc.equal(own_ids(table["meta"].take(maybe)), name), False))
    located = pc.indices_nonzero(pc.equal(table["locator"], name))
    return sorted({*own.to_pylist(), *located.to_pylist()})


def _find_reject(context: RunContext, name: str) -> dict[str, Any] | None:
    for part in context.run.manifest("documents").parts:
        for reject in pq.read_table(context.store.folder(part) / REJECTS_FILE, **CHECKED).to_pylist():
            doc_id = document_id(reject["source"], reject["locator"])
            if name in (doc_id, reject["locator"]) or (is_prefix(name) and doc_id.startswith(name)):
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


def _life(context: RunContext, part: int, row: int) -> dict[str, Any]:
    document = _row_of(context, "documents", DOCUMENTS_FILE, part, row)
    doc_id, text = document["doc_id"], document.pop("text")
    verdicts = _rows_where(context, "decide", "ledger.parquet", doc_id)
    verdict = verdicts[0]["verdict"] if verdicts else "measured"
    stages = [{"stage": "documents", "verdict": "read", **document, "head": text[:HEAD_CHARS]}]
    stages += _measured(context, part, row, doc_id, text)
    kept = _rows_where(context, "edits" if context.run.has("edits") else "decide", "kept.parquet", doc_id)
    if verdicts:
        rules = [v["rule"] for v in verdicts if v["rule"]]
        stages.append({"stage": "decide", "verdict": verdict, "rules": rules, **_person(context, document)})
    rows = _rows_of_document(context, doc_id, document["domain"]) if kept else []
    if verdict == "kept" and not rows and context.run.has("heldout"):
        why = "cuts left no text, or no answer to learn; no row holds it"
        stages.append({"stage": "tokens", "verdict": "emptied", "why": why})
    return {
        "doc_id": doc_id,
        "source": document["source"],
        "verdict": verdict,
        "stages": stages,
        "verdicts": verdicts,
        "cluster": _cluster(context, doc_id),
        "spans": kept[0]["spans"] if kept else [],
        "rows": rows,
    }


def _person(context: RunContext, document: dict[str, Any]) -> dict[str, Any]:
    """What a person decided of the document, and whether it was on this text; empty without decisions."""
    from gristmill.filters.decide.decisions import read_decisions

    path = decisions_file(context.recipe)
    decided = [row for row in read_decisions(path).to_pylist() if row["doc_id"] == document["doc_id"]] if path else []
    if not decided:
        return {}
    shown = {name: decided[0][name] for name in ("decision", "reviewer", "note")}
    stale = decided[0]["text_hash"] not in ("", document["text_hash"])
    return {"person": {**shown, "stale": stale}}


def _row_of(context: RunContext, stage: str, name: str, part: int, row: int) -> dict[str, Any]:
    return pq.read_table(context.file(stage, name, part), **CHECKED).slice(row, 1).to_pylist()[0]


def _measured(context: RunContext, part: int, row: int, doc_id: str, text: str) -> Iterator[dict[str, Any]]:
    """What each stage measured of the document and found in it, a stage after the other."""
    for stage in stages_of_run(context.run).stages:
        if stage.by_part and (stage.table or stage.spans) and context.run.has(stage.name):
            found = {"stage": stage.name, "verdict": "measured", "doc_id": doc_id}
            for name in (stage.table, *stage.aligned) if stage.table else stage.aligned:
                found |= _row_of(context, stage.name, name, part, row)
            yield found | ({"cut": _spans(context, stage.name, part, doc_id, text)} if stage.spans else {})


def _spans(context: RunContext, stage: str, part: int, doc_id: str, text: str) -> list[dict[str, Any]]:
    """What a stage cuts from the document and why, whether it is kept or not; what it masks is not shown."""
    spans = pq.read_table(context.file(stage, "spans.parquet", part), filters=[("doc_id", "=", doc_id)], **CHECKED)[
        "spans"
    ]
    data = text.encode()
    return [
        span if span["reason"].startswith(MASK) else span | {"text": _cut_text(data, span)}
        for spans_of in spans.to_pylist()
        for span in spans_of
    ]


def _cut_text(data: bytes, span: dict[str, Any]) -> str:
    return data[span["start"] : span["end"]].decode()[:HEAD_CHARS]


def _rows_where(context: RunContext, stage: str, name: str, doc_id: str) -> list[dict[str, Any]]:
    if not context.run.has(stage):
        return []
    return pq.read_table(context.file(stage, name), filters=[("doc_id", "=", doc_id)], **CHECKED).to_pylist()


def _cluster(context: RunContext, doc_id: str) -> dict[str, Any] | None:
    """The document's cluster and its other members; None when it stands alone."""
    own = _rows_where(context, "clusters", "clusters.parquet", doc_id)
    if not own or own[0]["size"] == 1:
        return None
    table = pq.read_table(
        context.file("clusters", "clusters.parquet"), filters=[("cluster", "=", own[0]["cluster"])], **CHECKED
    )
    return {**own[0], "members": [other for other in table["doc_id"].to_pylist() if other != doc_id]}


def _rows_of_document(context: RunContext, doc_id: str, domain: str) -> list[dict[str, Any]]:
    """Every packed row that holds a piece of the document; of training rows also the steps that draw it."""
    run = context.run
    heldout = _walked(run.path / "heldout" / domain, doc_id) if run.has("heldout") else []
    if (run.path / "plan" / FOLDER).is_dir():
        trained = _indexed(context, doc_id)
    else:  # a run of version 0.1.0, or one that has not come so far
        trained = _walked(run.path / "shards" / domain, doc_id) if run.has("shards") else []
    found = [("shards", row, piece) for row, piece in trained] + [("heldout", row, piece) for row, piece in heldout]
    return [{"stage": stage, "domain": domain, "row": row, **piece} for stage, row, piece in found]


def _indexed(context: RunContext, doc_id: str) -> list[tuple[int, dict[str, Any]]]:
    """Row and place of each piece, with the steps that draw it, from the index of pieces and the plan."""
    run = context.run.path
    found = pieces_of(run, context.recipe.domains, doc_id)
    if found is None:
        return []
    steps: dict[tuple[int, int], list[dict[str, Any]]] = defaultdict(list)
    for one in steps_of(plan_of(run), found, batch_rows_of(context.recipe)):
        steps[one["row"], one["slice"]].append({name: one[name] for name in ("step", "sample", "epoch")})
    rows = ShardReader(run / "shards" / found.domain).documents(found.pieces.row)
    pieces = zip(found.pieces.row.tolist(), found.pieces.slice.tolist(), rows, strict=True)
    return [(row, {**documents[place], "steps": steps[row, place]}) for row, place, documents in pieces]


def _walked(folder: Path, doc_id: str) -> list[tuple[int, dict[str, Any]]]:
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
