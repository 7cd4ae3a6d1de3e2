"""Compiling the kernels that a recipe needs before its first stage, in processes side by side.

Each call does one stage's work on a tiny input, in a new process; what it compiles stays in the kernel cache, so that a
second run, a copy or a container compiles nothing. Stages that need a model or a list are given the smallest one.
"""

import json
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gristmill.corpus.warmup import Call, warm
from gristmill.flows.pipeline.progress import Reporter
from gristmill.flows.pipeline.stages import Instance

HERE = "gristmill.flows.pipeline.warming"
TEXTS = (
    "A tiny text of France and Germany. It has two lines,\nand a mail: a@b.org.",
    "Another one, which is longer than the first; 12 words.",
)
OTHERS = {  # by stage: who does its work on a tiny input
    "clusters": Call(f"{HERE}:cluster_tiny"),
    "lines": Call(f"{HERE}:cut_tiny", ("lines",)),
    "substrings": Call(f"{HERE}:cut_tiny", ("substrings",)),
    "decide": Call(f"{HERE}:decide_tiny"),
    "tokenizer": Call("gristmill.tokenizer.tiny_tokens:train_encode_and_pack"),
    "plan": Call("gristmill.handoff.tiny_plan:plan_and_read"),
    "neighbours": Call("gristmill.knowledge.tiny_neighbours:draw"),
    "train": Call("gristmill.trainer.tiny_step:train_and_measure"),
}
TINY = ("signals", "signatures", "line_edits", "pii", "blocklist", "contamination", "mentions", "reference", "entropy")


def warm_up(recipe: Path | None, reporter: Reporter, workers: int = 0) -> list[str]:
    """Compile what the stages of a recipe need; without one, what any recipe may need.

    Returns
    -------
    the stages whose kernels were compiled now

    Raises
    ------
    RecipeError : the recipe has mistakes
    """
    from gristmill.flows.pipeline.recipe_reading import load_recipe

    names = [stage.spec.name for stage in load_recipe(recipe).stages] if recipe else [*TINY, *OTHERS]
    calls = calls_of(names)
    if find_spec("torch") is None:  # an extra; a recipe that trains is refused without it
        calls.pop("train", None)
    made = _warm(calls, reporter, workers)
    return [name for name, call in calls.items() if call in made]


def warm_stages(stages: Sequence[Instance], reporter: Reporter, workers: int = 0) -> int:
    """Compile what the stages of a recipe need and the cache lacks; returns how many calls were made."""
    return len(_warm(calls_of([stage.spec.name for stage in stages]), reporter, workers))


def _warm(calls: dict[str, Call], reporter: Reporter, workers: int) -> Sequence[Call]:
    return warm(list(calls.values()), reporter.note, workers, lambda n_calls: reporter.stage("kernels", n_calls))


def calls_of(names: Sequence[str]) -> dict[str, Call]:
    """The work to do for stages of these names, the longest first; stages that compile nothing are left out."""
    every = {name: Call(f"{HERE}:measure_tiny", (name,)) for name in TINY} | OTHERS
    return {name: call for name, call in every.items() if name in names}


def measure_tiny(name: str) -> None:
    """Measure two documents by the stage of this name."""
    from gristmill.corpus.measuring import measure_part
    from gristmill.flows.pipeline.measure_documents import part_stage

    with tempfile.TemporaryDirectory() as folder_name:
        folder = Path(folder_name)
        options, artefacts = tiny_options(name, folder)
        measure_part(part_stage(name, None), write_tiny(folder), folder, options, artefacts)


def cluster_tiny() -> None:
    """Cluster three documents that are nearly the same: kernels that verify a pair see none otherwise."""
    from gristmill.dedup.clusters.cluster import cluster_documents

    with tempfile.TemporaryDirectory() as folder_name:
        folder = Path(folder_name)
        documents = write_tiny(folder, [f"{' '.join(map(str, range(99)))} {end}" for end in ("one", "two", "three")])
        _sign(documents, folder)
        clusters = folder / "clusters"
        clusters.mkdir()
        options: dict[str, Any] = {"threshold": 0.8, "hashes": 128, "bands": None, "rows": None, "shingle_words": 5}
        cluster_documents([folder / "signatures.parquet"], [documents], clusters, **options)


def cut_tiny(stage: str) -> None:
    """Look for repeats in two kept documents."""
    from gristmill.dedup.repeats.lines import line_spans
    from gristmill.dedup.repeats.substrings import substring_spans

    with tempfile.TemporaryDirectory() as folder_name:
        folder = Path(folder_name)
        documents = write_tiny(folder)
        arguments: dict[str, Any] = {"documents": [documents], "kept": [_kept()], "folder": folder}
        if stage == "lines":
            line_spans(**arguments, unit="line", min_chars=1, scope="corpus")
        else:
            substring_spans(**arguments, min_tokens=2)


