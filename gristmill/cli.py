"""The command line: choose a recipe or a run and an action; everything else stands in the recipe.

``--json`` prints one object on standard output; all else goes to standard error. A user's mistake is one
message, never a traceback. Exit status: 0 done, 1 a mistake or a failed check, 2 wrong usage, 3 paused by the gate of
[drift], 4 another process writes the run, 130 and 143 stopped.
"""

import gc
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from gristmill import (
    catalogue_commands,  # noqa: F401  they register their commands
    home_commands,  # noqa: F401
    night_commands,  # noqa: F401
    questions,  # noqa: F401
    text_commands,  # noqa: F401
)
from gristmill.app import Direct, Json, RecipePath, RunPath, Workers, answer, answering_alone, app, whole

Until = Annotated[str | None, Parameter(help="the last stage to run; `gristmill stages RECIPE` lists them")]
LogFormat = Annotated[
    Literal["text", "json"] | None,
    Parameter(help="progress on standard error as text or as JSON lines; GRISTMILL_LOG_FORMAT says it for all runs"),
]
ChangeSetting = Annotated[
    tuple[str, ...],
    Parameter(
        negative="",
        help="KEY=VALUE from the last checkpoint on: learning_rate, warmup_steps or max_grad_norm; any number of times",
    ),
]
BackTo = Annotated[
    int | None,
    Parameter(converter=whole(0, 10**15), help="delete the checkpoints of more than so many steps first"),
]
Measure = Annotated[bool, Parameter(negative="", help="print which precision is faster on this machine; train nothing")]
CheckCard = Annotated[bool, Parameter(negative="", help="check the card that the run has, and write none")]
TrainingPage = Annotated[
    bool, Parameter(negative="", help="write the page of its training instead: train/training.html, at any time")
]
CardFolder = Annotated[Path, Parameter(help="the folder of a card, such as RUN/card")]
CheckShards = Annotated[
    bool, Parameter(negative="", help="compare inputs and shards with the card and name the first difference")
]

DryRun = Annotated[bool, Parameter(negative="", help="print what a tuning would cost, and run nothing")]
PAUSED = 3
COLLECTED_AFTER = 200_000  # new objects: imports make a million that live, and at Python's 700 each is looked at again
TunedFile = Annotated[Path | None, Parameter(help='where to write the mixture for `shares = "tuned:FILE"` as well')]


@app.command
def run(
    recipe: RecipePath,
    *,
    until: Until = None,
    workers: Workers = None,
    direct: Direct = False,
    log_format: LogFormat = None,
    json: Json = False,
) -> int:
    """Run the whole mill, verify it, and print the run directory."""
    from gristmill.show import show_run

    _check_whole(recipe, until, direct)
    from gristmill.flows.pipeline.json_progress import chosen_reporter

    reporter = chosen_reporter(log_format)
    run_recipe = _run_direct if direct else _run_through_prefect
    result = run_recipe(recipe, until, workers, reporter)
    answer(result, json, show_run)
    return PAUSED if result.get("state") == "paused" else int(not result.get("verified", True))


def _check_whole(recipe: Path, until: str | None, direct: bool) -> None:
    """Mistakes and what is not installed are reported before Prefect's start-up, and before anything is milled."""
    from gristmill.corpus.extras import need
    from gristmill.flows.pipeline.recipe_reading import load_recipe
    from gristmill.flows.pipeline.running import need_extras
    from gristmill.flows.pipeline.stages import stages_until

    need_extras(stages_until(load_recipe(recipe).stages, until))
    if not direct:
        need("prefect")


def _run_through_prefect(recipe: Path, until: str | None, workers: int | None, reporter: Any) -> dict[str, Any]:
    from gristmill.flows import prefect_settings
    from gristmill.flows.pipeline.open_context import home

    prefect_settings.apply(home())
    with prefect_settings.told_plainly():
        from gristmill.flows.refine import refine

        return refine(str(recipe), until, workers, reporter)


def _run_direct(recipe: Path, until: str | None, workers: int | None, reporter: Any) -> dict[str, Any]:
    from gristmill.flows.direct import refine_directly

    return refine_directly(recipe, until, workers, reporter)


@app.command
def plan(recipe: RecipePath, *, json: Json = False) -> None:
    """Say what a run would compute and what it would reuse; run nothing."""
    from gristmill.flows.pipeline.recipe_reading import load_recipe

    load_recipe(recipe)  # mistakes are reported before anything heavy is imported
    from gristmill.flows.pipeline.dry_run import plan_run
    from gristmill.show import show_plan

    answer(plan_run(recipe), json, show_plan)


@app.command
def tune(
    recipe: RecipePath, *, dry_run: DryRun = False, out: TunedFile = None, workers: Workers = None, json: Json = False
) -> None:
    """Tune the mixture: small proxy runs, a fit, and a curriculum to paste with how sure it is."""
    from gristmill.flows.pipeline.recipe_reading import load_recipe

    load_recipe(recipe)  # mistakes are reported before anything heavy is imported
    from gristmill.flows.pipeline.progress import ConsoleReporter
    from gristmill.flows.tune.tune_recipe import tune_budget, tune_recipe
    from gristmill.show_tune import budget_text, show_budget, show_tuning

    budget = tune_budget(recipe)
    if dry_run:
        answer({"budget": budget}, json, show_budget)
        return
    reporter = ConsoleReporter()
    reporter.note(budget_text(budget))
    answer(tune_recipe(recipe, workers=workers, out=out, reporter=reporter), json, show_tuning)


