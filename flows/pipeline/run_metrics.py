"""What a run did, as Prometheus text: RUN/metrics.prom, for a textfile collector or a scrape of files.

Documents, bytes, rejects, seconds and found store entries of every stage; labels are recipe, stage and source.
"""

from collections.abc import Iterable, Iterator, Mapping

from gristmill.corpus.files import write_text
from gristmill.corpus.rundir import RunDir
from gristmill.flows.pipeline.ingest import rejects_of
from gristmill.flows.pipeline.run_report import StageReport

METRICS_FILE = "metrics.prom"
_STAGES = {  # by metric: what it says, and the field of a stage's report; all are gauges of the last command
    "gristmill_stage_documents_in": ("documents that the stage read", "documents_in"),
    "gristmill_stage_documents_out": ("documents that it passed on", "documents_out"),
    "gristmill_stage_bytes_in": ("bytes of text that it read", "bytes_in"),
    "gristmill_stage_bytes_out": ("bytes of text that it passed on", "bytes_out"),
    "gristmill_stage_seconds": ("seconds by the clock", "seconds"),
    "gristmill_stage_cpu_seconds": ("CPU seconds of this process", "cpu_seconds"),
    "gristmill_stage_parts_computed": ("parts that were computed", "computed"),
    "gristmill_stage_parts_reused": ("parts that the store had: cache hits", "reused"),
}

Labels = Mapping[str, str]


def write_metrics(run: RunDir, stages: Mapping[str, StageReport]) -> None:
    """Write the metrics of a run beside its report."""
    lines = [*_stage_lines(run.path.parent.name, stages), *_source_lines(run)]
    write_text(run.path / METRICS_FILE, "".join(f"{line}\n" for line in lines))


def _stage_lines(recipe: str, stages: Mapping[str, StageReport]) -> Iterator[str]:
    for name, (text, field) in _STAGES.items():
        values = (({"recipe": recipe, "stage": stage}, getattr(one, field)) for stage, one in stages.items())
        yield from metric(name, text, values)


def _source_lines(run: RunDir) -> Iterator[str]:
    recipe = run.path.parent.name
    if run.has("documents"):
        counts = [
            ({"recipe": recipe, "source": source, "reason": reason}, count)
            for source, reasons in rejects_of(run).items()
            for reason, count in reasons.items()
        ]
        yield from metric("gristmill_rejects", "records that are no documents", counts)
    if run.has("decide"):
        accounts = run.manifest("decide").accounts.items()
        counts = [
            ({"recipe": recipe, "source": source, "verdict": verdict}, getattr(account, f"documents_{verdict}"))
            for source, account in accounts
            for verdict in ("kept", "dropped", "merged")
        ]
        yield from metric("gristmill_documents", "documents by verdict", counts)


def metric(name: str, text: str, values: Iterable[tuple[Labels, float]]) -> Iterator[str]:
    r"""A gauge in the text format 0.0.4.

    >>> list(metric("a", "what", [({"stage": 'x"y'}, 3)]))
    ['# HELP a what', '# TYPE a gauge', 'a{stage="x\\"y"} 3']
    """
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} gauge"
    for labels, value in values:
        inner = ",".join(f'{key}="{_escaped(one)}"' for key, one in labels.items())
        yield f"{name}{{{inner}}} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
