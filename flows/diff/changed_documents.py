"""Documents of two runs joined by doc_id, and those that are not the same in both."""

from collections.abc import Sequence

import numpy as np
import polars as pl
import xxhash

from gristmill.flows.diff.decided_columns import DecidedColumns

ABSENT = "absent"  # in place of a verdict, where a run does not have the document
KINDS = {  # the first that applies is a document's kind
    "added": "only the second run has it",
    "removed": "only the first run has it",
    "edited": "its text is another",
    "verdict": "kept, dropped or merged in one run, something else in the other",
    "grounds": "the same verdict, but other rules failed or another document won",
    "language": "all is the same but its language",
    "cut": "kept in both, but other bytes are cut or masked",
}
_SIDES = ("verdict", "domain", "lang_id", "other", "bytes", "cut")


def changed_documents(before: DecidedColumns, after: DecidedColumns) -> pl.DataFrame:
    """Every document that is not the same in both runs.

    Returns
    -------
    doc_id, source, kind (of ``KINDS``), at_a and at_b (rows in each run's documents, null where it lacks it), recut
    (its spans are others), and verdict, domain, lang_id, other, bytes and cut of each run under ``_a`` and ``_b``;
    in no order
    """
    paired = _pair(before, after)
    sides = [_side(columns, paired[f"at_{name}"], name) for columns, name in ((before, "a"), (after, "b"))]
    joined = pl.concat([paired, *sides], how="horizontal").lazy()  # only columns that are shown are filtered
    joined = joined.with_columns(_kind(), recut=_recut()).filter(pl.col("kind").is_not_null())
    shown = [f"{column}_{name}" for name in "ab" for column in ("at", *_SIDES)]
    source = pl.coalesce("source_a", "source_b").alias("source")
    return joined.select("doc_id", source, "kind", "recut", *shown).collect()


def _pair(before: DecidedColumns, after: DecidedColumns) -> pl.DataFrame:
    """doc_id, at_a, at_b of every document of either run.

    Parts that both runs have are the same rows, most of them on most nights: only documents of others are joined.
    """
    shared = [digest for digest in before.parts if digest in set(after.parts)]
    (same_a, other_a), (same_b, other_b) = (_places(side, shared) for side in (before, after))
    same = pl.DataFrame({"doc_id": before.documents["doc_id"].gather(same_a), "at_a": same_a, "at_b": same_b})
    others = [
        pl.DataFrame({"doc_id": side.documents["doc_id"].gather(at), name: at})
        for side, at, name in ((before, other_a, "at_a"), (after, other_b, "at_b"))
    ]
    joined = others[0].join(others[1], on="doc_id", how="full", coalesce=True)
    return pl.concat([same, joined.select(same.columns)])


def _places(side: DecidedColumns, shared: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the documents in the ``shared`` parts, in that order, and all other rows; uint32."""
    ends = np.searchsorted(side.documents["part"].to_numpy(), np.arange(len(side.parts) + 1)).tolist()
    rows = {digest: np.arange(*ends[n : n + 2], dtype=np.uint32) for n, digest in enumerate(side.parts)}
    apart, none = rows.keys() - set(shared), np.empty(0, np.uint32)
    found = ([rows[one] for one in shared], [rows[one] for one in side.parts if one in apart])
    return np.concatenate([none, *found[0]]), np.concatenate([none, *found[1]])


def _side(columns: DecidedColumns, at: pl.Series, name: str) -> pl.DataFrame:
    """The columns of one run in the order of the pairs; null where it lacks the document."""
    failed = pl.Series("failed", _rule_sums(columns))
    wanted = columns.documents.select("source", "text_hash", "spans", *_SIDES).hstack([failed])
    frame = wanted if at.null_count() == 0 and _ascends(at, len(wanted)) else wanted[at.cast(pl.Int64)]
    frame = frame.with_columns(pl.col("verdict").fill_null(ABSENT))
    return frame.rename(lambda column: f"{column}_{name}")


def _ascends(at: pl.Series, n_rows: int) -> bool:
    return len(at) == n_rows and bool((at.to_numpy() == np.arange(n_rows)).all())


def _rule_sums(columns: DecidedColumns) -> np.ndarray:
    """uint64[n_docs]: the sum of the hashes of all rules that a document fails; that two sets share it is 1 in 2^64."""
    failures = columns.failures
    named = failures.select(pl.concat_str("rule", "signal", separator="\x1f").alias("name"))["name"]
    names = named.unique().sort()
    hashes = np.array([xxhash.xxh3_64_intdigest(name.encode()) for name in names], np.uint64)
    sums = np.zeros(len(columns.documents), np.uint64)
    if len(names):
        each = named.replace_strict(names, pl.Series(range(len(names)), dtype=pl.UInt32)).to_numpy()
        np.add.at(sums, failures["at"].to_numpy(), hashes[each])
    return sums


def _differs(column: str) -> pl.Expr:
    return pl.col(f"{column}_a").ne_missing(pl.col(f"{column}_b"))


def _recut() -> pl.Expr:
    """Of an edited text the places move, so the bytes decide."""
    kept = (pl.col("verdict_a") == "kept") & (pl.col("verdict_b") == "kept")
    return kept & pl.when(_differs("text_hash")).then(_differs("cut")).otherwise(_differs("spans"))


def _kind() -> pl.Expr:
    tests = {
        "added": pl.col("at_a").is_null(),
        "removed": pl.col("at_b").is_null(),
        "edited": _differs("text_hash"),
        "verdict": _differs("verdict"),
        "grounds": _differs("failed") | _differs("other"),
        "language": _differs("lang_id"),
        "cut": _recut(),
    }
    chosen = [pl.when(test).then(pl.lit(kind)) for kind, test in tests.items()]
    return pl.coalesce(chosen).alias("kind")
