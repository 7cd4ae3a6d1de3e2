"""The review queue: documents that the rules decide only just, for a person to look at.

Here are the queue, which is a query over stored columns, and how near a value stands to its bound. What people
answer is in ``gristmill.filters.decide.decisions``; the page that asks them is ``gristmill.flows.review.page_server``.
"""

from collections.abc import Mapping

import numpy as np
import polars as pl
import pyarrow as pa

from gristmill.corpus.whole_columns import rows_of
from gristmill.filters.decide.evidence import MERGED, Evidence, judge, judgements
from gristmill.filters.decide.rules import Rule

QUEUE = pa.schema(
    [
        pa.field("doc_id", pa.string(), False),
        pa.field("source", pa.string(), False),
        pa.field("domain", pa.string(), False),
        pa.field("lang_id", pa.string()),
        pa.field("verdict", pa.string(), False),  # what the rules say: kept | dropped
        pa.field("rule", pa.string(), False),  # the rule that decides
        pa.field("signal", pa.string(), False),
        pa.field("value", pa.float64(), False),
        pa.field("bound", pa.string(), False),
        pa.field("profile", pa.string(), False),
        pa.field("distance", pa.float64(), False),  # 0 = on the bound, see ``distances``
        pa.field("reason", pa.string(), False),  # margin | uncertain | blocklist
        pa.field("part", pa.int32(), False),  # where the text stands
        pa.field("row", pa.int64(), False),
    ]
)
_COPIED = ("doc_id", "source", "domain", "lang_id", "part", "row")


def queue(evidence: Evidence, rules: Mapping[str, tuple[Rule, ...]], *, margin: float) -> pa.Table:
    """Documents whose verdict would turn if bounds moved by no more than ``margin``.

    A document that passes turns with the nearest of its bounds; one that fails turns only when the farthest of the
    bounds that it breaks has moved. That bound is the rule that decides, and its distance is the document's.
    Merged documents have no place here: a person's keep does not beat a duplicate.

    Parameters
    ----------
    evidence : from ``gristmill.filters.decide.evidence.gather``
    rules : by domain
    margin : greatest distance, 0 or more, see ``distances``

    Returns
    -------
    QUEUE, nearest first, then by doc_id: the same table whatever the documents' order

    Raises
    ------
    UnknownNameError : see ``gristmill.filters.decide.evidence.judge``
    """
    chosen, number, values, distance, failing = _deciding_rules(evidence, rules)
    near = (number >= 0) & (distance <= margin) & (judge(evidence, rules).codes != MERGED)
    at, described = np.flatnonzero(near), pl.DataFrame([_told(rule) for rule in chosen], _TOLD, orient="row")
    found = pl.DataFrame(rows_of(evidence.documents.select(list(_COPIED)), pa.array(at))).hstack(described[number[at]])
    found = found.with_columns(value=values[at], distance=distance[at], fails=failing[at])
    found = found.with_columns(verdict=pl.when("fails").then(pl.lit("dropped")).otherwise(pl.lit("kept")))
    return found.sort("distance", "doc_id").select(QUEUE.names).to_arrow().cast(QUEUE)


_TOLD = ["rule", "signal", "bound", "profile", "reason"]


def _told(rule: Rule) -> tuple[str, ...]:
    return rule.name, rule.signal, rule.bound, rule.profile, reason_of(rule)


def _deciding_rules(
    evidence: Evidence, rules: Mapping[str, tuple[Rule, ...]]
) -> tuple[list[Rule], np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """All rules; of each document the number of the one that decides (-1: none does), its value, its distance, and
    whether it fails. One rule at a time, so that memory is that of a few columns.
    """
    n_docs, chosen = len(evidence.documents), []
    number, values = np.full(n_docs, -1, np.int32), np.full(n_docs, np.nan)
    distance, failing = np.full(n_docs, np.inf), np.zeros(n_docs, bool)
    for rule, rows, measured in judgements(evidence, rules):
        away, fails = distances(rule, measured), rule.fails(measured)
        decides = np.where(failing[rows], fails & (away > distance[rows]), fails | (away < distance[rows]))
        at = rows[decides]
        number[at], values[at], distance[at] = len(chosen), measured[decides], away[decides]
        failing[rows] |= fails
        chosen.append(rule)
    return chosen, number, values, distance, failing


def distances(rule: Rule, values: np.ndarray) -> np.ndarray:
    """How far each value stands from the bound that it breaks, or from the nearest that it meets.

    Relative to the bound (|value - bound| / |bound|, of a bound at 0 the value itself); a classifier's score is a
    probability, so there it is the plain difference; a blocklist's hit is for a person to see (0) whatever its
    count, and no hit leaves no doubt (inf). A value that is no number fails beyond doubt (inf).

    Returns
    -------
    double[n_docs], 0 or more

    >>> distances(Rule("words", "words", at_least=50), np.array([45.0, 50.0, 75.0])).tolist()
    [0.1, 0.0, 0.5]
    """
    fails = rule.fails(values)
    if reason_of(rule) == "blocklist":
        return np.where(fails, 0.0, np.inf)
    distance = np.full(len(values), np.inf)
    for bound, outside in ((rule.at_least, values < rule.at_least), (rule.at_most, values > rule.at_most)):
        if np.isfinite(bound):
            scale = 1.0 if reason_of(rule) == "uncertain" or bound == 0 else abs(bound)
            distance = np.fmin(distance, np.where(fails == outside, np.abs(values - bound) / scale, np.inf))
    return distance


def reason_of(rule: Rule) -> str:
    """Why a document near this rule's bound is in the queue: ``margin``, ``uncertain`` or ``blocklist``.

    >>> reason_of(Rule("toxic", "score_toxicity", at_most=0.5)), reason_of(Rule("words", "words"))
    ('uncertain', 'margin')
    """
    if rule.signal.startswith("blocked_"):
        return "blocklist"
    return "uncertain" if rule.signal.startswith("score_") or rule.signal == "lang_score" else "margin"
