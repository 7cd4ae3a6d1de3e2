"""The gate before a hand-over: no document that the recipe forbids passes it, however it came to be kept.

Decide withholds such documents, so that the gate finds none unless a table was changed or a stage is at fault; it looks
at the kept rows and at what was packed, not at what decide says of itself.
"""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from gristmill.corpus.errors import PolicyError
from gristmill.corpus.tables import read_part
from gristmill.corpus.use_policy import UsePolicy
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.kept import kept_by_part
from gristmill.flows.pipeline.measure_documents import DOCUMENTS_FILE


def refuse_forbidden(context: RunContext) -> None:
    """Look through the kept documents, and through the rows once there are any.

    Called before the tokenizer, the tokens, the plan and every export. Cost: nothing where the recipe forbids nothing.

    Raises
    ------
    PolicyError : names sources or licences, with the number of documents
    """
    policy = context.recipe.use_policy
    if policy == UsePolicy():
        return
    found = [*_of_kept(context, policy), *_of_rows(context, policy)]
    if found:
        raise PolicyError(
            f"{context.run.path}: {'; '.join(found)}. Nothing is handed over. Decide withholds "
            "such documents, so that a table was changed or a stage is at fault: `gristmill verify` looks for which"
        )


def _of_kept(context: RunContext, policy: UsePolicy) -> Iterator[str]:
    parts = kept_by_part(context)
    kept = pa.concat_tables(part.select(["source", "heldout"]) for part in parts)
    for name in policy.blocked:
        if n := _count(pc.equal(kept["source"], name)):
            yield f"{n} documents of the blocked source {name!r} are kept (sources.{name}.use)"
    for name in policy.evaluate:
        if n := _count(pc.and_not(pc.equal(kept["source"], name), kept["heldout"])):
            yield f"{n} documents of the evaluation source {name!r} are not held out (sources.{name}.use)"
    for name, n in _licenses(context, parts, policy).items():
        yield f"{n} documents under the forbidden licence {name!r} are kept (handoff.forbid_licenses)"


def _licenses(context: RunContext, parts: list[pa.Table], policy: UsePolicy) -> dict[str, int]:
    """Kept documents by forbidden licence."""
    found: dict[str, int] = {}
    for number, rows in enumerate(parts):
        if policy.forbid_licenses and rows.num_rows:
            path = context.file("documents", DOCUMENTS_FILE, number)
            names = read_part(path, ["license"])["license"].take(rows["row"])
            for one in pc.value_counts(names).to_pylist():
                if policy.forbids(one["values"]):
                    found[one["values"]] = found.get(one["values"], 0) + one["counts"]
    return found


def _of_rows(context: RunContext, policy: UsePolicy) -> Iterator[str]:
    for stage, forbidden in (("shards", {*policy.blocked, *policy.evaluate}), ("heldout", set(policy.blocked))):
        accounts = context.run.manifest(stage).accounts if context.run.has(stage) else {}
        for name in sorted(forbidden & {source for source, one in accounts.items() if one.documents_in}):
            n = accounts[name].documents_in
            yield f"the rows of {stage} hold {n} documents of the source {name!r} (sources.{name}.use)"


def _count(flags: pa.ChunkedArray) -> int:
    return pc.sum(flags).as_py() or 0
