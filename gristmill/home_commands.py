"""Commands on a whole home: gc."""

from typing import Annotated

from cyclopts import Parameter

from gristmill.app import Json, answer, app, number, whole

KeepRuns = Annotated[
    int | None,
    Parameter(
        converter=whole(1, 10**6),
        help="keep so many of the newest runs of each recipe; without it and --keep-days all runs are kept",
    ),
]
KeepDays = Annotated[
    float | None,
    Parameter(converter=number(0, 10**6), help="keep runs that are younger, whatever --keep-runs says"),
]
SayOnly = Annotated[bool, Parameter(negative="", help="say what would be deleted, and delete nothing")]


@app.command
def gc(*, keep_runs: KeepRuns = None, keep_days: KeepDays = None, dry_run: SayOnly = False, json: Json = False) -> None:
    """Delete what no kept run of the home needs: old runs, store entries that none names, what dead writers left."""
    from gristmill.flows.gc.collect import collect
    from gristmill.flows.gc.kept_runs import Retention
    from gristmill.show_home import show_collected

    answer(collect(Retention(keep_runs, keep_days), dry_run=dry_run), json, show_collected)
