"""The stages that cut passages which an earlier kept document has: repeated lines, repeated runs of tokens; as spans.

They pass all bytes on in their account; ``edits`` makes one list of all spans and counts every byte once.
"""

from collections.abc import Callable

from gristmill.corpus.receipt import Manifest, Outcome
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.jobs import Job, job_key
from gristmill.flows.pipeline.kept import kept_by_part, kept_digest
from gristmill.flows.pipeline.measure_documents import DOCUMENTS_FILE
from gristmill.flows.pipeline.stages import Instance


def cut_lines(context: RunContext, stage: Instance) -> Manifest:
    """Lines or paragraphs that an earlier kept document has."""
    from gristmill.dedup.repeats.lines import line_spans

    return _cut(context, stage, line_spans)


def cut_substrings(context: RunContext, stage: Instance) -> Manifest:
    """Runs of tokens that an earlier kept document has."""
    from gristmill.dedup.repeats.substrings import substring_spans

    return _cut(context, stage, substring_spans)


def _cut(context: RunContext, stage: Instance, function: Callable[..., Outcome]) -> Manifest:
    options = stage.options.model_dump()
    kept, parts = kept_by_part(context, "decide"), context.run.manifest("documents").parts
    inputs = [[part.key, kept_digest(rows)] for part, rows in zip(parts, kept, strict=True)]
    key = job_key(stage.name, stage.spec.version, inputs, **options)
    arguments = {"documents": context.refs("documents", DOCUMENTS_FILE), "kept": kept, **options}
    return context.compute(stage.name, [Job(stage.name, key, function, arguments)])
