"""What stages need of [mixing.order], [mixing.upsample], [knowledge.quotas]: orders, and what weights are made of."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gristmill.corpus.errors import UnknownNameError
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.jobs import Ref
from gristmill.flows.pipeline.recipe import Recipe

if TYPE_CHECKING:
    from gristmill.filters.decide.quotas import Quotas
    from gristmill.filters.decide.weights import Curve
    from gristmill.tokenizer.row_buckets import RowOrder


def weighted_domains(recipe: Recipe) -> frozenset[str]:
    """Domains whose kept documents may have a weight other than 1: with quotas, all of them."""
    has_quotas = recipe.knowledge is not None and recipe.knowledge.quotas
    return frozenset(recipe.domains if has_quotas else recipe.mixing.upsample)


def curves_of(recipe: Recipe) -> "dict[str, Curve]":
    """The curves of [mixing.upsample], by domain."""
    from gristmill.filters.decide.weights import Curve

    return {name: Curve(one.by, tuple(one.curve)) for name, one in sorted(recipe.mixing.upsample.items())}


def quotas_of(recipe: Recipe) -> "Quotas | None":
    """The quotas of [knowledge.quotas], if there are any."""
    from gristmill.filters.decide.quotas import Quotas

    asked = recipe.knowledge
    return Quotas(dict(sorted(asked.quotas.items())), asked.quota_factor) if asked and asked.quotas else None


def paces_of(recipe: Recipe) -> dict[str, str]:
    """The pace of each ordered domain."""
    return {name: one.pace for name, one in sorted(recipe.mixing.order.items())}


def row_order(recipe: Recipe, domain: str) -> "RowOrder | None":
    """How a domain's documents are put into buckets; None where they are not."""
    from gristmill.tokenizer.row_buckets import RowOrder

    asked, weighted = recipe.mixing.order.get(domain), domain in weighted_domains(recipe)
    if asked is None and not weighted:
        return None
    return RowOrder(domain, asked.by if asked else None, asked.buckets if asked else 1, weighted)


def stored_for(context: RunContext, order: "RowOrder") -> tuple[dict[str, Any], list[str]]:
    """What the order is read from, as fields of ``tokenizer.row_buckets.Stored``, and the keys of these parts."""
    kept = context.run.manifest("decide").parts[0]
    signals = signal_refs(context, order.signal) if order.signal else []
    keys = [kept.key, *(ref.receipt.key for ref in signals)]
    return {"kept": Ref(kept, "kept.parquet"), "signals": signals}, keys


def signal_refs(context: RunContext, name: str) -> Sequence[Ref]:
    """The table with a signal, of every documents part."""
    for stage in context.stages:
        if name in stage.signals:
            return context.refs(stage.name, str(stage.spec.table))
    raise UnknownNameError("signal", name, {one for stage in context.stages for one in stage.signals})
