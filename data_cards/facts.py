"""card.json: everything a card says, gathered from a run's manifests, ledger and small columns.

A pure function of the run: no clock, no host, no path of the machine. Sentences that follow from the numbers stand
in ``limits``; pages are made from this JSON alone, in ``render``.
"""

from importlib.metadata import version
from typing import Any

from gristmill.corpus import account
from gristmill.corpus.account import Account
from gristmill.corpus.receipt import Manifest
from gristmill.corpus.rundir import STAGES, RunDir
from gristmill.data_cards.drops import dropped_by_rule, merged_by_kind, verdicts
from gristmill.data_cards.edits import edits
from gristmill.data_cards.limits import known_limits
from gristmill.data_cards.outputs import knowledge, mixture, packed, references, tokenizer, training
from gristmill.data_cards.profile import FolderOf, profile
from gristmill.data_cards.redact import redact
from gristmill.data_cards.takedowns import takedowns

FORMAT = 1
NOT_STATED = "not stated"
UNPUBLISHED = "1970-01-01"  # a date that a reader sees is none; a run knows no clock
REBUILD = "gristmill rebuild CARD_FOLDER --check"
ENVIRONMENT = ("datasets", "datasketch", "fasttext-wheel", "numba", "numpy", "polars", "pyarrow", "tokenizers", "torch")


def gather(run: RunDir, folder_of: FolderOf) -> dict[str, Any]:
    """Everything that a card says, as plain JSON.

    Parameters
    ----------
    run : a run that has come as far as its plan
    folder_of : the store folder of a receipt, ``store.folder``

    Raises
    ------
    StoreError : the run has not come far enough, naming the stage
    CardError : tables of the run do not align
    """
    ledger = folder_of(run.manifest("decide").parts[0]) / "ledger.parquet"
    card = {
        "format": FORMAT,
        "identity": _identity(run),
        "recipe": (run.path / "recipe.toml").read_text(encoding="utf-8"),
        "lock": run.lock,
        "environment": {name: version(name) for name in ENVIRONMENT},
        "stages": _stages(run),
        "funnel": _funnel(run),
        "sources": _sources(run),
        "rejects": _rejects(run.manifest("documents")),
        "verdicts": verdicts(ledger),
        "drops": dropped_by_rule(ledger),
        "reviewed": dict(run.manifest("decide").parts[0].facts.get("reviewed", {})),
        "edits": edits(run),
        "dedup": _dedup(run) | {"merged": merged_by_kind(ledger)},
        **profile(run, folder_of),
        "references": references(run),
        "knowledge": knowledge(run),
        "tokenizer": tokenizer(run),
        "mixture": mixture(run),
        "rows": run.lock["recipe"]["shards"],
        **packed(run),
        "training": training(run),
        "takedowns": takedowns(run),
        "rebuild": REBUILD,
    }
    return redact(card | {"limits": known_limits(card)})


def _identity(run: RunDir) -> dict[str, Any]:
    recipe, run_id = run.lock["recipe"], run.path.name
    return {
        "name": recipe["name"],
        "run": run_id,
        "version": f"{version('gristmill')}+{run_id}",
        "seed": recipe["seed"],
        "description": recipe["description"] or f"The training corpus {recipe['name']}, made with gristmill.",
        "url": f"urn:gristmill:{recipe['name']}:{run_id}",
        "creator": NOT_STATED,
        "contact": NOT_STATED,
        "published": UNPUBLISHED,
    }


def finished(run: RunDir) -> list[Manifest]:
    """The manifests that a run has, in the order of the mill."""
    return [run.manifest(stage) for stage in STAGES if run.has(stage)]


def _stages(run: RunDir) -> list[dict[str, Any]]:
    versions = run.lock["versions"]["stages"]
    return [
        {
            "stage": manifest.stage,
            "key": manifest.key,
            "version": versions.get(
                manifest.stage, versions.get(manifest.stage.removesuffix("s"))
            ),  # classifiers: classifier
            "parts": len(manifest.parts),
            "rows": manifest.rows,
            "bytes": sum(file.bytes for part in manifest.parts for file in part.files),
        }
        for manifest in finished(run)
    ]


def _funnel(run: RunDir) -> list[dict[str, Any]]:
    """Accounts of every stage that keeps any; ``balanced`` is checked here, again, from the numbers that are shown."""
    funnel = []
    for manifest in finished(run):
        if accounts := manifest.accounts:
            total = sum(accounts.values(), Account())
            funnel.append(
                {
                    "stage": manifest.stage,
                    "sources": account.to_json(accounts),
                    "total": account.to_json({"total": total})["total"],
                    "balanced": all(one.balanced for one in accounts.values()),
                }
            )
    return funnel


def _sources(run: RunDir) -> list[dict[str, Any]]:
    """What the recipe says about each source beside what became of it."""
    read, decided = run.manifest("documents").accounts, run.manifest("decide").accounts
    return [
        _stated(source, run.lock["inputs"]["files"].get(source["name"], []))
        | _fate(read.get(source["name"], Account()), decided.get(source["name"], Account()))
        for source in run.lock["recipe"]["sources"]
    ]


def _stated(source: dict[str, Any], files: list[dict[str, Any]]) -> dict[str, Any]:
    formats = sorted({file["format"] for file in files if file.get("format")})
    return {
        **{key: source[key] for key in ("name", "domain", "license", "lang", "priority", "retention_budget")},
        "format": source["format"] or ", ".join(formats) or None,
        "files": len(files),
        "file_bytes": sum(file["bytes"] for file in files),
    }


def _fate(read: Account, decided: Account) -> dict[str, int]:
    return {
        "records": read.documents_in,
        "rejected": read.documents_dropped + read.documents_merged,
        "documents": decided.documents_in,
        "kept": decided.documents_kept,
        "merged": decided.documents_merged,
        "dropped": decided.documents_dropped,
        "text_bytes": decided.bytes_in,
        "kept_bytes": decided.bytes_kept,
    }


def _rejects(documents: Manifest) -> dict[str, dict[str, dict[str, int]]]:
    """Rejected and skipped records by source and reason; a part of ``documents`` is of one source."""
    rejects: dict[str, dict[str, dict[str, int]]] = {}
    for part in documents.parts:
        for source in part.accounts:
            reasons = rejects.setdefault(source, {"rejects": {}, "skipped": {}})
            for kind, counts in reasons.items():
                for reason, number in part.facts.get(kind, {}).items():
                    counts[reason] = counts.get(reason, 0) + number
    return dict(sorted(rejects.items()))


def _dedup(run: RunDir) -> dict[str, Any]:
    near = run.lock["recipe"]["dedup"]["near"]
    return {"scheme": near, "found": dict(run.manifest("clusters").parts[0].facts)}