def decide_tiny() -> None:
    """Choose held-out documents, and merge spans."""
    from gristmill.corpus.span_tables import merge_spans, put_spans
    from gristmill.filters.decide.verdicts import heldout_flags

    kept = _kept()
    heldout_flags(kept["doc_id"], 0.5, 1)
    put_spans(kept, merge_spans([kept.select(["doc_id", "spans"])]))


def write_tiny(folder: Path, texts: Sequence[str] = TEXTS) -> Path:
    """A few documents as a part, alike in all that kernels see to those that a reader writes."""
    import pyarrow as pa

    from gristmill.corpus.schema import DOCUMENTS
    from gristmill.corpus.tables import write_part

    names = [str(number) * 32 for number in range(len(texts))]
    given = {"doc_id": names, "text": list(texts), "text_hash": names, "locator": names}
    values = {field.name: given.get(field.name, ["x"] * len(names)) for field in DOCUMENTS}
    batch = pa.record_batch([pa.array(values[field.name], field.type) for field in DOCUMENTS], schema=DOCUMENTS)
    write_part(folder / "documents.parquet", DOCUMENTS, [batch])
    return folder / "documents.parquet"


def _kept() -> Any:
    import pyarrow as pa

    from gristmill.corpus.schema import KEPT

    spans = [[{"start": 0, "end": 1, "reason": "x"}, {"start": 2, "end": 4, "reason": "mask:X"}], []]
    columns = [["0" * 32, "1" * 32], ["x", "x"], ["x", "x"], [0, 0], [0, 1], spans, [1.0, 1.0], [False, False]]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, KEPT, strict=True)]
    return pa.table(arrays, schema=KEPT)


def _sign(documents: Path, folder: Path) -> None:
    from gristmill.corpus.measuring import measure_part
    from gristmill.dedup.clusters.stage import SIGNATURES, SignatureOptions

    measure_part(SIGNATURES, documents, folder, SignatureOptions(shingle_words=5, hashes=128, seed=1))


def tiny_options(name: str, folder: Path) -> tuple[Any, dict[str, list[Path]]]:
    """A section with everything on, and the smallest files that it can name."""
    from gristmill.dedup.clusters.stage import SignatureOptions
    from gristmill.filters.line_edits.stage import READINGS, LineEdits
    from gristmill.filters.lists.stage import Blocklist, Decontaminate
    from gristmill.filters.models.stage import Entropy, Reference
    from gristmill.filters.pii.stage import KINDS, Pii
    from gristmill.knowledge.stage import Knowledge

    listed = folder / "listed.txt"
    listed.write_text("tiny text\n", encoding="utf-8")
    passages = folder / "passages.jsonl"
    passages.write_text(json.dumps({"text": " ".join(TEXTS)}) + "\n", encoding="utf-8")
    if name == "mentions":
        return Knowledge(graph=str(folder), min_label_chars=4), {"graph": _graph(folder)}
    if name == "reference":
        return Reference(name="x", model="x"), {"model": [_reference(passages, folder)]}
    return {
        "signals": (None, {}),
        "entropy": (Entropy(), {}),
        "signatures": (SignatureOptions(shingle_words=5, hashes=128, seed=1), {}),
        "line_edits": (LineEdits(rules=READINGS), {}),  # type: ignore[arg-type]
        "pii": (Pii(**dict.fromkeys(KINDS, "mask")), {}),  # type: ignore[arg-type]
        "blocklist": (Blocklist(), {"words": [listed], "urls": [listed], "hashes": [listed]}),
        "contamination": (Decontaminate(sets={"x": ("x",)}, ngram=5, short_ngram=5), {"x": [passages]}),
    }[name]


def _reference(texts: Path, folder: Path) -> Path:
    from gristmill.filters.models.reference import FILE, fit_reference

    fit_reference(folder, texts=[texts])
    return folder / FILE


def _graph(folder: Path) -> list[Path]:
    import polars as pl

    from gristmill.knowledge.stage import GRAPH_FILES

    paths = [folder / name for name in GRAPH_FILES]
    rows = [("a", "France", "country"), ("b", "Germany", "country")]
    columns = {
        "id": [row[0] for row in rows],
        "label": [row[1] for row in rows],
        "type": [row[2] for row in rows],
        "aliases": [[], []],
        "lang": ["en", "en"],
        "description": ["", ""],
    }
    pl.DataFrame(columns, schema_overrides={"aliases": pl.List(pl.String)}).write_parquet(paths[0])
    pl.DataFrame({"head": ["a"], "relation": ["near"], "tail": ["b"]}).write_parquet(paths[1])
    return paths
