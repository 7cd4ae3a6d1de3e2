"""``gristmill diff``: what changed between two runs, document by document, and why."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from gristmill.corpus.account import to_json
from gristmill.flows.diff.change_groups import ChangeGroup, change_groups, check_explained, count_by
from gristmill.flows.diff.change_reasons import REASONS, reasons_of
from gristmill.flows.diff.changed_documents import KINDS, changed_documents
from gristmill.flows.diff.changed_texts import changed_texts
from gristmill.flows.diff.decided_columns import decided_columns, parts_of
from gristmill.flows.diff.made_differently import recipe_differences
from gristmill.flows.diff.run_figures import figures, listed
from gristmill.flows.diff.turned_rules import Side
from gristmill.flows.inspect.run_evidence import rules_of_run
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.damage import names_damage
from gristmill.flows.pipeline.open_context import read_run


@names_damage
def diff_runs(before: Path, after: Path, samples: int = 10) -> dict[str, Any]:
    """Every document that is not the same in two runs, with every reason that applies.

    Parameters
    ----------
    before, after : run directories that have come as far as decide
    samples : of so many of the largest groups of changes the text of one document is read; no other text is

    Returns
    -------
    before, after (the runs), documents (changed), by_kind, by_reason (``unexplained`` where none applies), by_rule
    (with both bounds): counts, also by source; changes: groups of documents that changed alike, with their doc_ids;
    by_source: accounts of both runs; shares, tokens, plan, card; recipe, inputs and code: what else differs; samples.
    Swapped runs give the mirror image

    Raises
    ------
    StoreError : a run has not decided, or was made by version 0.1.0
    ConservationError : the changes do not explain the difference of the runs' accounts
    """
    contexts = (read_run(before), read_run(after))
    shared = set(parts_of(contexts[0])) & set(parts_of(contexts[1]))
    sides = (_side(contexts[0], shared), _side(contexts[1], shared))
    reasoned = reasons_of(*sides, changed_documents(sides[0].columns, sides[1].columns))
    groups = change_groups(reasoned)
    accounts = [side.context.run.manifest("decide").accounts for side in sides]
    check_explained(groups, *accounts)
    counted = count_by(groups)
    recipes = recipe_differences(*(side.context.run.brief_lock for side in sides))
    return {
        **{name: str(side.context.run.path) for name, side in zip(("before", "after"), sides, strict=True)},
        "documents": sum(group.documents for group in groups),
        "by_kind": _in_order(counted["by_kind"], KINDS),
        "by_reason": _in_order(counted["by_reason"], (*REASONS, "unexplained")),
        "by_rule": [asdict(rule) | _counts(sources) for rule, sources in counted["by_rule"].items()],
        "by_source": {name: to_json(one) for name, one in zip(("before", "after"), accounts, strict=True)},
        **figures(*sides),
        "recipe": listed(recipes),
        "inputs": {source: listed(found) for source, found in reasoned.inputs.items()},
        "code": {stage: listed(found) for stage, found in reasoned.code.items()},
        "samples": changed_texts(*sides, groups, samples),
        "changes": [_plain(group) for group in groups],
    }


def _side(context: RunContext, shared: set[str]) -> Side:
    return Side(context, decided_columns(context, shared), rules_of_run(context))


def _in_order(counted: dict[str, Any], names: Sequence[str] | dict[str, str]) -> dict[str, Any]:
    return {name: _counts(counted[name]) for name in names if name in counted}


def _counts(sources: dict[str, int]) -> dict[str, Any]:
    return {"documents": sum(sources.values()), "by_source": dict(sorted(sources.items()))}


def _plain(group: ChangeGroup) -> dict[str, Any]:
    """Not by ``asdict`` alone, which copies every doc_id by itself: half a second for 100,000."""
    return {**asdict(replace(group, ids=())), "ids": list(group.ids)}
