"""Stages that add columns: one job for every part of the documents."""

from collections.abc import Callable
from typing import Any

from gristmill.corpus.receipt import Manifest, Outcome, Receipt
from gristmill.flows.pipeline.context import Mill
from gristmill.flows.pipeline.jobs import Job, Ref, job_key
from gristmill.flows.pipeline.versions import stage_version

DOCUMENTS, REJECTS = "documents.parquet", "rejects.parquet"


def each_part(
    mill: Mill, stage: str, function: Callable[..., Outcome], arguments: dict[str, Any], **parameters: Any
) -> Manifest:
    """Run ``function(documents=..., folder=..., **arguments)`` on every part.

    Parameters
    ----------
    parameters : what the key depends on beside the part and the stage's version; digests in place of files
    """
    version = stage_version(stage)

    def job(part: Receipt) -> Job:
        key = job_key(stage, version, part.key, **parameters)
        return Job(stage, key, function, {"documents": Ref(part, DOCUMENTS), **arguments})

    return mill.stage(stage, [job(part) for part in mill.run.manifest("documents").parts])
