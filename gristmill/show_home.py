"""What a person sees of a home that was cleared up."""

from collections import Counter
from typing import Any

from gristmill.show import console, counted, size_text


def show_collected(result: dict[str, Any]) -> None:
    """What went, and the bytes before and after."""
    out = console()
    did = "would delete" if result["dry_run"] else "deleted"
    for run in result["runs_removed"]:
        out.print(f"{did} run {run}", markup=False, soft_wrap=True)
    for stage, n in result["entries_removed"].items():
        out.print(f"{did} {counted(n, 'entry', 'entries')} of {stage}", markup=False)
    out.print(
        f"{did} {counted(result['unfinished_removed'], 'unfinished file or folder', 'unfinished files and folders')}"
    )
    reasons = Counter(result["runs_kept"].values())
    out.print(f"kept {counted(len(result['runs_kept']), 'run')}")
    for reason, n in reasons.items():
        out.print(f"  {n}: {reason}", markup=False, soft_wrap=True)
    out.print(f"{size_text(result['bytes_before'])} before, {size_text(result['bytes_after'])} after")
