"""Commands for runs that start by themselves: the gate, and a corpus without some of its documents."""

from typing import Annotated

from cyclopts import Parameter

from gristmill.app import Json, RunPath, answer, app
from gristmill.flows.without.selection_keys import DocumentSelection

Note = Annotated[str, Parameter(help="why the run may go on; it is kept in RUN/approval.json")]
Approver = Annotated[str | None, Parameter(name="--by", help="who opens the gate; the user of this process by default")]
Left = Annotated[DocumentSelection | None, Parameter(name="*", negative="")]
ColumnsOnly = Annotated[
    bool, Parameter(negative="", help="read no text: repeated passages stay cut as they are, which the answer states")
]


@app.command
def approve(run: RunPath, *, note: Note, by: Approver = None, json: Json = False) -> int:
    """Open the gate for a run that its drift has paused; it becomes the latest of its recipe."""
    from gristmill.flows.drift.approval import approve_run
    from gristmill.show_nights import show_approval

    result = approve_run(run, note, by)
    answer(result, json, show_approval)
    return int(not result["verified"])


@app.command
def without(run: RunPath, *, choice: Left = None, columns_only: ColumnsOnly = False, json: Json = False) -> None:
    """Show the corpus as it would be without some of its documents: representatives, cuts, shares, feasibility."""
    from gristmill.flows.without.without_run import without_run
    from gristmill.show_nights import show_without

    answer(without_run(run, choice or DocumentSelection(), read_text=not columns_only), json, show_without)
