"""Sections on what became of the input: sources, funnel, rules, duplicates."""

from typing import Any

from gristmill.data_cards.edits import by_reason
from gristmill.data_cards.pages import Card, Section, Share, Table, foreign
from gristmill.data_cards.wording import number, size


def sources(card: Card) -> Section:
    """What was read, under which licence, and how much of it stays."""
    read = [
        (
            source["name"],
            source["domain"],
            foreign(source["format"]),
            foreign(source["license"]),
            number(source["files"] or None),
            size(source["file_bytes"]) if source["files"] else None,
            number(source["documents"]),
            size(source["text_bytes"]),
            _share(source["kept"], source["documents"]),
        )
        for source in card["sources"]
    ]
    columns = ("source", "domain", "format", "licence", "files", "on disk", "documents", "text", "kept")
    stated = [
        (row["source"], foreign(row["license"]), number(row["documents"]), size(row["bytes"]), number(row["kept"]))
        for row in card["licenses"]
    ]
    hosts = [
        (foreign(row["host"]), number(row["documents"]), size(row["bytes"]), number(row["kept"]))
        for row in card["hosts"]
    ]
    tables = [
        Table(columns, read, left=4),
        Table(
            ("source", "licence", "documents", "text", "kept"), stated, "Licences as the documents state them", 2, True
        ),
        Table(("host", "documents", "text", "kept"), hosts, "Hosts with most documents", 1, True),
    ]
    text = ["A licence given here is the one that the recipe states for documents that carry none."]
    return Section("sources", "Sources", text, tables=[table for table in tables if table.rows])


def _share(part: float, whole: float) -> Share | None:
    return Share(part / whole) if whole else None


def funnel(card: Card) -> Section:
    """Conservation by stage, fate by source, rejects by reason."""
    stages = [
        (stage["stage"], *_account(stage["total"]), "yes" if stage["balanced"] else "NO")
        for stage in card["funnel"]
        if stage["stage"] in ("documents", "decide", "edits")
    ]
    columns = ("stage", "documents in", "kept", "dropped", "merged", "bytes in", "kept", "dropped", "merged", "adds up")
    fates = [
        (
            s["name"],
            *(number(s[key]) for key in ("records", "rejected", "dropped", "merged", "kept")),
            size(s["kept_bytes"]),
        )
        for s in card["sources"]
    ]
    reasons = [
        (source, foreign(reason), kind, number(count))
        for source, kinds in card["rejects"].items()
        for kind, counts in (("rejected", kinds["rejects"]), ("skipped", kinds["skipped"]))
        for reason, count in counts.items()
    ]
    tables = [
        Table(columns, stages),
        by_reason(card),
        Table(("source", "records", "rejected", "dropped", "merged", "kept", "text kept"), fates, "By source"),
        Table(("source", "reason", "kind", "records"), reasons, "Records that did not become documents", 3, True),
    ]
    text = [
        "Every record is accounted for: what a stage takes in is what it keeps, drops and merges. "
        "Stage documents counts raw bytes of the input, stage decide bytes of text; stage edits, where text is cut, "
        "takes in what decide kept."
    ]
    caption = "What became of each source's records"
    shown = [table for table in tables if table.rows]
    return Section("funnel", "From records to kept documents", text, ("funnel.svg", caption), shown)


def _account(total: dict[str, int]) -> list[str]:
    fates = ("in", "kept", "dropped", "merged")
    documents = [number(total[f"documents_{fate}"]) for fate in fates]
    return documents + [size(total[f"bytes_{fate}"]) for fate in fates]


def _people(reviewed: dict[str, int]) -> list[str]:
    """What people decided of single documents; nothing where nobody did."""
    said = {name: reviewed.get(name, 0) for name in ("keep", "drop", "stale")}
    if not any(said.values()):
        return []
    stale = " Of decisions made on another text, none applies; there are {}.".format(number(said["stale"]))
    sentence = f"By a person's word, {number(said['keep'])} documents were kept and {number(said['drop'])} dropped."
    return [sentence + (stale if said["stale"] else "")]


def rules(card: Card) -> Section:
    """Every rule that dropped a document, with its bound and what it cost."""
    rows = [
        (
            foreign(rule["rule"]),
            "" if rule["signal"] == rule["rule"] else foreign(rule["signal"]),
            foreign(rule["bound"]),
            foreign(rule["profile"]),
            number(rule["documents"]),
            number(rule["alone"]),
            size(rule["bytes"]),
        )
        for rule in card["drops"]
    ]
    text = [
        "A document is dropped when it fails any rule, and the ledger keeps all that it failed, so the column "
        "documents counts some of them more than once. Alone counts those that failed this rule and no other: "
        "what would come back without it. A rule without a signal here is named after its own."
    ]
    if not rows:
        text = ["No rule dropped a document."]
    text += _people(card["reviewed"])
    columns = ("rule", "signal", "must be", "profile", "documents", "alone", "text")
    tables = [Table(columns, rows, left=4)] if rows else []
    return Section("rules", "Rules that dropped documents", text, tables=tables)


def duplicates(card: Card) -> Section:
    """The scheme, its curve, and what it found."""
    dedup, near = card["dedup"], card["dedup"]["scheme"]
    found = dedup["found"]
    merged = [(kind, number(row["documents"]), size(row["bytes"])) for kind, row in dedup["merged"].items()]
    facts = [(name.replace("_", " "), _plain(name, value)) for name, value in found.items() if _is_plain(value)]
    curve = [(f"{jaccard:.2f}", Share(chance)) for jaccard, chance in found.get("curve") or []]
    sizes = [(f"{low} to {high}" if low < high else str(low), number(n)) for low, high, n in found.get("sizes") or []]
    tables = [
        Table(("merged as", "documents", "text"), merged),
        Table(("found", "value"), facts, "Scheme and findings", 1, True),
        Table(("documents in a cluster", "clusters"), sizes, "Sizes of clusters", 1, True),
        Table(("Jaccard", "chance to be compared"), curve, "Curve of the scheme", 1, True),
    ]
    return Section("duplicates", "Duplicates", [_scheme(near, found)], tables=[table for table in tables if table.rows])


def _scheme(near: dict[str, Any], found: dict[str, Any]) -> str:
    if near["off"]:
        return "Documents of equal text were merged; near duplicates were not looked for."
    bands, rows = found.get("bands"), found.get("rows")
    return (
        f"Documents of equal text are one cluster. Near duplicates are candidates from MinHash signatures "
        f"({near['hashes']} hashes over {near['shingle_words']}-word shingles, {bands} bands of {rows} rows), and join "
        f"a cluster only when their exact Jaccard similarity is {near['threshold']:g} or more. Of each cluster one "
        "document that passes all rules is kept."
    )


def _is_plain(value: Any) -> bool:
    return isinstance(value, int | float | str | bool)


def _plain(name: str, value: Any) -> str | Share:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return foreign(value)
    return Share(value) if name.endswith("_share") else number(value)