@app.command
def train(
    run: RunPath,
    *,
    set: ChangeSetting = (),  # noqa: A002  the option's name
    back_to: BackTo = None,
    measure: Measure = False,
    direct: Direct = False,
    json: Json = False,
) -> int:
    """Train the Mixture-of-Experts model on a run's plan; goes on where it was stopped.

    In several processes: ``torchrun --nproc-per-node 2 -m gristmill train RUN --direct``.
    """
    from gristmill.corpus.extras import need
    from gristmill.corpus.rundir import RunDir
    from gristmill.flows.direct import train_directly
    from gristmill.flows.pipeline.progress import ConsoleReporter
    from gristmill.flows.pipeline.train_together import trained_together
    from gristmill.flows.pipeline.training_settings import change_training, measure_training
    from gristmill.show import show_training
    from gristmill.show_questions import show_speed

    RunDir.open(run)  # a mistake is reported before Prefect's start-up
    for extra in ("train",) if measure else ("train", "card") if direct else ("prefect", "train", "card"):
        need(extra)
    if measure:
        answer(measure_training(run), json, show_speed)
        return 0
    with trained_together(run) as is_other:
        if is_other:
            return 0
        if set or back_to is not None:
            change_training(run, set, back_to)
        result = train_directly(run, ConsoleReporter()) if direct else _train_through_prefect(run)
    answer(result, json, show_training)
    return int(not result["verified"])


def _train_through_prefect(run: Path) -> dict[str, Any]:
    from gristmill.flows import prefect_settings
    from gristmill.flows.pipeline.open_context import home
    from gristmill.flows.pipeline.progress import ConsoleReporter

    prefect_settings.apply(home())
    with prefect_settings.told_plainly():
        from gristmill.flows.train import train as train_flow

        return train_flow(str(run), ConsoleReporter())


@app.command
def card(run: RunPath, *, check: CheckCard = False, training: TrainingPage = False, json: Json = False) -> int:
    """Write a run's data card, or check the one it has."""
    from gristmill.corpus.extras import need
    from gristmill.flows.inspect.data_card import check_run_card, write_run_card
    from gristmill.flows.pipeline.training_settings import page_of_training
    from gristmill.show import show_card, show_page

    need("card")
    if training:
        answer({"page": str(page_of_training(run))}, json, show_page)
        return 0
    result = check_run_card(run) if check else write_run_card(run)
    answer(result, json, show_card)
    return 1 if result["problems"] else 0


@app.command
def rebuild(card: CardFolder, *, check: CheckShards = False, workers: Workers = None, json: Json = False) -> int:
    """Build the corpus again from its card."""
    from gristmill.flows.pipeline.progress import ConsoleReporter
    from gristmill.flows.pipeline.rebuild import rebuild_from_card
    from gristmill.show import show_rebuild

    result = rebuild_from_card(card, check=check, workers=workers, reporter=ConsoleReporter())
    answer(result, json, show_rebuild)
    return 0 if result.get("identical", True) else 1


@app.command
def schedule(recipe: RecipePath) -> int:
    """Serve the recipe's cron with Prefect until stopped; server and runs are watched and started again."""
    import os

    from gristmill.corpus.extras import need
    from gristmill.flows import prefect_settings
    from gristmill.flows.nights.firings import served_alone
    from gristmill.flows.nights.notifications import check_addresses
    from gristmill.flows.pipeline.open_context import home
    from gristmill.flows.pipeline.recipe_reading import load_scheduled
    from gristmill.flows.supervision import Supervision

    need("prefect")
    name, asked = load_scheduled(recipe)
    check_addresses(asked, os.environ)  # mistakes are reported before the server's start-up
    with served_alone(name):
        prefect_settings.apply(home())
        return Supervision(recipe, prefect_settings.api_address()).run()


class _StoppedError(BaseException):
    """A signal to stop; no KeyboardInterrupt, which the library of the command line takes for an end."""

    def __init__(self, sign: int):
        super().__init__(f"signal {sign}")
        self.sign = sign


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Ctrl-C and SIGTERM as an exception, so that locks are given back and the state of a run is noted."""

    def stop(sign: int, _: FrameType | None) -> None:
        raise _StoppedError(sign)

    in_main_thread = threading.current_thread() is threading.main_thread()
    before = {sign: signal.signal(sign, stop) for sign in (signal.SIGINT, signal.SIGTERM) if in_main_thread}
    try:
        yield
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)


def main(arguments: list[str] | None = None) -> None:
    """Entry point: run a command; exit 0 only on success."""
    import gristmill.corpus  # noqa: F401  points numba at its cache
    from gristmill.corpus.disk import disk_problem
    from gristmill.corpus.errors import GristmillError, LockedError, PausedError
    from gristmill.corpus.extras import missing_extra

    gc.set_threshold(COLLECTED_AFTER)
    try:
        as_json = "--json" in (sys.argv[1:] if arguments is None else arguments)
        with _stopped_by_signals(), answering_alone(as_json):
            status = app(arguments)
    except _StoppedError as error:
        sys.stderr.write("gristmill: stopped; the next run goes on from here\n")
        sys.exit(128 + error.sign)
    except (GristmillError, ModuleNotFoundError) as error:
        error_shown = missing_extra(error) if isinstance(error, ModuleNotFoundError) else error
        if error_shown is None:
            raise
        sys.stderr.write(f"gristmill: {error_shown}\n")
        sys.exit(4 if isinstance(error, LockedError) else PAUSED if isinstance(error, PausedError) else 1)
    except OSError as error:
        if (problem := disk_problem(error)) is None:
            raise
        sys.stderr.write(f"gristmill: {problem}\n")
        sys.exit(1)
    sys.exit(status if isinstance(status, int) else 0)
