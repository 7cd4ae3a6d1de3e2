"""Commands that ask something of a finished run, or change a decision about it."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gristmill.app import Json, RunPath, answer, app, number, whole
from gristmill.corpus.errors import RecipeError

Document = Annotated[str, Parameter(help="a doc_id, a locator such as crawl.jsonl:12, or the id that the input gave")]
TrainAgain = Annotated[
    bool,
    Parameter(negative="", help="train one interval between two checkpoints again: the saved weights, bit for bit"),
]
Interval = Annotated[
    int | None,
    Parameter(converter=whole(0, 10**9), help="the interval to train again, from 0, the one before any checkpoint"),
]
Seed = Annotated[
    int | None,
    Parameter(
        converter=whole(0, (1 << 63) - 1),
        help="chooses the interval to train again; where none is given, one is drawn and printed",
    ),
]
Step = Annotated[int | None, Parameter(converter=whole(1, 10**15), help="a training step, counted from 1")]
Traced = Annotated[str | None, Parameter(help="a document in place of a step: its doc_id, locator, or id of the input")]
Spelled = Annotated[
    bool, Parameter(negative="", help="with the text of each piece of the step, as the model is given it")
]
Set = Annotated[
    tuple[str, ...],
    Parameter(
        negative="",
        help="KEY=VALUE, such as words.at_least=80 or decide.domains.code.profiles=length,c4; any number of times",
    ),
]
MixSet = Annotated[
    tuple[str, ...],
    Parameter(
        negative="",
        help="KEY=VALUE, such as curriculum.1.shares.web=0.3 (the other shares keep their proportions),"
        " curriculum.0.until_tokens=2M or mixing.caps.max_epochs=2; any number of times",
    ),
]
CurriculumFile = Annotated[
    Path | None, Parameter(help="a TOML file with [[curriculum]], and perhaps [mixing], in place of the run's")
]
Diff = Annotated[tuple[str, str] | None, Parameter(help="two profiles to compare on all documents, in place of --set")]
Samples = Annotated[
    int, Parameter(converter=whole(0, 1000), help="of so many groups of changes the text of one document is shown")
]
DiffPage = Annotated[Path | None, Parameter(help="an HTML file to write the same into, as one page")]
BoundKey = Annotated[str, Parameter(help="the bound to move, such as words.at_least")]
From = Annotated[float, Parameter(name="--from", converter=number(-1e300, 1e300), help="the bound's first value")]
To = Annotated[float, Parameter(name="--to", converter=number(-1e300, 1e300), help="the bound's last value")]
Steps = Annotated[
    int, Parameter(converter=whole(2, 1000), help="how many values are tried, both ends included; 2 to 1000")
]
Plot = Annotated[Path | None, Parameter(help="an SVG file to draw the curves into")]
Better = Annotated[tuple[str, ...], Parameter(negative="", help="sources or domains that are good; any number")]
Worse = Annotated[tuple[str, ...], Parameter(negative="", help="sources or domains that are not; any number")]
Port = Annotated[
    int, Parameter(converter=whole(0, 65535), help="the port of the page on this machine; 0 = any that is free")
]
Margin = Annotated[
    float,
    Parameter(converter=number(0, 1000), help="how near to a bound documents are queued, relative to the bound"),
]
OpenBrowser = Annotated[bool, Parameter(negative="", help="open the page in the browser of this machine")]
Retrain = Annotated[
    bool,
    Parameter(
        negative="",
        help="take every copy down too, and train again from the last checkpoint before any step saw one of them",
    ),
]
OneRun = Annotated[bool, Parameter(negative="", help="leave the other runs of the home, which may hold them too")]
Ids = Annotated[
    Path, Parameter(help="a text file with a doc_id or its beginning, a locator or an input id on each line")
]


@app.command
def verify(
    run: RunPath, *, replay: TrainAgain = False, interval: Interval = None, seed: Seed = None, json: Json = False
) -> int:
    """Check conservation, receipts, shard digests, labels, and what each training step got against plan and shards."""
    from gristmill.flows.inspect.verify import verify_run
    from gristmill.flows.inspect.verify_replay import Replay
    from gristmill.show import show_checks

    wanted = replay or interval is not None or seed is not None
    result = verify_run(run, Replay(interval, seed) if wanted else None)
    answer(result, json, show_checks)
    return 0 if result["ok"] else 1


@app.command
def explain(run: RunPath, doc_id: Document, *, json: Json = False) -> None:
    """Tell the history of one document: a doc_id, a locator, or the id that the input gave it."""
    from gristmill.flows.inspect.explain import explain_document
    from gristmill.show import show_document

    answer(explain_document(run, doc_id), json, show_document)


@app.command
def trace(
    run: RunPath, *, step: Step = None, document: Traced = None, text: Spelled = False, json: Json = False
) -> None:
    """List the documents of training batch STEP, or the steps that train on DOCUMENT, from the plan alone."""
    from gristmill.flows.inspect.trace import trace_document, trace_step
    from gristmill.show_trace import show_document_steps, show_step

    if (step is None) == (document is None):
        raise RecipeError("give --step N, for the documents of a step, or --document ID, for the steps of a document")
    if document is not None:
        answer(trace_document(run, document), json, show_document_steps)
    elif step is not None:
        answer(trace_step(run, step, text=text), json, show_step)


@app.command
def mix(run: RunPath, *, set: MixSet = (), curriculum: CurriculumFile = None, json: Json = False) -> int:  # noqa: A002
    """Show epochs, feasibility and tokens by domain and phase of a curriculum under edit, over a run's rows."""
    from gristmill.flows.inspect.mix import mix_run
    from gristmill.show_questions import show_mix

    result = mix_run(run, set, curriculum)
    answer(result, json, show_mix)
    return 0 if result["feasible"] else 1


