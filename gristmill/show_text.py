"""What a person sees of exports, samples and the list of runs on a terminal."""

import sys
from collections.abc import Iterable
from typing import Any

from rich.text import Text

from gristmill.flows.review.page_text import segments
from gristmill.show import console, counted, size_text, table

HEAD_CHARS = 600  # of each text; --json has the whole
PIECES = 5  # cut pieces of one document
CONTROL = (*range(32), *range(127, 160))
SIGNS = {code: 0x2400 + code if code < 32 else 0xFFFD for code in CONTROL if chr(code) not in "\n\t"}
_BESIDE = 3  # members of a cluster in one row


def show_export(result: dict[str, Any]) -> None:
    """Documents and files that were written, and what was left out."""
    out = console()
    if "parity" in result:
        _show_model(result)
        return
    view = table("export", "source", "documents")
    for source, n in result["by_source"].items():
        view.add_row(source, f"{n:,}")
    out.print(view)
    n_bytes = sum(file["bytes"] for file in result["files"])
    out.print(
        f"\n{counted(result['documents'], 'document')} in {counted(len(result['files']), 'file')}, {size_text(n_bytes)}"
    )
    if result["heldout"]:
        out.print(f"held out from training (column heldout): {result['heldout']:,}")
    for source, n in result["emptied"].items():
        out.print(f"left out: {counted(n, 'kept document')} of {source}: the edits left nothing of their text")
    out.print(f"\nfolder  {result['folder']}", soft_wrap=True, markup=False)


def _show_model(result: dict[str, Any]) -> None:
    """The class that opens the model, and what comparing it found."""
    out, parity = console(), result["parity"]
    out.print(f"{result['architecture']} of step {result['step']:,}", highlight=False)
    if parity["compared"]:
        within = f"logits of {parity['tokens']:,} tokens within {parity['largest_difference']:.1e}"
        out.print(f"transformers {parity['transformers']} opens it: {within}")
    else:
        out.print("transformers is not installed: the export was not compared with the trained model")
    for file in result["files"]:
        out.print(f"  {file['path']}  {size_text(file['bytes'])}", markup=False)
    out.print(f"\nfolder  {result['folder']}", soft_wrap=True, markup=False)


def show_piece(_: int, text: str) -> None:
    """A piece of a text that grows, at once; control characters are signs that do nothing."""
    sys.stdout.write(text.translate(SIGNS))
    sys.stdout.flush()


def show_generated(result: dict[str, Any]) -> None:
    """Texts of several prompts; a single one has been shown while it grew."""
    if len(result["texts"]) == 1:
        sys.stdout.write("\n")
        return
    for one in result["texts"]:
        sys.stdout.write(f"{(one['prompt'] + one['text']).translate(SIGNS)}\n\n")


def show_samples(result: dict[str, Any]) -> None:
    """Heads of the texts, each under what became of the document."""
    out = console()
    samples = result["samples"]
    if "reasons" in result:
        _show_rejected(result)
        return
    out.print(f"{counted(result['documents'], 'document')}, {len(samples)} shown")
    if "cluster" in result["choice"] and "cut" not in result["choice"]:
        _show_beside(samples)
        return
    for sample in samples:
        out.print()
        out.print(_line(sample), soft_wrap=True)
        for name in ("text", "before", "after"):
            if name in sample:
                out.print(_titled(name, sample[name]), soft_wrap=True)
        for piece in sample.get("cut", ())[:PIECES]:
            out.print(_titled(piece["reason"], piece["text"]), soft_wrap=True)
        if len(sample.get("cut", ())) > PIECES:
            out.print(f"... {counted(len(sample['cut']) - PIECES, 'more piece')}")


def _show_rejected(result: dict[str, Any]) -> None:
    """How many records of each reason, and the first bytes of some."""
    out = console()
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in result["reasons"].items())
    out.print(
        f"{counted(result['documents'], 'record')}, {len(result['samples'])} shown: {reasons or 'none'}", soft_wrap=True
    )
    for sample in result["samples"]:
        line = Text(f"\n{sample['locator']!r}  {sample['source']}  {sample['reason']}", style="bold")
        line.append(f"  {sample['detail'] or ''}  {sample['bytes']:,} bytes", style="not bold")
        out.print(line, soft_wrap=True)
        out.print(plain(sample["head"]), soft_wrap=True)


def _show_beside(samples: list[dict[str, Any]]) -> None:
    """Texts of one cluster in columns, the kept one first."""
    from rich.table import Table

    for first in range(0, len(samples), _BESIDE):
        members = samples[first : first + _BESIDE]
        view = Table(box=None, pad_edge=False, padding=(1, 2, 0, 0), expand=True)
        for member in members:
            view.add_column(_line(member), ratio=1, overflow="fold")
        view.add_row(*(plain(member["text"]) for member in members))
        console().print(view)


def _line(sample: dict[str, Any]) -> Text:
    found = Text(f"{sample['doc_id']}  {sample['source']}  {sample['verdict']}", style="bold")
    for rule in sample["rules"]:
        measured = f"{rule['signal']} = {rule['value']:g}, must be {rule['bound']}" if rule["signal"] else ""
        names = [rule["rule"]] if rule["rule"] != rule["signal"] else []  # a rule often has its signal's name
        found.append(f"  {' '.join([*names, measured])}", style="not bold")
    if sample["other"]:
        how = "holds" if sample["verdict"] == "dropped" else "lost to"
        found.append(f"  {how} {sample['other']}", style="not bold")
    return found


def _titled(name: str, text: str) -> Text:
    return Text(f"{name}\n", style="dim") + (plain(text) if text else Text("(nothing is left)", style="not dim"))


def plain(text: str) -> Text:
    r"""The head of a text of the corpus: no character of it moves the cursor or colours the terminal.

    >>> plain("a\x1b[31mb").plain
    'a␛[31mb'
    """
    head = text[:HEAD_CHARS]
    shown = "".join(segment for _kind, segment in segments(head, []))
    rest = f" ... ({len(text):,} characters)" if len(text) > len(head) else ""
    return Text(shown + rest, style="not dim")


def show_runs(result: dict[str, Any]) -> None:
    """One line for each run."""
    view = table(f"runs of {result['home']}", "recipe", "run", "when", "stage", "kept", "verified")
    for row in result["rows"]:
        view.add_row(*_cells(row))
    out = console()
    out.print(view)
    for row in result["rows"]:
        if row["problem"]:
            out.print(f"{row['recipe']}/{row['run']}: {row['problem']}", markup=False, soft_wrap=True)


def _cells(row: dict[str, Any]) -> Iterable[str]:
    kept = "" if row["documents"] is None else f"{row['documents']:,}"
    verified = {None: "not yet", True: "yes", False: "no"}[row["verified"]]
    latest = " (latest)" if row["latest"] else ""
    waits = f", {row['state']}" if row["state"] not in (None, "complete") else ""  # paused, until it is approved
    return row["recipe"], row["run"], row["when"], row["stage"] or "", kept, verified + latest + waits
