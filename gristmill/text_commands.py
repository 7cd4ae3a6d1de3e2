"""Commands that give text back: export, samples; and the list of runs."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gristmill.app import Json, RunPath, answer, app, whole
from gristmill.flows.inspect.sample_choice import SampleChoice

Target = Annotated[
    str,
    Parameter(
        name="--to",
        help="documents: jsonl, parquet, arrow; packed rows: rows-parquet, memmap, megatron, mds, litdata; or a "
        "format that an installed package adds",
    ),
]
Folder = Annotated[
    Path, Parameter(name="--out", help="a new or empty folder; an unfinished export of the same run is begun again")
]
By = Annotated[str | None, Parameter(help="source or domain: a folder for each")]
Columns = Annotated[
    tuple[str, ...], Parameter(name="--with", negative="", help="signals: all that the run measured, beside the text")
]
Order = Annotated[str | None, Parameter(help="of rows: as they are stored (rows), or as the plan draws them (plan)")]
Choice = Annotated[SampleChoice | None, Parameter(name="*", negative="")]
Number = Annotated[
    int,
    Parameter(
        name=("--number", "-n"), converter=whole(1, 10**6), help="at most so many; the same call shows the same ones"
    ),
]
Seed = Annotated[int, Parameter(converter=whole(0, (1 << 63) - 1), help="another number draws other documents")]
Masked = Annotated[bool, Parameter(negative="", help="show personal data in place of its markers")]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportChoice:
    """What of a run is exported."""

    by: By = None
    columns: Columns = ()
    order: Order = None


How = Annotated[ExportChoice | None, Parameter(name="*")]


@app.command
def export(run: RunPath, *, to: Target, out: Folder, how: How = None, json: Json = False) -> None:
    """Write kept, edited text or packed rows into files, in parts; FOLDER/export.json stands there once all are."""
    from gristmill.flows.export.export_run import export_run
    from gristmill.flows.export.target import ExportOptions
    from gristmill.flows.pipeline.progress import ConsoleReporter
    from gristmill.show_text import show_export

    options = ExportOptions(**asdict(how)) if how else None
    answer(export_run(run, to, out, options, ConsoleReporter()), json, show_export)


@app.command
def samples(
    run: RunPath,
    *,
    choice: Choice = None,
    number: Number = 10,
    seed: Seed = 0,
    show_masked: Masked = False,
    json: Json = False,
) -> None:
    """Show texts of what was dropped, kept, merged or cut; what is given together must all hold of a document."""
    from gristmill.flows.inspect.samples import samples_of_run
    from gristmill.show_text import show_samples

    result = samples_of_run(run, choice or SampleChoice(), number, seed, show_masked=show_masked)
    answer(result, json, show_samples)


@app.command(name="list")
def list_runs(*, json: Json = False) -> None:
    """List the runs of the home: recipe, id, when, the last stage, documents kept, verified or not."""
    from gristmill.flows.inspect import runs
    from gristmill.show_text import show_runs

    answer(runs.list_runs(), json, show_runs)
