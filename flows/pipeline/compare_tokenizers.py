"""The stage that counts the kept text in the tokens of other tokenizers, one job for each of them."""

from pathlib import Path
from typing import Any

from gristmill.corpus.receipt import Manifest
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.jobs import Job, Ref, job_key
from gristmill.flows.pipeline.kept import kept_by_part, kept_digest
from gristmill.flows.pipeline.locking import libraries_of
from gristmill.flows.pipeline.measure_documents import DOCUMENTS_FILE
from gristmill.flows.pipeline.stages import Instance


def compare_tokenizers(context: RunContext, stage: Instance) -> Manifest:
    """Nothing reads what it finds but the card: encoding waits for none of it, and shards do not change by it."""
    own = context.run.manifest("tokenizer").parts[0]
    files = context.inputs.of_stage(stage.name)
    jobs = [_job(context, stage, "", own.key, Ref(own, "tokenizer.json"))]
    for name in stage.options.files:
        file = files[f"files.{name}"]
        jobs.append(_job(context, stage, name, file.digest, file.paths[0]))
    return context.compute(stage.name, jobs)


def _job(context: RunContext, stage: Instance, name: str, digest: str, tokenizer: Ref | Path) -> Job:
    from gristmill.tokenizer.compared_tokens import compare_tokens

    documents = context.run.manifest("documents").parts
    languages = context.run.manifest("language").parts if context.run.has("language") else [None] * len(documents)
    parts: list[tuple[Any, ...]] = []
    inputs: list[list[str]] = []
    for part, kept, language in zip(documents, kept_by_part(context), languages, strict=True):
        parts.append((Ref(part, DOCUMENTS_FILE), kept, language and Ref(language, "language.parquet")))
        inputs.append([part.key, kept_digest(kept), language.key if language else ""])
    libraries = libraries_of(stage)
    key = job_key(stage.name, stage.spec.version, inputs, libraries=libraries, tokenizer=digest, name=name)
    return Job(stage.name, key, compare_tokens, {"parts": parts, "tokenizer": tokenizer, "name": name})
