"""Running the stages of a recipe one after the other in this process, without Prefect."""

from collections.abc import Iterable

from gristmill.corpus.extras import need
from gristmill.corpus.receipt import Manifest
from gristmill.corpus.stage import CorpusStage, load
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.measure_documents import measure_documents
from gristmill.flows.pipeline.stages import Instance, stages_until
from gristmill.flows.pipeline.warming import warm_stages


def run_stage(context: RunContext, stage: Instance) -> Manifest | None:
    """Run one stage: its parts are found in the store or made, and its manifest is written."""
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
