"""What a person sees of the gate, and of a corpus without some of its documents, on a terminal."""

from typing import Any

from gristmill.show import console, counted, size_text, table


def show_approval(result: dict[str, Any]) -> None:
    """Whether the run is the latest of its recipe now, and what comes next."""
    out = console()
    for text in result["failed"]:
        out.print(f"failed  {text}", markup=False, soft_wrap=True)
    if result["verified"]:
        out.print(f"approved by {result['approval']['by']}: latest is {result['run']}", markup=False, soft_wrap=True)
    if result["verified"] and result["train"]:
        out.print(f"train its model with `gristmill train {result['run']}`", markup=False, soft_wrap=True)


def show_without(result: dict[str, Any]) -> None:
    """Kept documents by source before and after, what is elected and freed, shares, whether the curriculum holds."""
    out, removed = console(), result["removed"]
    out.print(f"without {counted(removed['documents'], 'document')}, {removed['kept']:,} of them kept", markup=False)
    view = table("kept documents", "source", "before", "after", "")
    for source in sorted({*result["before"], *result["after"]}):
        kept = [result[side].get(source, {}).get("documents_kept", 0) for side in ("before", "after")]
        view.add_row(source, *(f"{n:,}" for n in kept), f"{kept[1] - kept[0]:+,}" if kept[0] != kept[1] else "")
    out.print(view)
    out.print(f"elected in place of removed ones: {counted(result['reelected']['documents'], 'document')}")
    for key, text in (("freed", "cuts go"), ("cut_anew", "cuts come")):
        out.print(f"{text}: {size_text(result[key]['bytes'])} in {counted(result[key]['documents'], 'document')}")
    shares = table("\nshares of kept text", "domain", "before", "after")
    for domain, one in result["shares"].items():
        shares.add_row(domain, f"{one['before']:.4f}", f"{one['after']:.4f}")
    out.print(shares)
    if result["mixture"]:
        advice = result["mixture"]["advice"] or "the curriculum is feasible, over rows in proportion to the text left"
        out.print(advice, markup=False, soft_wrap=True)
    for text in (*result["not_exact"], *([f"this would stop the run: {result['budget']}"] if result["budget"] else ())):
        out.print(text, markup=False, soft_wrap=True)
    if result["text_read"]:
        out.print(f"text of kept documents was read for {', '.join(result['text_read'])}")
