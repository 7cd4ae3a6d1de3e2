"""``gristmill whatif``: the decision again with other bounds or profiles, from stored columns; nothing is written."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from gristmill.corpus.account import Account, Accounts
from gristmill.corpus.errors import BudgetError, RecipeError
from gristmill.filters.decide.budgets import check_budgets
from gristmill.flows.inspect.run_evidence import Rules, gather_run, rules_of_run, signals_read
from gristmill.flows.inspect.settings import with_settings
from gristmill.flows.pipeline.catalogue import known_profiles
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.damage import names_damage
from gristmill.flows.pipeline.deciding import standing_decisions
from gristmill.flows.pipeline.ingest import budgets_of, rejects_of
from gristmill.flows.pipeline.jobs import resolve
from gristmill.flows.pipeline.judge import decisions_file
from gristmill.flows.pipeline.measure_documents import DOCUMENTS_FILE
from gristmill.flows.pipeline.open_context import read_run

if TYPE_CHECKING:
    import numpy as np

    from gristmill.filters.decide.evidence import Evidence
    from gristmill.filters.decide.rules import Rule

MAX_LISTED = 100  # flipped documents that are named; all are counted


@names_damage
def whatif_run(run: Path, sets: Sequence[str] = (), diff: tuple[str, str] | None = None) -> dict[str, Any]:
    """What would change in a run's decision.

    Parameters
    ----------
    run : a run directory that has come as far as clusters
    sets : ``KEY=VALUE``, see ``inspect.settings``; before is the run's recipe, after is the recipe with these
    diff : two profiles in place of ``sets``; each judges every document, whatever the recipe says

    Returns
    -------
    before, after (documents and bytes by verdict), by_source (the same for each source), rules (by domain: those
    that went and came), flipped (counts by new verdict, and the first ``MAX_LISTED`` doc_ids of each), budget
    (None, or the retention budget that would stop the run)

    Raises
    ------
    RecipeError : a key or value that decide does not have, or neither or both of ``sets`` and ``diff``
    UnknownNameError : an unknown profile, rule or signal, or that this run has not measured
    """
    from gristmill.filters.decide.changes import whatif

    if bool(sets) == bool(diff):
        raise RecipeError("give --set KEY=VALUE, any number of times, or --diff PROFILE_A PROFILE_B")
    context = read_run(run)
    before, after = _two_profiles(context, *diff) if diff else (rules_of_run(context), rules_with(context, sets))
    evidence = gather_run(context, signals_read(context, before, after))
    answer = whatif(evidence, before, after, people_on(context, evidence))
    return {
        "run": str(context.run.path),
        "before": asdict(_total(answer.before)),
        "after": asdict(_total(answer.after)),
        "by_source": {
            source: {"before": asdict(account), "after": asdict(answer.after[source])}
            for source, account in answer.before.items()
        },
        "rules": _changed_rules(before, after),
        "flipped": _flipped(answer.flipped),
        "budget": _broken_budget(context, answer.after),
    }


def people_on(context: RunContext, evidence: "Evidence") -> "np.ndarray | None":
    """What people decided on the review page, document by document, where the recipe honours it."""
    from gristmill.filters.decide.evidence import align_decisions

    path = decisions_file(context.recipe)
    if path is None:
        return None
    decided, _ = standing_decisions(path, resolve(context.store, context.refs("documents", DOCUMENTS_FILE)))
    return align_decisions(evidence.documents["doc_id"], decided)


def rules_with(context: RunContext, sets: Sequence[str]) -> Rules:
    """Each domain's rules under the recipe with other settings."""
    return rules_of_run(context.with_recipe(with_settings(context.recipe, sets)))


def _two_profiles(context: RunContext, first: str, second: str) -> tuple[Rules, Rules]:
    from gristmill.filters.decide.rules import resolve

    known = known_profiles(context.recipe)
    sides = [resolve([name], {}, known, ()) for name in (first, second)]
    return dict.fromkeys(context.recipe.domains, sides[0]), dict.fromkeys(context.recipe.domains, sides[1])


def _total(accounts: Accounts) -> Account:
    return sum(accounts.values(), Account())


def _changed_rules(before: Rules, after: Rules) -> dict[str, dict[str, list[str]]]:
    """Of each domain whose rules differ: those that went and those that came."""
    return {
        domain: {
            "went": [_words(rule) for rule in rules if rule not in after[domain]],
            "came": [_words(rule) for rule in after[domain] if rule not in rules],
        }
        for domain, rules in before.items()
        if set(rules) != set(after[domain])
    }


def _words(rule: "Rule") -> str:
    return f"{rule.name} {rule.bound} ({rule.profile})"


def _flipped(table: pa.Table) -> dict[str, Any]:
    frame = pl.DataFrame(table)
    sides = {verdict: frame.filter(pl.col("after") == verdict)["doc_id"] for verdict in ("kept", "dropped", "merged")}
    counts = {f"to_{verdict}": len(ids) for verdict, ids in sides.items()}
    return {"counts": counts, **{f"to_{verdict}": ids.head(MAX_LISTED).to_list() for verdict, ids in sides.items()}}


def _broken_budget(context: RunContext, accounts: Accounts) -> str | None:
    try:
        check_budgets(accounts, budgets_of(context.recipe), rejects=rejects_of(context.run))
    except BudgetError as error:
        return str(error)
    return None
