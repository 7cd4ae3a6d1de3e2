"""How ``gristmill trace`` prints its answers for people."""

from typing import Any

from gristmill.show import console, counted, table

STEPS = 40  # printed of one document; --json has them all


def show_step(result: dict[str, Any]) -> None:
    """Rows of a batch, their losses and documents; with their texts where those were asked for."""
    view = table(f"step {result['step']}", "sample", "domain", "epoch", "row", "nats per token", "documents")
    for row in result["rows"]:
        names = ", ".join(document["doc_id"][:12] for document in row["documents"])
        loss = "" if row["loss"] is None else f"{row['loss']:.3f}"
        view.add_row(str(row["sample"]), row["domain"], str(row["epoch"]), str(row["row"]), loss, names)
    out = console()
    out.print(view)
    for row in result["rows"]:
        for document in row["documents"]:
            if "text" in document:
                out.print(f"\n[bold]{document['doc_id']}[/] row {row['row']} of {row['domain']}", highlight=False)
                out.print(document["text"], markup=False, highlight=False, soft_wrap=True)


def show_document_steps(result: dict[str, Any]) -> None:
    """The steps that train on a document, or why there are none."""
    out = console()
    steps = result["steps"]
    if not result["pieces"]:
        out.print(f"{result['doc_id']}: no step trains on it, its verdict is {result['verdict']}")
        return
    pieces = len(result["pieces"])
    where = f"{counted(pieces, 'piece')} in {result['domain']}"
    times = "once" if len(steps) == 1 else f"{len(steps)} times"
    out.print(f"{result['doc_id']}: {where}, drawn {times} in steps of {counted(result['batch_rows'], 'row')}")
    view = table("", "step", "sample", "epoch", "row", "document of the row")
    for one in steps[:STEPS]:
        view.add_row(*(str(one[name]) for name in ("step", "sample", "epoch", "row", "slice")))
    if steps:
        out.print(view)
    if len(steps) > STEPS:
        out.print(f"and {len(steps) - STEPS} more")
