"""The stage ``graph``: files of another form read into the tables of a graph; and where the graph of a run lies."""

from pathlib import Path

from gristmill.corpus.receipt import Manifest
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.jobs import Job, Ref, job_key
from gristmill.flows.pipeline.stages import Instance
from gristmill.knowledge.graph_source import GRAPH_FILES, Read, format_of
from gristmill.knowledge.stage import check_types, linking_options


def read_graph(context: RunContext, stage: Instance) -> Manifest:
    """One job: what says an entity may stand anywhere in the files."""
    from gristmill.knowledge.read_graph import read_graph as read

    section, files = stage.options, context.inputs.of_stage(stage.name)["graph"]
    options = section.read or Read()
    options = options.model_copy(update={"languages": options.languages or section.languages})
    form = format_of(section.graph, section.read)
    names = [path.name for path in files.paths]  # forms follow from them
    key = job_key(stage.name, stage.spec.version, files.digest, form=form, names=names, options=options.model_dump())
    arguments = {"files": files.paths, "form": form, "options": options}
    manifest = context.compute(stage.name, [Job(stage.name, key, read, arguments)])
    check_types(section, context.file(stage.name, GRAPH_FILES[0]))
    return manifest


def index_names(context: RunContext, stage: Instance) -> Manifest:
    """One job; keyed by the graph and by what the recipe wants of its names."""
    from gristmill.knowledge.mapped_graph import index_stage

    graph, digest = graph_of(context)
    section = linking_options(stage.options, 0)
    names = section.model_dump(include={"languages", "min_label_chars"})
    key = job_key(stage.name, stage.spec.version, digest, **names)
    return context.compute(stage.name, [Job(stage.name, key, index_stage, {"graph": graph, "section": section})])


def graph_of(context: RunContext) -> tuple[Path | Ref, str]:
    """The folder of the graph's tables, for the arguments of a job, and what names its content."""
    if "graph" in context.stage_names:
        (receipt,) = context.run.manifest("graph").parts
        return Ref(receipt, ""), receipt.key
    graph = context.inputs.of_stage("mentions")["graph"]
    return graph.paths[0].parent, graph.digest
