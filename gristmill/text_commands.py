"""Commands that give text back: export, samples, generate; and the list of runs."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gristmill.app import Json, RunPath, answer, app, number, whole
from gristmill.flows.inspect.sample_choice import SampleChoice

Target = Annotated[
    str,
    Parameter(
        name="--to",
        help="documents: jsonl, parquet, arrow; packed rows: rows-parquet, memmap, megatron, mds, litdata; the trained "
        "model, for transformers: dots1, qwen3moe, deepseekv3; or a format that an installed package adds",
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


Prompts = Annotated[
    tuple[str, ...],
    Parameter(name="--prompt", negative="", help="the text to go on with; several are gone on with side by side"),
]
MaxTokens = Annotated[int, Parameter(converter=whole(1, 10**6), help="new tokens at most")]
Temperature = Annotated[
    float, Parameter(converter=number(0, 100), help="0 = the likeliest token always; 1 = by the model's probabilities")
]
TopP = Annotated[
    float, Parameter(converter=number(0, 1), help="draw from the likeliest tokens that reach this share of probability")
]
Stop = Annotated[tuple[str, ...], Parameter(negative="", help="a text that ends it; any number of times")]
RandomSeed = Annotated[int, Parameter(converter=whole(0, (1 << 63) - 1), help="another number draws other tokens")]


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateChoice:
    """How a text is gone on with."""

    max_tokens: MaxTokens = 128
    temperature: Temperature = 0.0
    top_p: TopP = 1.0
    stop: Stop = ()
    seed: RandomSeed = 0


Going = Annotated[GenerateChoice | None, Parameter(name="*")]


@app.command
def generate(run: RunPath, *, prompt: Prompts, how: Going = None, json: Json = False) -> None:
    """Go on with a text by the trained model; a single one is printed as it grows."""
    from gristmill.flows.inspect.generate_texts import GenerateOptions, generate_texts
    from gristmill.show_text import show_generated, show_piece

    options = GenerateOptions(**asdict(how)) if how else None
    grows = len(prompt) == 1 and not json
    result = generate_texts(run, prompt, options, show_piece if grows else None)
    answer(result, json, show_generated)


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
