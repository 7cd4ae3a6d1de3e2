"""What people decided of single documents: an append-only file, one JSON object per line, of which the last one wins.

A line is ``{"doc_id", "decision": "keep" | "drop" | "withdraw", "rules", "reviewer", "note", "text_hash"}``; ``rules``
is the key of the rule set that the person saw, ``text_hash`` names the text. ``filters.decide.verdicts`` honours
them: a keep beats every rule, but no duplicate; a drop beats all. After a withdraw the document is undecided.
A decision on another text than the document has now is stale: it does not apply, and is counted. One without a
text_hash, written by hand, fits any text.
"""

import errno
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.corpus.errors import SourceError
from gristmill.corpus.files import canonical_json, content_key, fsync_path
from gristmill.filters.decide.rules import Rule

DECISIONS = pa.schema(
    [pa.field(name, pa.string(), False) for name in ("doc_id", "decision", "rules", "reviewer", "note", "text_hash")]
)


@dataclass(frozen=True, slots=True)
class Decided:
    """One person's word on one document."""

    doc_id: str
    decision: str  # keep | drop | withdraw
    rules: str = ""  # ``rules_key`` of what they saw
    reviewer: str = ""
    note: str = ""
    text_hash: str = ""  # of the text that they read; "" fits any


def append_decision(path: Path, decided: Decided) -> None:
    """Add one line, on the disk before this returns; the file and its folder are made when missing.

    One ``write`` to a file opened for appending: two pages may share a file.

    Raises
    ------
    OSError : the disk is full; a line that was written in part is named by ``read_decisions``
    """
    line, is_new = (canonical_json(asdict(decided)) + "\n").encode(), not path.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        if os.write(handle, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        os.fsync(handle)
    finally:
        os.close(handle)
    if is_new:
        fsync_path(path.parent)


def read_decisions(path: Path) -> pa.Table:
    """The decisions in force.

    Returns
    -------
    DECISIONS: the last line of each document, by doc_id, unless it withdraws; empty when there is no file yet

    Raises
    ------
    SourceError : a line is no decision; names the file and the line
    """
    lines = path.read_text(encoding="utf-8-sig", errors="replace").split("\n") if path.exists() else []
    latest = {
        one.doc_id: one for number, line in enumerate(lines, 1) if line.strip() for one in [_parse(path, number, line)]
    }
    return pa.Table.from_pylist(
        [asdict(latest[doc_id]) for doc_id in sorted(latest) if latest[doc_id].decision != "withdraw"], DECISIONS
    )


def split_stale(decisions: pa.Table, texts: pa.Table) -> tuple[pa.Table, pa.Table]:
    """The decisions that apply, and those made on another text than the document has now.

    Parameters
    ----------
    decisions : from ``read_decisions``
    texts : doc_id and text_hash; decisions on documents that are not there apply to nothing, and are no mistake

    >>> decided = pa.Table.from_pylist([asdict(Decided("d1", "keep", text_hash="a")), asdict(Decided("d2", "drop"))])
    >>> found = split_stale(decided, pa.table({"doc_id": ["d1", "d2"], "text_hash": ["b", "c"]}))
    >>> [table["doc_id"].to_pylist() for table in found]
    [['d2'], ['d1']]
    """
    now = pl.DataFrame(texts.select(["doc_id", "text_hash"])).rename({"text_hash": "now"})
    joined = pl.DataFrame(decisions).join(now, on="doc_id", how="left", maintain_order="left")
    stale = ((joined["text_hash"] != "") & (joined["text_hash"] != joined["now"])).fill_null(False).to_arrow()
    return decisions.filter(pc.invert(stale)), decisions.filter(stale)


def _parse(path: Path, number: int, line: str) -> Decided:
    try:
        given = json.loads(line)
    except ValueError:
        given = None
    fields = DECISIONS.names
    if (
        not isinstance(given, dict)
        or not {"doc_id", "decision"} <= given.keys() <= set(fields)
        or not all(isinstance(value, str) for value in given.values())
        or given["decision"] not in ("keep", "drop", "withdraw")
    ):
        raise SourceError(
            f"{path}:{number}: not a decision. Expected a JSON object with the texts doc_id, decision "
            f'("keep", "drop" or "withdraw") and at most {", ".join(fields[2:])}. Mend or delete the line, '
            "or set decide.decisions"
        )
    return Decided(**given)


def rules_key(rules: Mapping[str, Sequence[Rule]]) -> str:
    """32 hex characters that name a rule set: the same rules, the same key."""
    return content_key({domain: [_plain(rule) for rule in chosen] for domain, chosen in rules.items()})


def _plain(rule: Rule) -> dict[str, Any]:
    return asdict(rule) | {"at_least": str(rule.at_least), "at_most": str(rule.at_most)}  # JSON has no infinities


def count_reviewed(ledger: pa.Table) -> dict[str, int]:
    """For the card: documents that stand in the ledger by a person's keep, and by a person's drop.

    A document that a person keeps and that loses to a duplicate counts as merged, not here.
    """
    frame = pl.DataFrame(ledger.select(["rule", "bound"])).filter(pl.col("rule") == "review")
    return {decision: int((frame["bound"] == decision).sum()) for decision in ("keep", "drop")}
