"""Commands that ask something of a finished run, or change a decision about it."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gristmill.app import Json, RunPath, answer, app


@app.command
def verify(run: RunPath, *, json: Json = False) -> int:
    """Check conservation, receipts, shard digests, and the plan against what the trainer consumed."""
    from gristmill.flows.inspect.verify import verify_run
    from gristmill.show import show_checks

    result = verify_run(run)
    answer(result, json, show_checks)
    return 0 if result["ok"] else 1


@app.command
def explain(run: RunPath, doc_id: str, *, json: Json = False) -> None:
    """Tell the life of one document: a doc_id, a locator, or the id that the input gave it."""
    from gristmill.flows.inspect.explain import explain_document
    from gristmill.show import show_life

    answer(explain_document(run, doc_id), json, show_life)


@app.command
def trace(run: RunPath, *, step: int, json: Json = False) -> None:
    """List the documents of training batch STEP, from the plan alone."""
    from gristmill.flows.inspect.trace import trace_step
    from gristmill.show import show_trace

    answer(trace_step(run, step), json, show_trace)


@app.command
def whatif(
    run: RunPath,
    *,
    set: Annotated[tuple[str, ...], Parameter(negative="")] = (),  # noqa: A002  the option's name
    diff: tuple[str, str] | None = None,
    json: Json = False,
) -> None:
    """Decide again with other bounds, from stored signals; no text is read.

    Parameters
    ----------
    set : KEY=VALUE, such as words.at_least=80 or decide.domains.code.profiles=length,c4; any number of times
    diff : two profiles to compare on all documents, in place of --set
    """
    from gristmill.flows.inspect.whatif import whatif_run
    from gristmill.show_questions import show_whatif

    answer(whatif_run(run, set, diff), json, show_whatif)


@app.command
def sweep(
    run: RunPath,
    key: str,
    *,
    start: Annotated[float, Parameter(name="--from")],
    stop: Annotated[float, Parameter(name="--to")],
    steps: int = 11,
    plot: Path | None = None,
    json: Json = False,
) -> None:
    """Move one bound and see what is kept: documents, bytes, and the share of every source.

    Parameters
    ----------
    key : the bound, such as words.at_least
    plot : an SVG file to write
    """
    from gristmill.flows.inspect.sweep import sweep_run
    from gristmill.show_questions import show_sweep

    answer(sweep_run(run, key, start, stop, steps, plot), json, show_sweep)


@app.command
def rank(
    run: RunPath,
    *,
    better: Annotated[tuple[str, ...], Parameter(negative="")],
    worse: Annotated[tuple[str, ...], Parameter(negative="")],
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
    port: int = 0,
    margin: float = 0.1,
    open_browser: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> None:
    """Serve the review queue on a local page; with --json, print its state instead.

    Parameters
    ----------
    margin : how near to a bound a document must be to stand in the queue, relative to the bound
    """
    from gristmill.flows.review.page_server import queue_state, serve_review

    if json:
        answer(queue_state(run, margin), json, lambda _: None)
    else:
        serve_review(run, port=port, margin=margin, open_browser=open_browser)


@app.command
def takedown(run: RunPath, *, ids: Path, json: Json = False) -> int:
    """Remove documents from a run for good, re-elect representatives, and prove that no byte of them is left.

    Parameters
    ----------
    ids : a file with one doc_id, locator or input id a line
    """
    from gristmill.flows.pipeline.progress import ConsoleReporter
    from gristmill.flows.takedown.forget import read_ids
    from gristmill.flows.takedown.removal import takedown as take_down
    from gristmill.show_questions import show_takedown

    result = take_down(run, read_ids(ids), ConsoleReporter())
    answer(result, json, show_takedown)
    return 1 if result["left"] else 0
