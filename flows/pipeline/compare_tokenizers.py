"""The stage that counts the kept text in the tokens of other tokenizers, part by part."""

from gristmill.corpus.receipt import Manifest
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.jobs import Job, Ref, job_key
from gristmill.flows.pipeline.kept import kept_by_part, kept_digest
from gristmill.flows.pipeline.locking import libraries_of
from gristmill.flows.pipeline.measure_documents import DOCUMENTS_FILE
from gristmill.flows.pipeline.stages import Instance


def compare_tokenizers(context: RunContext, stage: Instance) -> Manifest:
    """Nothing reads what it finds but the card: encoding waits for none of it, and shards do not change by it."""
    from gristmill.tokenizer.compared_tokens import compare_part

    own = context.run.manifest("tokenizer").parts[0]
    named = {name: context.inputs.of_stage(stage.name)[f"files.{name}"] for name in stage.options.files}
    others = {name: file.paths[0] for name, file in named.items()}
    digests = {name: file.digest for name, file in named.items()}
    languages = context.run.manifest("language").parts if context.run.has("language") else ()
    parts, jobs = context.run.manifest("documents").parts, []
    for place, (part, kept) in enumerate(zip(parts, kept_by_part(context), strict=True)):
        language = [languages[place]] if languages else []
        inputs = [part.key, kept_digest(kept), own.key, *(one.key for one in language)]
        key = job_key(stage.name, stage.spec.version, inputs, libraries=libraries_of(stage), others=digests)
        arguments = {"documents": Ref(part, DOCUMENTS_FILE), "kept": kept, "own": Ref(own, "tokenizer.json")}
        arguments |= {"others": others, **({"language": Ref(language[0], "language.parquet")} if language else {})}
        jobs.append(Job(stage.name, key, compare_part, arguments))
    return context.compute(stage.name, jobs)
