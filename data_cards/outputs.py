"""What a run hands over: tokenizer, shards, held-out rows, mixture; and what knowledge and training added."""

from collections.abc import Iterable, Mapping
from typing import Any

from gristmill.corpus.files import read_json
from gristmill.corpus.rundir import RunDir
from gristmill.handoff.plan import Plan
from gristmill.handoff.schedule import ONE, Segment

LINKED = ("mentions", "triples", "documents_with_entity", "documents_with_linked_pair")
SHARD_FACTS = ("name", "rows", "bytes", "sha256")


def add_counts(many: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Counts of all parts: numbers added, tables added key by key.

    >>> add_counts([{"n": 1, "by": {"a": 1}}, {"n": 2, "by": {"b": 5}}])
    {'n': 3, 'by': {'a': 1, 'b': 5}}
    """
    total: dict[str, Any] = {}
    for counts in many:
        for name, value in counts.items():
            is_table = isinstance(value, Mapping)
            total[name] = add_counts([total.get(name, {}), value]) if is_table else total.get(name, 0) + value
    return total


def references(run: RunDir) -> list[dict[str, Any]]:
    """Of each reference that documents were scored against: name, sha256, and where it was fitted here, its facts."""
    found = []
    for spec in run.lock["recipe"].get("references", ()):
        stage, model = (f"{kind}-{spec['name']}" for kind in ("reference", "reference-model"))
        fitted = dict(run.manifest(model).parts[0].facts) if run.has(model) else {}
        digest = run.manifest(stage).parts[0].facts["reference"]
        found.append({"name": spec["name"], "sha256": digest, "texts": list(spec["texts"]), **fitted})
    return found


def knowledge(run: RunDir) -> dict[str, Any] | None:
    """Mention counts over all parts, most frequent entity types first; None when the recipe joins no graph."""
    if not run.has("mentions"):
        return None
    manifest = run.manifest("mentions")
    total = add_counts({name: part.facts[name] for name in (*LINKED, "top_types")} for part in manifest.parts)
    types = sorted(total["top_types"].items(), key=lambda item: (-item[1], item[0]))
    top = [{"type": name, "mentions": mentions} for name, mentions in types]
    return {"documents": manifest.rows, **total, "top_types": top}


def tokenizer(run: RunDir) -> dict[str, Any]:
    """The trained vocabulary, and the kept text in bytes and tokens by domain."""
    parts = run.manifest("tokens").parts
    encoded = add_counts({name: part.facts[name] for name in ("tokens", "bytes")} for part in parts)
    return {**run.manifest("tokenizer").parts[0].facts, "encoded": encoded}


def packed(run: RunDir) -> dict[str, Any]:
    """Shard files with their digests, and rows, tokens and documents, by domain; held-out rows likewise."""
    facts: dict[str, Any] = {}
    for stage in ("shards", "heldout"):
        indexes = _indexes(run, stage)
        facts[stage] = {
            domain: [{key: shard[key] for key in SHARD_FACTS} for shard in index["shards"]]
            for domain, index in indexes.items()
        }
        facts[f"{stage}_by_domain"] = {
            domain: {key: index[key] for key in ("rows", "tokens", "documents", "row_tokens", "token_type")}
            for domain, index in indexes.items()
        }
    return facts


def _indexes(run: RunDir, stage: str) -> dict[str, dict[str, Any]]:
    folders = sorted((run.path / stage).iterdir()) if run.has(stage) else []
    return {folder.name: read_json(folder / "index.json") for folder in folders}


def mixture(run: RunDir) -> dict[str, Any]:
    """The plan as it lies in the run: its schedule, and each domain's share as asked and as given.

    ``target_share`` is the mean of the schedule over all samples, ``realised_share`` what the order of rows amounts to.
    """
    plan = Plan.load(run.path / "plan")
    asked, drawn = _mean_shares(plan), plan.counts(0, plan.samples)
    rows = {domain: index["rows"] for domain, index in _indexes(run, "shards").items()}
    return {
        "digest": plan.digest,
        "seed": plan.seed,
        "samples": plan.samples,
        "tokens": plan.tokens,
        "caps": run.lock["recipe"]["mixing"]["caps"],
        "schedule": [_phase(segment, plan) for segment in plan.segments],
        "by_domain": {
            domain: {
                "rows": rows[domain],
                "drawn": drawn.get(domain, 0),
                "epochs": drawn.get(domain, 0) / max(rows[domain], 1),
                "target_share": asked.get(domain, 0.0),
                "realised_share": drawn.get(domain, 0) / plan.samples,
            }
            for domain in rows
        },
    }


def _phase(segment: Segment, plan: Plan) -> dict[str, Any]:
    """A segment with its shares as fractions by domain: at its first sample and at its last, equal when constant."""
    first, last = (
        {name: share / ONE for name, share in zip(plan.names, at, strict=True)} for at in (segment.first, segment.last)
    )
    tokens = segment.stop * plan.row_tokens
    return {"until_sample": segment.stop, "until_tokens": tokens, "first": first, "last": last}


def _mean_shares(plan: Plan) -> dict[str, float]:
    total, begin = [0] * len(plan.names), 0
    for segment in plan.segments:
        both = zip(total, segment.first, segment.last, strict=True)
        total = [sum_ + (first + last) * (segment.stop - begin) for sum_, first, last in both]
        begin = segment.stop
    return {name: share / (2 * ONE * plan.samples) for name, share in zip(plan.names, total, strict=True)}


def training(run: RunDir) -> dict[str, Any] | None:
    """The trainer's summary, which holds no time and no host; None when the run did not train."""
    path = run.path / "train" / "summary.json"
    return read_json(path) if run.has("train") and path.exists() else None
