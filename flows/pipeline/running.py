"""Running the stages of a recipe one after the other in this process, without Prefect."""

from collections.abc import Iterable, Sequence

from gristmill.corpus.errors import DamagedEntryError
from gristmill.corpus.extras import need
from gristmill.corpus.memory import give_back
from gristmill.corpus.receipt import Manifest
from gristmill.corpus.stage import CorpusStage, load
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.damage import damaged_entries
from gristmill.flows.pipeline.measure_documents import measure_documents
from gristmill.flows.pipeline.stages import Instance, stages_until
from gristmill.flows.pipeline.warming import warm_stages


def run_stage(context: RunContext, stage: Instance) -> Manifest | None:
    """Run one stage: its parts are found in the store or made, and its manifest is written.

    Where it meets a damaged entry of the store and inputs are there, the entry is made again by the stages before it.
    """
    try:
        manifest = _run_stage(context, stage)
        give_back()
        if context.healing is not None:
            context.healing.rename(context.store)
        return manifest
    except DamagedEntryError as error:
        if context.healing is None:
            raise
        make_again(context, [error], stages_until(context.stages, stage.name)[:-1])
    return run_stage(context, stage)


def make_again(context: RunContext, damaged: Sequence[DamagedEntryError], stages: Sequence[Instance]) -> None:
    """Delete damaged entries of the store and run ``stages`` again: all that is whole is found."""
    assert context.healing is not None
    for error in damaged:
        context.healing.discard(context.store, context.run, error)
    for stage in stages:
        run_stage(context, stage)


def mend(context: RunContext) -> bool:
    """Compare every entry that a run names with its receipt, and make again what is damaged; whether anything was.

    Files that the run hands over are compared with the store when their stages hand them over again.
    """
    if context.healing is None:
        return False
    before = len(context.healing.healed)
    damaged = list(damaged_entries(context))
    make_again(context, damaged, [stage for stage in context.stages if context.run.has(stage.name)])
    return len(context.healing.healed) > before


def _run_stage(context: RunContext, stage: Instance) -> Manifest | None:
    if isinstance(stage.spec, CorpusStage):
        return load(stage.spec.run)(context, stage)
    return measure_documents(context, stage)


def need_extras(stages: Iterable[Instance]) -> None:
    """What the stages need and this machine lacks is an error before anything is milled, not hours later.

    Raises
    ------
    MissingExtraError : a library is not installed
    TrainError : the device of the trainer is not there
    """
    for stage in stages:
        if stage.spec.extra:
            need(stage.spec.extra)
        if stage.spec.ready:
            load(stage.spec.ready)(stage.options)


def run_stages(context: RunContext, until: str | None = None) -> None:
    """Run the stages of the recipe, up to and with ``until``."""
    for stage in prepared(context, until):
        run_stage(context, stage)


def prepared(context: RunContext, until: str | None = None) -> list[Instance]:
    """The stages to run, once all that they need is there: libraries, and compiled kernels."""
    stages = stages_until(context.stages, until)
    need_extras(stages)
    warm_stages(stages, context.report.reporter, context.recipe.engine.workers)
    return stages