@app.command
def whatif(
    run: RunPath,
    *,
    set: Set = (),  # noqa: A002  the option's name
    diff: Diff = None,
    json: Json = False,
) -> None:
    """Decide again with other bounds, from stored signals; no text is read."""
    from gristmill.flows.inspect.whatif import whatif_run
    from gristmill.show_questions import show_whatif

    answer(whatif_run(run, set, diff), json, show_whatif)


@app.command
def diff(run_a: RunPath, run_b: RunPath, *, samples: Samples = 10, html: DiffPage = None, json: Json = False) -> None:
    """Show every document that changed between two runs, and every reason; from stored columns."""
    from gristmill.flows.diff.diff_page import write_diff_page
    from gristmill.flows.diff.diff_runs import diff_runs
    from gristmill.show_diff import show_diff

    found = diff_runs(run_a, run_b, samples)
    if html is not None:
        write_diff_page(html, found)
    answer(found, json, show_diff)


@app.command
def sweep(
    run: RunPath,
    key: BoundKey,
    *,
    start: From,
    stop: To,
    steps: Steps = 11,
    plot: Plot = None,
    json: Json = False,
) -> None:
    """Move one bound and see what is kept: documents, bytes, and the share of every source."""
    from gristmill.flows.inspect.sweep import sweep_run
    from gristmill.show_questions import show_sweep

    answer(sweep_run(run, key, start, stop, steps, plot), json, show_sweep)


@app.command
def rank(
    run: RunPath,
    *,
    better: Better,
    worse: Worse,
    json: Json = False,
) -> None:
    """Rank signals by how far they tell better sources or domains from worse ones (Wasserstein distance)."""
    from gristmill.flows.inspect.rank import rank_run
    from gristmill.show_questions import show_ranking

    answer(rank_run(run, better, worse), json, show_ranking)


@app.command
def review(
    run: RunPath,
    *,
    port: Port = 0,
    margin: Margin = 0.1,
    open_browser: OpenBrowser = False,
    json: Json = False,
) -> None:
    """Serve the review queue on a local page; with --json, print its state instead."""
    from gristmill.flows.review.page_server import queue_state, serve_review

    if json:
        answer(queue_state(run, margin), json, lambda _: None)
    else:
        serve_review(run, port=port, margin=margin, open_browser=open_browser)


@app.command
def takedown(run: RunPath, *, ids: Ids, retrain: Retrain = False, one_run: OneRun = False, json: Json = False) -> int:
    """Remove documents from the home for good, re-elect representatives, and prove that no byte of them is left."""
    from gristmill.flows.pipeline.progress import ConsoleReporter
    from gristmill.flows.takedown.forget import read_ids
    from gristmill.flows.takedown.removal import takedown as take_down
    from gristmill.flows.takedown.retrain import takedown_and_retrain
    from gristmill.show_questions import show_takedown

    names, reporter = read_ids(ids), ConsoleReporter()
    if retrain:
        result = takedown_and_retrain(run, names, reporter)
    else:
        result = take_down(run, names, reporter, other_runs=not one_run)
    answer(result, json, show_takedown)
    return 1 if result["left"] else 0
