"""Sections on what a trainer receives: mixture, rows and shards, training, provenance, the way back."""

from typing import Any

from gristmill.data_cards.pages import Card, Section, Share, Table, foreign
from gristmill.data_cards.wording import number, percent, size

UNSTATED_DATE = "1970-01-01"


def mixture(card: Card) -> Section:
    """Shares as asked and as planned, and the curriculum that asks for them."""
    plan = card["mixture"]
    rows = [
        (
            domain,
            number(entry["rows"]),
            number(entry["drawn"]),
            f"{entry['epochs']:.2f}",
            Share(entry["target_share"]),
            Share(entry["realised_share"]),
            f"{100 * (entry['realised_share'] - entry['target_share']):+.4f}",
        )
        for domain, entry in plan["by_domain"].items()
    ]
    columns = ("domain", "rows", "drawn", "epochs", "target", "realised", "difference, points")
    phases = [
        (number(phase["until_tokens"]), *(_shares(phase[at]) for at in ("first", "last"))) for phase in plan["schedule"]
    ]
    text = [
        f"The plan fixes the order of {number(plan['samples'])} samples ({number(plan['tokens'])} tokens): which row "
        "of which domain stands at each place, for any number of ranks."
    ]
    schedule = Table(("until token", "shares from", "shares to"), phases, "Schedule", 3)
    tables = [Table(columns, rows), schedule]
    caption = "Shares over the tokens of the plan; beside each domain the share that the whole plan realises"
    return Section("mixture", "Mixture and schedule", text, ("mixture.svg", caption), tables)


def _shares(shares: dict[str, float]) -> str:
    return ", ".join(f"{domain} {percent(share)}" for domain, share in shares.items() if share)


def rows(card: Card) -> Section:
    """Rows and shards, with the digest of every file."""
    packed = [
        (domain, number(one["rows"]), number(one["documents"]), number(one["tokens"]), _padding(one), held)
        for domain, one in card["shards_by_domain"].items()
        for held in [number(card["heldout_by_domain"].get(domain, {}).get("rows", 0))]
    ]
    files = [
        (f"{stage}/{domain}/{shard['name']}", shard["sha256"], number(shard["rows"]), size(shard["bytes"]))
        for stage in ("shards", "heldout")
        for domain, shards in card[stage].items()
        for shard in shards
    ]
    kind = next(iter(card["shards_by_domain"].values()), {}).get("token_type", "uint16")
    schema = [
        ("tokens", f"fixed_size_list<{kind}>[{card['rows']['row_tokens']}]", "token ids; the rest of a row is padding"),
        ("documents", "list<struct<doc_id, start, length, offset>>", "the piece of each document in the row"),
    ]
    tables = [
        Table(("domain", "rows", "documents", "tokens", "padding", "rows held out"), packed),
        Table(("column", "type", "meaning"), schema, "Structure of a row", 3),
        Table(("shard", "sha256", "rows", "bytes"), files, "Shards", 2, True),
    ]
    text = [
        _tokens(card),
        "Shards are Arrow IPC streams, and each folder opens with datasets.load_from_disk. Put beside shards/ and "
        "heldout/, this README.md lets datasets.load_dataset open them too, one configuration a domain.",
    ]
    return Section("rows", "Rows and shards", text, tables=tables)


def _padding(packed: dict[str, Any]) -> Share | None:
    room = packed["rows"] * packed["row_tokens"]
    return Share(1 - packed["tokens"] / room) if room else None


def _tokens(card: Card) -> str:
    facts, kept = card["tokenizer"], sum(source["kept_bytes"] for source in card["sources"])
    tokens = sum(one["tokens"] for stage in ("shards", "heldout") for one in card[f"{stage}_by_domain"].values())
    rate = f", {kept / tokens:.2f} bytes of text a token" if tokens else ""
    return f"Byte-level BPE with {number(facts['vocab_size'])} tokens, trained on the kept text{rate}."


def training(card: Card) -> Section | None:
    """What the compact model made of it: losses against a model without context, and the load of its experts."""
    summary = card["training"]
    if summary is None:
        return None
    losses = [(name.replace("_", " "), number(summary["loss"][name])) for name in _in_order(summary["loss"])]
    load = [(name.replace("_", " "), number(value)) for name, value in summary["load"].items()]
    by_domain = summary.get("loss_by_domain", {})
    keys = _in_order(next(iter(by_domain.values()), {}))
    domains = [(name, *(number(value[key]) for key in keys)) for name, value in by_domain.items()]
    tables = [
        Table(("loss", "nats a token"), losses),
        Table(("domain", *keys), domains, title="Held-out loss by domain, nats a token"),
        Table(("load of the experts", "value"), load),
    ]
    text = [
        f"A mixture-of-experts model of {number(summary['parameters'])} parameters "
        f"({number(summary['active_parameters'])} active a token) read {number(summary['tokens'])} tokens of the plan "
        f"in {number(summary['steps'])} steps. It shows that the hand-over works, not how good a model can be."
    ]
    return Section("training", "Training on it", text, tables=[table for table in tables if table.rows])


def _in_order(losses: dict[str, Any]) -> tuple[str, ...]:
    """Names of losses in the order of time, unknown ones last."""
    order = ("first", "last", "heldout_before", "heldout_after", "before", "after")
    return tuple(sorted(losses, key=lambda name: (order.index(name) if name in order else len(order), name)))


def provenance(card: Card) -> Section:
    """Stages with their content keys and code versions, inputs with their digests, libraries."""
    stages = [
        (
            stage["stage"],
            stage["key"],
            stage["version"] or "–",
            number(stage["parts"]),
            number(stage["rows"]),
            size(stage["bytes"]),
        )
        for stage in card["stages"]
    ]
    inputs = [
        (source, foreign(file["path"]), foreign(file["digest"]), size(file["bytes"]))
        for source, files in card["lock"]["inputs"]["files"].items()
        for file in files
    ]
    libraries = {**card["environment"], **card["lock"]["versions"]["libraries"]}
    versions = [(foreign(name), foreign(version)) for name, version in sorted(libraries.items())]
    tables = [
        Table(("stage", "content key", "code", "parts", "rows", "bytes"), stages, left=2),
        Table(("source", "file", "digest", "bytes"), inputs, "Input files", 3, True),
        Table(("library", "version"), versions, "Libraries", 2, True),
    ]
    text = ["A stage's key names its input, its code and its parameters: the same key is the same bytes."]
    return Section("provenance", "Provenance", text, tables=[table for table in tables if table.rows])


def rebuild(card: Card) -> Section:
    """The command, and the recipe word for word."""
    text = [
        "The recipe below and the inputs listed above give the same shards, byte for byte, with any number of workers. "
        "The command compares every shard with its digest and names the first that differs."
    ]
    code = [("sh", card["rebuild"]), ("toml", card["recipe"])]
    return Section("rebuild", "Recipe and rebuild", text, code=code)


def contact(card: Card) -> Section:
    """Who answers, how to have a document removed, how to cite."""
    identity = card["identity"]
    published = identity["published"]
    rows = [
        ("creator", foreign(identity["creator"])),
        ("contact", foreign(identity["contact"])),
        ("published", "not stated; a card knows no clock" if published == UNSTATED_DATE else published),
        ("removal", "gristmill takedown RUN --ids FILE removes documents from every stage and writes a record"),
        (
            "cite as",
            foreign(f"{identity['name']}, version {identity['version']}, made with gristmill. {identity['url']}"),
        ),
    ]
    return Section("contact", "Contact, removal, citation", tables=[Table(("", ""), rows, left=2)])
