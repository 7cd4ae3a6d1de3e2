"""A small finished run, written stage by stage with the floor-0 store: what a card is gathered from."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gristmill.corpus.account import Account, passed_on
from gristmill.corpus.files import file_sha256, write_json
from gristmill.corpus.lock import Lock, LockedFile
from gristmill.corpus.receipt import Manifest, Outcome, Receipt
from gristmill.corpus.run_stages import STAGES_FILE, RunStages, runnable
from gristmill.corpus.rundir import TAKEDOWN, RunDir
from gristmill.corpus.schema import DOCUMENTS, KEPT, LEDGER, REJECTS, ROW_DOCUMENT, signals_schema
from gristmill.corpus.stage import Signal
from gristmill.corpus.store import LocalStore
from gristmill.data_cards.card import Card
from gristmill.data_cards.parts.corpus_identity import STATED
from gristmill.flows.pipeline.recipe_reading import stored_recipe
from gristmill.flows.pipeline.stages import BUILT_IN, in_order
from gristmill.handoff.plan import Domain, Plan
from gristmill.handoff.schedule import ONE, Segment
from gristmill.handoff.shards import ShardWriter

HOSTILE = "<script>alert(1)</script> | **bold** [x](javascript:1)\n---\nlicense: mit #"
RECIPE = """\
name = "tiny"
seed = 7
description = {description}

[[sources]]
name = "web"
path = "s3://AKIA:sec/ret@bucket/web/*.jsonl"
domain = "web"
license = {license}


[[sources]]
name = "books"
path = "books/*.jsonl"
domain = "books"

[[curriculum]]
until_tokens = 256
shares = {{ web = 0.75, books = 0.25 }}
[[curriculum]]
until_tokens = 512
shape = "linear"
shares = {{ web = 0.25, books = 0.75 }}

