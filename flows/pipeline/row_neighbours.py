"""The stage ``neighbours``: for each domain, the graph's neighbourhoods of the entities that stand in its rows.

Mentions are bytes of the documents; their tokens are found here, where the rooms of tokens and of the graph meet.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.corpus.receipt import Manifest, Outcome
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.graph_entries import graph_of
from gristmill.flows.pipeline.jobs import Job, Ref, job_key
from gristmill.flows.pipeline.kept import by_part
from gristmill.flows.pipeline.stages import Instance
from gristmill.knowledge.stage import Knowledge

if TYPE_CHECKING:
    import polars as pl

    from gristmill.knowledge.graph_table import Graph
    from gristmill.knowledge.neighbourhoods import KnownGraph, LabelTokens

ROWS = ("shards", "heldout")
FOLDER = "neighbours"


@dataclass(frozen=True, slots=True)
class DomainRows:
    """One domain's rows, of training or held out, and the marks of documents with their middle at the end."""

    domain: str
    heldout: bool
    marks: tuple[str, ...] = ()


def export_neighbours(context: RunContext, stage: Instance) -> Manifest:
    """One job for each domain, and one for its held-out rows; what they write lies beside the rows."""
    manifest = context.compute(stage.name, [_job(context, stage, rows, domain) for rows, domain in folders_of(context)])
    for (rows, domain), receipt in zip(folders_of(context), manifest.parts, strict=True):
        context.place(f"{FOLDER}/{rows}/{domain}", receipt)
    return manifest


def folders_of(context: RunContext) -> list[tuple[str, str]]:
    """(shards or heldout, domain) of each part of the stage, in order."""
    return [(rows, domain) for rows in ROWS for domain in context.recipe.domains]


def _job(context: RunContext, stage: Instance, rows: str, domain: str) -> Job:
    (graph, digest), section = graph_of(context), context.recipe.knowledge
    assert section is not None
    packed = dict(zip(context.recipe.domains, context.run.manifest(rows).parts, strict=True))[domain]
    of = DomainRows(
        domain, rows == "heldout", context.recipe.fill_in_middle.named if context.recipe.fill_in_middle else ()
    )
    seed = context.seed(stage.name)
    tokens, mentions = (context.run.manifest(name).parts for name in ("tokens", "mentions"))
    inputs = [packed.key, [part.key for part in tokens], [part.key for part in mentions], digest]
    settings = {"section": stage.options.model_dump(), "languages": section.languages, "rows": asdict(of), "seed": seed}
    files = {
        "graph": graph,
        "index": Ref(context.run.manifest("names").parts[0], ""),
        "kept": Ref(context.run.manifest("edits" if context.run.has("edits") else "decide").parts[0], "kept.parquet"),
        "documents": context.refs("documents", "documents.parquet"),
        "tokens": context.refs("tokens", "tokens.parquet"),
        "mentions": context.refs("mentions", "mentions.parquet"),
        "tokenizer": Ref(context.run.manifest("tokenizer").parts[0], "tokenizer.json"),
        "shards": Ref(packed, ""),
    }
    key = job_key(stage.name, stage.spec.version, inputs, **settings)
    return Job(stage.name, key, neighbours_stage, {"section": section, "files": files, "of": of, "seed": seed})


def neighbours_stage(
    section: Knowledge, files: Mapping[str, Any], folder: Path, *, of: DomainRows, seed: int
) -> Outcome:
    """Write the neighbourhoods of one domain's rows into ``folder``; facts: ``NeighboursFacts``.

    Parameters
    ----------
    files : graph, a folder, and the index of its names; kept.parquet with the spans that were cut; documents.parquet,
        tokens.parquet and mentions.parquet of every part; tokenizer.json; shards, the folder of the rows
    """
    from gristmill.flows.pipeline.mention_tokens import Part, part_mentions, together
    from gristmill.knowledge.neighbourhoods import write_neighbourhoods
    from gristmill.tokenizer.token_places import TokenPlaces

    wanted = (pc.field("domain") == of.domain) & (pc.field("heldout") == of.heldout)
    rows = pq.read_table(files["kept"], columns=["doc_id", "part", "row", "spans"], filters=wanted)
    places, lost = TokenPlaces(files["tokenizer"], of.marks), Counter[str]()
    parts = []
    for number, part in enumerate(by_part(rows, len(files["documents"]))):
        if part.num_rows:
            of_part = Part(*(files[name][number] for name in Part._fields))
            parts.append(part_mentions(part, of_part, places, lost))
    assert section.neighbours is not None
    known = _known(
        files["graph"], files["index"], section, _label_tokens(files["tokenizer"], spaced=places.joins_bytes)
    )
    facts = write_neighbourhoods(together(parts), files["shards"], known, section.neighbours, folder, seed=seed)
    left_out = {name: n for name, n in sorted({**facts.left_out, **lost}.items()) if n}
    facts = replace(facts, mentions=facts.mentions + lost.total(), left_out=left_out)
    return Outcome(facts.placed, facts=asdict(facts))


def _known(folder: Path, index: Path, section: Knowledge, label_tokens: "LabelTokens") -> "KnownGraph":
    """The graph, and the names of its entities; the last one stays in memory, for the parts of the stage."""
    from gristmill.knowledge.mapped_graph import open_graph
    from gristmill.knowledge.neighbourhoods import KnownGraph

    graph = open_graph(index)
    return KnownGraph(graph, *_names_and_labels(folder, section.languages, graph), label_tokens)


@lru_cache(maxsize=1)
def _names_and_labels(folder: Path, languages: tuple[str, ...], graph: "Graph") -> "tuple[pl.DataFrame, pl.DataFrame]":
    import polars as pl

    from gristmill.knowledge.answer_names import entity_names
    from gristmill.knowledge.graph import read_tables
    from gristmill.knowledge.verbalise import best_labels

    entities, _ = read_tables(folder)
    ordinals = pl.DataFrame({"id": graph.ids}).with_row_index("entity").with_columns(pl.col("entity").cast(pl.Int32))
    names = entity_names(entities.join(ordinals, on="id"))
    return names, best_labels(entities, languages or ("en",)).select("label", "type")


def _label_tokens(tokenizer: Path, *, spaced: bool) -> "LabelTokens":
    """Tokens of labels as inside a text, after a space, without the end token."""
    from gristmill.tokenizer.encoder import CheckedEncoder

    encoder = CheckedEncoder(tokenizer)
    ends = int(encoder.text.end_id is not None)

    def tokens_of(labels: pa.LargeStringArray) -> pa.ListArray:
        nothing, space = (pa.scalar(text, pa.large_string()) for text in ("", " "))
        texts = pc.binary_join_element_wise(nothing, labels, space) if spaced else labels
        found = encoder.encode(texts)
        lengths = np.diff(found.offsets) - ends
        inside = np.repeat(np.arange(len(lengths)), np.diff(found.offsets))
        last = np.arange(len(found.ids)) >= found.offsets[1:][inside] - ends
        offsets = np.append(0, np.cumsum(lengths)).astype(np.int32)
        return pa.ListArray.from_arrays(pa.array(offsets), pa.array(found.ids[~last].astype(np.int32)))

    return tokens_of
