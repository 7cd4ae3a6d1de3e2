"""The targets of rows: which rows are written and in which order. How a format keeps them stands with each target.

Held-out rows stand in a folder of their own, so that no training reads them by mistake.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gristmill.corpus.errors import StoreError
from gristmill.flows.export.document_count import DocumentCount
from gristmill.flows.export.part_files import write_index
from gristmill.flows.export.row_blocks import DomainRows, RowBlock, in_plan_order, in_stored_order, open_domains
from gristmill.flows.export.row_part import Index, Layout, PartSeries, RowPart
from gristmill.flows.export.target import PLAN_ORDER, Exported, ExportedFile, ExportOptions
from gristmill.flows.pipeline.context import RunContext
from gristmill.handoff.plan import Plan

TRAIN, HELDOUT = "train", "heldout"
PART_BYTES = 64 << 20  # of tokens; offsets of the sample formats are uint32, and a row takes up to 15 times its tokens


class Stretch(NamedTuple):
    """Rows that are written one after the other, into a folder of their own below that of the export."""

    folder: str
    blocks: Iterator[RowBlock]


class PackedRun:
    """The rows of a run, by domain, and what they have in common.

    Raises
    ------
    StoreError : the run has no shards yet, or no row
    """

    def __init__(self, context: RunContext):
        names = context.recipe.domains
        self.names = names
        for stage in ("shards", HELDOUT):
            context.run.manifest(stage)
        self.train = open_domains(context.run.path / "shards", names)
        self.heldout = open_domains(context.run.path / HELDOUT, names)
        opened = [one.reader for one in (*self.train.values(), *self.heldout.values())]
        if not opened:
            raise StoreError(f"{context.run.path} has no row: none of its documents was kept")
        first, masked = opened[0], any(reader.has_targets for reader in opened)
        part_rows = min(first.index["shard_rows"], max(1, PART_BYTES // (first.row_tokens * first.dtype.itemsize)))
        self.layout = Layout(first.row_tokens, str(first.dtype), first.index["vocab_size"], names, masked, part_rows)

    def both(self) -> tuple[tuple[str, Mapping[int, DomainRows]], ...]:
        """Rows to train on and held-out ones, each with the folder that they are written to."""
        return ((TRAIN, self.train), (HELDOUT, self.heldout))


def export_rows(
    context: RunContext, folder: Path, options: ExportOptions, part: type[RowPart], index: Index | None = None
) -> Exported:
    """Write the rows of a run part by part.

    Parameters
    ----------
    part : writes one part
    index : what ``index.json`` says of the parts of a folder, for formats that have one

    Raises
    ------
    StoreError : an option that rows cannot have; the run has no rows, or with ``--order plan`` no plan
    ConservationError : documents written and left out are not those that decide kept
    """
    check_options(context, options)
    rows, count = PackedRun(context), DocumentCount()
    files: list[ExportedFile] = []
    for stretch in stretches(context, rows, options):
        series = PartSeries(folder, stretch.folder, rows.layout, part)
        for block in stretch.blocks:
            series.write(block)
            count.add(block.documents)
        series.close()
        files += series.done
        if index and series.done:
            beside = [replace(file, path=Path(file.path).name) for file in series.done]
            stated = index(beside, rows.layout)
            files.append(write_index(folder, stretch.folder, stated, sum(file.rows for file in beside)))
    return exported(context, options, files, rows.layout, count)


def check_options(context: RunContext, options: ExportOptions) -> None:
    """What cannot be asked of rows; StoreError before a file is written."""
    if options.columns:
        raise StoreError(f"--with {options.columns[0]}: signals are of documents, and a row holds several of them")
    if options.by == "source":
        raise StoreError("--by source: a row holds documents of several sources; write --by domain")
    if options.by and options.order == PLAN_ORDER:
        raise StoreError("--by domain with --order plan: the order of a plan is one over all domains")
    if options.order == PLAN_ORDER and not context.run.has("plan"):
        raise StoreError(f"--order plan: {context.run.path} has no plan; leave --order out")


def stretches(context: RunContext, rows: PackedRun, options: ExportOptions) -> Iterator[Stretch]:
    """What goes into which folder. Held-out rows have no order but the stored one."""
    for folder, domains in rows.both():
        if folder == TRAIN and options.order == PLAN_ORDER:
            yield Stretch(folder, _planned(Plan.load(context.run.path / "plan"), rows))
        elif options.by:
            for place, one in domains.items():
                yield Stretch(f"{folder}/{rows.names[place]}", in_stored_order({place: one}))
        else:
            yield Stretch(folder, in_stored_order(domains))


def _planned(plan: Plan, rows: PackedRun) -> Iterator[RowBlock]:
    """The samples of the plan; domains count as in the recipe, of which the plan may leave some out."""
    numbers = np.array([rows.names.index(name) for name in plan.names], np.int16)
    opened = {place: rows.train[number] for place, number in enumerate(numbers.tolist()) if number in rows.train}
    for block in in_plan_order(plan, opened):
        yield block._replace(domain=numbers[block.domain])


def exported(
    context: RunContext, options: ExportOptions, files: Sequence[ExportedFile], layout: Layout, count: DocumentCount
) -> Exported:
    """What was written, with the documents that the rows hold."""
    counted = count.by_source(context, all_rows=options.order != PLAN_ORDER)
    stated = {name: getattr(layout, name) for name in ("row_tokens", "token_type", "vocab_size")}
    if options.order == PLAN_ORDER:
        stated["undrawn"] = dict(counted.undrawn)
    return Exported(tuple(files), counted.written, counted.heldout, counted.emptied, stated)
