"""Whether the curriculum of a run could still be met, over rows in proportion to the bytes that are left."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from gristmill.flows.pipeline.assemble import phases_of
from gristmill.flows.pipeline.context import RunContext
from gristmill.mixing.compile import Packed
from gristmill.mixing.feasibility import EpochCaps
from gristmill.mixing.preview import preview


def mixture_without(context: RunContext, before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, Any]:
    """The fields of ``mixing.preview.Preview``; empty for a run without shards.

    Rows and tokens of a domain are the run's in proportion to its bytes: as exact as tokens per byte are the same, and
    those of the run where nothing of the domain changed.

    Parameters
    ----------
    before, after : bytes by domain that are packed for training
    """
    recipe = context.recipe
    if not context.run.has("shards"):
        return {}
    shards = {domain: Packed.of(context.run.path / "shards" / domain) for domain in recipe.domains}
    packed = {name: _part_of(one, after.get(name, 0) / (before.get(name) or 1)) for name, one in shards.items()}
    caps = EpochCaps(**recipe.mixing.caps.model_dump())
    return asdict(preview(phases_of(recipe), packed, recipe.shards.row_tokens, caps))


def _part_of(packed: Packed, part: float) -> Packed:
    rows = round(packed.rows * part) or int(part > 0 and packed.rows > 0)
    return Packed(rows, round(packed.tokens * part) if rows else 0, round(packed.targets * part) if rows else 0)
