"""The order of stages, once: what ``run`` does, what ``--until`` may name."""

from collections.abc import Callable
from typing import Any

from gristmill.corpus.errors import UnknownNameError
from gristmill.flows.pipeline.assemble import encode, learn_tokenizer, pack, plan_mixture
from gristmill.flows.pipeline.context import Mill
from gristmill.flows.pipeline.edits import cut_lines, cut_substrings, edit
from gristmill.flows.pipeline.ingest import identify_language, ingest, link_mentions, measure_signals, sign
from gristmill.flows.pipeline.judge import cluster, decide
from gristmill.flows.pipeline.publish import publish_card, train_model
from gristmill.flows.pipeline.screen import (
    classify,
    compress,
    edit_lines,
    find_contamination,
    match_blocklist,
    refer,
    scan_pii,
)

StageFunction = Callable[[Mill], Any]

REFINE: dict[str, StageFunction] = {
    "documents": ingest,  # raw files -> documents, rejects
    "signals": measure_signals,  # a number a document and signal
    "language": identify_language,
    "signatures": sign,  # MinHash
    "mentions": link_mentions,  # entities, and the triples that join them
    "line_edits": edit_lines,  # lines that published rules cut, as spans
    "pii": scan_pii,
    "blocklist": match_blocklist,
    "contamination": find_contamination,
    "classifiers": classify,
    "references": refer,  # cross-entropy against fitted n-grams
    "compression": compress,
    "clusters": cluster,  # exact and verified near duplicates
    "decide": decide,  # keep, drop, merge; the ledger
    "lines": cut_lines,  # repeated lines or paragraphs, as spans
    "substrings": cut_substrings,
    "edits": edit,  # all spans of a document in one list
    "tokenizer": learn_tokenizer,
    "tokens": encode,
    "shards": pack,  # packed rows, and the held-out ones
    "plan": plan_mixture,  # the exact order of rows
}
PUBLISH: dict[str, StageFunction] = {"train": train_model, "card": publish_card}
STAGES = {**REFINE, **PUBLISH}


def stages_until(until: str | None) -> list[str]:
    """Names of the stages to run, in order, up to and with ``until``.

    >>> stages_until("signals")
    ['documents', 'signals']
    """
    names = list(STAGES)
    if until is None:
        return names
    if until not in STAGES:
        raise UnknownNameError("stage", until, names)
    return names[: names.index(until) + 1]


def run_stages(mill: Mill, until: str | None = None) -> None:
    """Run the stages one after the other in this process, without Prefect."""
    for name in stages_until(until):
        STAGES[name](mill)