[shards]
row_tokens = 16
"""
RICH = """\
[pii]
email = "mask"
phone = "count"
[blocklist]
words = ["bad.txt"]
[decontaminate.sets]
sums = ["sums.jsonl"]
[line_edits]
rules = ["c4"]
[dedup.lines]
[dedup.substrings]
[[classifiers]]
name = "speech"
positive = ["good.jsonl"]
negative = ["bad.jsonl"]
[[classifiers]]
name = "given"
model = "given.bin"
[[references]]
name = "prose"
texts = ["good.jsonl"]
[[references]]
name = "given"
model = "given.parquet"
"""
CARD_SECTION = "[card]\n" + "".join(f"{key} = {json.dumps(HOSTILE)}\n" for key in STATED if key != "published")
CLUSTERS = {
    "near": True,
    "threshold": 0.8,
    "hashes": 128,
    "shingle_words": 5,
    "bands": 2,
    "rows": 4,
    "engine": "bands",
    "curve": [[0.0, 0.0], [1.0, 1.0]],
    "documents": 60,
    "texts": 58,
    "exact_copies": 2,
    "candidates": 9,
    "verified": 8,
    "unverified_share": 1 / 9,
    "clusters": 52,
    "largest_cluster": 4,
    "largest_share": 4 / 60,
    "sizes": [[1, 1, 50], [3, 4, 2]],
    "bridges": 1,
    "chained": 0,
    "largest": [{"cluster": "web-000", "size": 4, "lowest_to_root": 0.81}],
}
SPREAD = {"median": 2.0, "mad": 0.1, "p5": 1.5, "p95": 3.25}
UNITS = {"bytes": "bytes", "words": "words", "byte_entropy_bits": "bits per byte"}
SIGNALS = [Signal(name, unit, None, None, name) for name, unit in UNITS.items()]


@dataclass
class Mill:
    """The run, and the store that holds its parts."""

    run: RunDir
    store: LocalStore
    licence: str

    def folder(self, receipt: Receipt) -> Path:
        return self.store.folder(receipt)

    @staticmethod
    def note_stages(run: RunDir) -> None:
        note_stages(run)


def build_run(
    root: Path,
    *,
    licence: str = "CC0-1.0",
    host: str = "example.org",
    description: str = "Two sources.",
    train: bool = True,
    rich: bool = False,
) -> Mill:
    """40 web documents and 20 books; every third dropped, every fifth of the rest merged."""
    text = RECIPE.format(license=json.dumps(licence), description=json.dumps(description))
    text += RICH * rich + CARD_SECTION * (description == HOSTILE)
    recipe = stored_recipe(text, "tiny")
    files = {s.name: [LockedFile(str(s.path), 900, "ab" * 16, "jsonl")] for s in recipe.sources}
    versions = {"documents": "1", "decide": "1"}
    lock = Lock(recipe.locked(), files, {}, versions, {"documents": {"orjson": "3"}})
    mill = Mill(RunDir.create(root / "runs", "tiny", text, lock), LocalStore(root / "store"), licence)
    sources = {"web": 40, "books": 20}
    for stage in ("documents", "signals", "language", "mentions"):
        _stage(mill, stage, [_part_maker(stage, name, n, licence, host) for name, n in sources.items()])
    _stage(
        mill,
        "clusters",
        [
            lambda _: Outcome(
                60,
                {},
                CLUSTERS,
            )
        ],
    )
    _stage(mill, "decide", [lambda folder: _decide(folder, sources)])
    if rich:
        _screen(mill, sources)
    _stage(
        mill,
        "tokenizer",
        [lambda _: Outcome(0, {}, {"vocab_size": 300, "sample_bytes": 3000, "bytes_per_token": 10.0})],
    )
    _stage(mill, "tokens", [lambda folder: _tokens(folder, mill.run.manifest("decide").accounts)])
    for stage, rows in (("shards", 9), ("heldout", 1)):
        manifest = _stage(mill, stage, [lambda folder, rows=rows: _shards(folder, rows)] * 2, keys=("books", "web"))
        for domain, receipt in zip(("books", "web"), manifest.parts, strict=True):
            mill.run.place(mill.store.folder(receipt), f"{stage}/{domain}")
    _stage(mill, "plan", [lambda folder: _plan(folder, mill.run)])
    mill.run.place(mill.store.folder(mill.run.manifest("plan").parts[0]), "plan")
    if train:
        _train(mill)
    note_stages(mill.run)
    return mill


def note_stages(run: RunDir) -> None:
    """Write what a run keeps of its stages: those that have a manifest."""
    specs = runnable(in_order(BUILT_IN))
    names = [path.stem for path in (run.path / "manifests").glob("*.json")]
    running = [
        (name, spec)
        for spec in specs
        for name in sorted(names)
        if name == spec.name or (spec.each and name.startswith(f"{spec.name}-") and "model" not in name.split("-")[1:2])
    ]
    write_json(run.path / STAGES_FILE, RunStages.of(running, specs).to_json())


def _stage(mill: Mill, stage: str, makers: list, keys: tuple[str, ...] | None = None) -> Manifest:
    names = keys or tuple(f"{number:032x}" for number in range(len(makers)))
    parts = [mill.store.produce(stage, key, make)[0] for key, make in zip(names, makers, strict=True)]
    manifest = Manifest(stage, tuple(parts))
    mill.run.write_manifest(manifest)
    return manifest


def _part_maker(stage: str, source: str, n: int, licence: str, host: str):
    def make(folder: Path) -> Outcome:
        ids = [f"{source}-{i:03d}" for i in range(n)]
        accounts = {source: passed_on(n, 100 * n)}
        if stage == "documents":
            record = {
                "lang": None,
                "license": licence,
                "created": None,
                "meta": None,
                "domain": source,
                "source": source,
            }
            rows = [
                record | {"doc_id": d, "text": "x", "text_hash": d, "locator": d, "url": f"https://u:p@{host}/{d}"}
                for d in ids
            ]
            pq.write_table(pa.Table.from_pylist(rows, DOCUMENTS), folder / "documents.parquet")
            reject = {"source": source, "locator": "a:1", "bytes": 3}
            reasons = ["not_json", "not_json", "http_status"]
            rejects = pa.Table.from_pylist([reject | {"reason": reason} for reason in reasons], REJECTS)
            pq.write_table(rejects, folder / "rejects.parquet")
            accounts = {source: Account(n + 3, n, 3, 0, 120 * n + 9, 120 * n, 9, 0)}
            return Outcome(
                n, accounts, {"rejects": {"not_json": 2}, "skipped": {"http_status": 1}, "text_bytes": 100 * n}
            )
        if stage == "signals":
            columns = {
                "doc_id": ids,
                "bytes": [100.0] * n,
                "words": [float(i + 1) for i in range(n)],
                "byte_entropy_bits": [4.5] * (n - 1) + [float("nan")],
            }
            pq.write_table(pa.table(columns, signals_schema(SIGNALS)), folder / "signals.parquet")
        if stage == "language":
            columns = {"doc_id": ids, "lang_id": ["en" if i % 4 else "de" for i in range(n)], "lang_score": [0.9] * n}
            pq.write_table(pa.table(columns), folder / "language.parquet")
        languages = {"languages": {"en": n}, "scripts": {"latin": n}}
        facts = {
            "mentions": 5,
            "documents_with_entity": 3,
            "documents_with_linked_pair": 1,
            "triples": 4,
            "dangling_triples": 2,
            "unwitnessed": 0,
            "top_types": {"person": 4, "place": 1},
            "documents_by_entities": {"1": 20, "3": 3, "10": 1},
            "documents_by_type": {"person": {"1": 15, "3": 2, "10": 0}},
            "triples_by_relation": {"spouse": 3},
            "supported_by_relation": {"spouse": 2},
        }
        return Outcome(n, accounts, {"mentions": facts, "language": languages}.get(stage, {}))

    return make


def _decide(folder: Path, sources: dict[str, int]) -> Outcome:
    ledger, kept, accounts = [], [], {}
    for part, (source, n) in enumerate(sources.items()):
        counts = dict.fromkeys(("kept", "dropped", "merged"), 0)
        for i in range(n):
            verdict = "dropped" if i % 3 == 0 else "merged" if i % 5 == 0 else "kept"
            counts[verdict] += 1
            entry = {
                "doc_id": f"{source}-{i:03d}",
                "source": source,
                "domain": source,
                "stage": "decide",
                "verdict": verdict,
                "bytes": 100,
            }
            failed = [("words", ">= 50", float(i))] + [("lines", "<= 2", 9.0)] * (i % 2)
            if verdict == "dropped":
                ledger += [
                    entry | {"rule": rule, "signal": rule, "bound": bound, "value": value, "profile": "length v1"}
                    for rule, bound, value in failed
                ]
            else:
                ledger.append(entry | {"rule": "duplicate_near" if verdict == "merged" else None})
            if verdict == "kept":
                kept.append(
                    {
                        "doc_id": entry["doc_id"],
                        "source": source,
                        "domain": source,
                        "part": part,
                        "row": i,
                        "spans": [],
                        "weight": 1.0,
                        "heldout": False,
                    }
                )
        numbers = [n, counts["kept"], counts["dropped"], counts["merged"]]
        accounts[source] = Account(*numbers, *(100 * number for number in numbers))
    pq.write_table(pa.Table.from_pylist(ledger, LEDGER), folder / "ledger.parquet")
    pq.write_table(pa.Table.from_pylist(kept, KEPT), folder / "kept.parquet")
    return Outcome(len(kept), accounts, {})


def _tokens(folder: Path, decided: dict[str, Account]) -> Outcome:
    """All kept documents: cuts left text of each."""
    accounts = {source: passed_on(one.documents_kept, one.bytes_kept) for source, one in decided.items()}
    sources = [source for source, account in accounts.items() for _ in range(account.documents_kept)]
    pq.write_table(pa.table({"source": sources}), folder / "tokens.parquet")
    facts = {"tokens": {"web": 120, "books": 120}, "bytes": {"web": 2100, "books": 1100}}
    return Outcome(len(sources), accounts, {**facts, "vocab_size": 300, "engine": "kernels"})


def _shards(folder: Path, rows: int) -> Outcome:
    with ShardWriter(folder, row_tokens=16, vocab_size=300, shard_rows=4, batch_rows=4) as writer:
        documents = [[{"doc_id": f"{row:032x}", "start": 0, "length": 12, "offset": 0}] for row in range(rows)]
        writer.write(np.full((rows, 16), 5, np.uint16), pa.array(documents, pa.list_(ROW_DOCUMENT)))
    return Outcome(rows, {}, {"rows": rows})


def _plan(folder: Path, run: RunDir) -> Outcome:
    """16 samples of 25 : 75, then a ramp back over 16 more."""
    domains = tuple(
        Domain(name, 9, file_sha256(run.path / "shards" / name / "index.json")) for name in ("books", "web")
    )
    one, three = ONE // 4, ONE // 4 * 3
    segments = (Segment(16, (one, three), (one, three)), Segment(32, (one, three), (three, one)))
    plan = Plan.build(domains, row_tokens=16, seed=11, segments=segments)
    plan.save(folder)
    return Outcome(plan.samples, {}, {"samples": plan.samples})


def _train(mill: Mill) -> None:
    loss = {"first": 5.7, "last": 4.1, "heldout_before": 5.7, "heldout_after": 4.2, "heldout_unigram": 5.0}
    load = {"max_over_mean": 1.2, "min_over_mean": 0.8, "std": 0.1, "entropy": 0.98, "dead": 0}
    by_domain = {"web": {"before": 5.7, "after": 4.1, "unigram": 5.0}}
    summary = {
        "steps": 4,
        "samples": 32,
        "tokens_by_domain": {"books": 240, "web": 240},
        "heldout_load": load,
        "config": {"layers": 2, "score": "sigmoid"},
        "tokens": 480,
        "loss": loss,
        "load": load,
        "loss_by_domain": by_domain,
        "parameters": 9000,
        "active_parameters": 4000,
    }
    write_json(mill.run.path / "train" / "summary.json", summary)
    mill.run.write_manifest(Manifest("train", (Receipt("train", "t", 4, {}, {"summary": summary}, ()),)))


def _screen(mill: Mill, sources: dict[str, int]) -> None:
    """Receipts of the optional stages, one part a source, and one finds table."""
    for stage, facts in {
        "pii": {"finds": {"email": 3, "phone": 0}, "masked": 2},
        "blocklist": {"blocked_words": 4, "blocked_url": 1, "blocked_hash": 0},
        "line_edits": {"bytes_by_reason": {"c4:few_words": 120}, "edited": 5},
    }.items():
        _stage(mill, stage, [_passed(n, source, facts) for source, n in sources.items()])
    _stage(mill, "contamination", [_contaminated(source, n) for source, n in sources.items()])
    scored = {"reference": "ab" * 32}
    fitted = {"fitted_on": 1200, "heldout": 100, "ngrams": 5000, "order": 6}
    fitted |= {"cross_entropy": SPREAD, "word_order": dict.fromkeys(SPREAD)}
    _stage(mill, "reference-model-prose", [lambda _: Outcome(1300, {}, fitted)])
    for name in ("prose", "given"):
        _stage(mill, f"reference-{name}", [_passed(n, source, scored) for source, n in sources.items()])
    scores = {"precision": 0.9, "recall": 0.8, "f1": 0.85, "auc": None}
    model = {"examples": {"positive": 40, "negative": 50}, "trained_on": 80, "heldout": 10, "accuracy": 0.9}
    model |= {"labels": {"positive": scores, "negative": scores}}
    _stage(mill, "classifier-model-speech", [lambda _: Outcome(90, {}, model)])
    counts = {"units": 90, "duplicates": 4, "bytes_removed": 130}
    _stage(mill, "lines", [lambda _: Outcome(4, {}, {"unit": "line", **counts, "by_source": {"web": counts}})])
    removed = {"bytes_removed": 60}
    runs = {"min_tokens": 50, "tokens": 700, "windows": 12, **removed, "by_source": {"web": removed}}
    _stage(mill, "substrings", [lambda _: Outcome(2, {}, runs)])
    _stage(mill, "edits", [_edited])


def _passed(n: int, source: str, facts: dict):
    return lambda _: Outcome(n, {source: passed_on(n, 100 * n)}, facts)


def _contaminated(source: str, n: int):
    """Document i of a source holds passage i % 3, for i below 4; document 1 is kept, 0 and 3 are dropped."""

    def make(folder: Path) -> Outcome:
        rows = [{"doc_id": f"{source}-{i:03d}", "benchmark": "sums", "passage": i % 3, "share": 1.0} for i in range(4)]
        pq.write_table(pa.Table.from_pylist(rows), folder / "passages.parquet")
        found = {"benchmarks": {"sums": {"passages": 9, "too_short": 1, "found": 3, "documents": 4}}}
        return Outcome(n, {source: passed_on(n, 100 * n)}, found)

    return make


def _edited(folder: Path) -> Outcome:
    """190 bytes cut from web, where lines and substrings overlap in nothing, and two masks."""
    spans = {
        0: [(0, 40, "line"), (50, 65, "mask:EMAIL"), (70, 85, "mask:EMAIL")],
        1: [(0, 30, "line"), (40, 50, "mask:EMAIL")],
        2: [(0, 30, "line"), (40, 70, "substring")],
        3: [(0, 30, "line"), (40, 70, "substring")],
    }
    row = {"source": "web", "domain": "web", "part": 0, "weight": 1.0, "heldout": False}
    keys = ("start", "end", "reason")
    rows = [
        row | {"doc_id": f"{i}", "row": i, "spans": [dict(zip(keys, span, strict=True)) for span in spans.get(i, [])]}
        for i in range(22)
    ]
    pq.write_table(pa.Table.from_pylist(rows, KEPT), folder / "kept.parquet")
    cut = {"line": {"spans": 4, "bytes": 130, "documents": 4}, "substring": {"spans": 2, "bytes": 60, "documents": 2}}
    cut |= {"mask:EMAIL": {"spans": 3, "bytes": 40, "documents": 2}}
    accounts = {"web": Account(22, 22, 0, 0, 2200, 2010, 190, 0), "books": passed_on(10, 1000)}
    return Outcome(32, accounts, {"spans": 9, "by_reason": {"web": cut}})


@pytest.fixture(scope="session")
def edited():
    """Another card: this one with an edit of its JSON."""

    def make(card: Card, edit) -> Card:
        value = card.to_json()
        edit(value)
        return Card.from_json(value)

    return make


@pytest.fixture(scope="session")
def rich_mill(tmp_path_factory) -> Mill:
    """A run with every optional stage and a takedown."""
    mill = build_run(tmp_path_factory.mktemp("rich"), rich=True)
    record = {"date": "2026-01-31", "removed": ["a" * 32], "reelected": [], "rejects": 1, "left": [], "train": True}
    write_json(mill.run.path / TAKEDOWN, {"takedowns": [record]})
    return mill


@pytest.fixture(scope="session")
def mill(tmp_path_factory) -> Mill:
    """A plain run; tests read it and change only copies of its card."""
    return build_run(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="session")
def hostile_mill(tmp_path_factory) -> Mill:
    """The same with markup wherever an input can put text."""
    root = tmp_path_factory.mktemp("hostile")
    return build_run(root, licence=HOSTILE, host="a|b<i>.org", description=HOSTILE, train=False)
