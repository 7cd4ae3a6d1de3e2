"""Rules that a changed document fails in one run and not in the other, with the bounds of both."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from gristmill.filters.decide.rules import Rule
from gristmill.flows.diff.decided_columns import DecidedColumns
from gristmill.flows.inspect.run_evidence import Rules, read_signal
from gristmill.flows.pipeline.context import RunContext

RULE = ["rule", "signal"]
REVIEW = "review"  # the rule and signal that stand in the ledger for a person


@dataclass(frozen=True, slots=True)
class Side:
    """One run of the two."""

    context: RunContext
    columns: DecidedColumns
    rules: Rules  # by domain


def turned_rules(before: Side, after: Side, changed: pl.DataFrame) -> pl.DataFrame:
    """One row for each changed document of both runs and rule that it fails in one of them alone.

    Returns
    -------
    n (row of ``changed``), rule, signal, domain, at_a, at_b, before and after (the bound that judges the document in
    each run, null: none does), moved (the two runs judge documents of this domain and language by other bounds)
    """
    both = changed.with_row_index("n").filter(pl.col("at_a").is_not_null() & pl.col("at_b").is_not_null())
    failed = [_failed(side, both, name) for side, name in ((before, "a"), (after, "b"))]
    rows = [one.join(other, on=["n", *RULE], how="anti") for one, other in (failed, failed[::-1])]
    turned = pl.concat(rows).join(
        both.select("n", *(f"{c}_{s}" for c in ("at", "domain", "lang_id") for s in "ab")), on="n"
    )
    bounds = [_bounds(side, turned) for side in (before, after)]
    for run, table in zip("ab", bounds, strict=True):  # each run's bound for the document as each run has it
        for place in "ab":
            keys = [f"domain_{place}", f"lang_id_{place}"]
            named = table.rename({"domain": keys[0], "lang_id": keys[1], "bound": f"{run}_at_{place}"})
            turned = turned.join(named, on=[*keys, *RULE], how="left", nulls_equal=True)
    person = pl.col("rule") == REVIEW
    moved = pl.any_horizontal(pl.col(f"a_at_{s}").ne_missing(pl.col(f"b_at_{s}")) for s in "ab") | person
    sides = {"before": ("a_at_a", "in_a"), "after": ("b_at_b", "in_b")}
    shown = {name: pl.when(person).then(pl.col(own)).otherwise(pl.col(bound)) for name, (bound, own) in sides.items()}
    return turned.with_columns(moved=moved, **shown).select("n", *RULE, "at_a", "at_b", "before", "after", "moved")


def _failed(side: Side, both: pl.DataFrame, name: str) -> pl.DataFrame:
    """n, rule, signal of what changed documents fail, and the bound that the ledger names, in the column of its run."""
    at = both.select("n", pl.col(f"at_{name}").alias("at"))
    failed = side.columns.failures.join(at, on="at").unique(["n", *RULE])
    bound = {f"in_{run}": pl.col("bound") if run == name else pl.lit(None, pl.String) for run in "ab"}
    return failed.select("n", *RULE, **bound)


def _bounds(side: Side, turned: pl.DataFrame) -> pl.DataFrame:
    """domain, lang_id, rule, signal, bound: all bounds of rules of one name that judge such documents, as one text."""
    places = pl.concat(turned.select(domain=f"domain_{s}", lang_id=f"lang_id_{s}") for s in "ab").unique()
    rows = [
        (domain, language, rule.name, rule.signal, bound_text(rule))
        for domain, language in places.iter_rows()
        for rule in side.rules.get(domain, ())
        if rule.judges(language)
    ]
    schema = dict.fromkeys(["domain", "lang_id", *RULE, "bound"], pl.String)
    frame = pl.DataFrame(rows, schema, orient="row")
    return frame.group_by("domain", "lang_id", *RULE).agg(pl.col("bound").unique().sort().str.join("; "))


def bound_text(rule: Rule) -> str:
    """The bounds in full where six digits do not tell them from others.

    >>> bound_text(Rule("words", "words", at_least=50)), bound_text(Rule("chars", "chars", at_most=1234567.5))
    ('>= 50', '-inf to 1234567.5')
    """
    bounds = (rule.at_least, rule.at_most)
    return rule.bound if all(float(f"{one:g}") == one for one in bounds) else f"{bounds[0]!r} to {bounds[1]!r}"


def measured_again(before: Side, after: Side, turned: pl.DataFrame, signals: set[str]) -> pl.Series:
    """bool[n_turned]: the value of the rule's signal is another in the two runs; only for ``signals``, else false."""
    again = np.zeros(len(turned), bool)
    for signal in sorted(signals & set(turned["signal"])):
        values = _values(before, signal, turned["at_a"]), _values(after, signal, turned["at_b"])
        if values[0] is not None and values[1] is not None:
            again |= ((turned["signal"] == signal) & values[0].ne_missing(values[1])).to_numpy()
    return pl.Series("again", again)


def _values(side: Side, signal: str, at: pl.Series) -> pl.Series | None:
    values = read_signal(side.context, signal)
    return None if values is None else pl.Series(values).gather(at)
