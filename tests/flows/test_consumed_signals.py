"""Histograms of rows over a basis: against the rows themselves, for signals that a run has and has not."""

import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from gristmill.corpus.errors import RecipeError
from gristmill.flows.pipeline.jobs import resolve
from gristmill.flows.pipeline.open_context import reopen_run
from gristmill.flows.pipeline.recipe_reading import parse_recipe
from gristmill.flows.pipeline.row_order import signal_refs
from gristmill.flows.tune.consumed_signals import (
    HISTOGRAMS,
    basis_of,
    histogram_jobs,
    kept_values,
    pieces_of_rows,
    write_histograms,
)
from gristmill.handoff.reader import ShardReader
from gristmill.mixing.signal_basis import AXES, Axis, Basis
from tests.conftest import HOUSE, SMALL


@pytest.fixture
def context(small_run, small_home, tmp_path, monkeypatch):
    monkeypatch.chdir(HOUSE)
    shutil.copytree(small_home, tmp_path / "copy")
    with reopen_run(tmp_path / "copy" / small_run.relative_to(small_home)) as opened:
        yield opened


def stored_values(context, signal):
    """A signal by doc_id."""
    paths = [resolve(context.store, ref) for ref in signal_refs(context, signal)]
    tables = [pq.read_table(path, columns=["doc_id", signal]) for path in paths]
    return {row["doc_id"]: row[signal] for table in tables for row in table.to_pylist()}


def test_the_basis_is_of_the_kept_documents(context):
    basis = basis_of(context)
    assert [axis.signal for axis in basis.axes] == sorted(AXES)
    assert basis.corpus == context.recipe.sources_by_domain
    kept = pq.read_table(context.file("decide", "kept.parquet"))
    paths = resolve(context.store, list(signal_refs(context, "upper_share")))
    by_id = stored_values(context, "upper_share")
    assert kept_values(kept, paths, "upper_share").tolist() == [by_id[one] for one in kept["doc_id"].to_pylist()]
    assert np.isnan(kept_values(kept, [], "upper_share")).all()


def test_a_row_lies_where_its_documents_do(context, tmp_path):
    basis = Basis((Axis("upper_share", (0.02, 0.05)), Axis("not_measured_here", (1.0,))), {})
    by_id = stored_values(context, "upper_share")
    for domain, job in histogram_jobs(context, basis).items():
        folder = tmp_path / domain
        folder.mkdir()
        arguments = {name: resolve(context.store, value) for name, value in job.arguments.items()}
        outcome = write_histograms(**arguments, folder=folder)
        found, reader = np.load(folder / HISTOGRAMS), ShardReader(arguments["shards"])
        assert outcome.rows == reader.rows == len(found)
        for row, documents in enumerate(reader.documents(np.arange(reader.rows))):
            expected = np.zeros(basis.cells)
            for one in documents:
                expected[sum(by_id[one["doc_id"]] >= edge for edge in (0.02, 0.05))] += one["length"]
                expected[basis.cells - 1] += one["length"]  # the cell of texts without the signal
            assert found[row].tolist() == expected.tolist()
        assert len(pieces_of_rows(arguments["shards"])[1]) == sum(map(len, reader.documents(np.arange(reader.rows))))


def test_a_basis_that_is_not_there_is_a_mistake_of_the_recipe(monkeypatch):
    monkeypatch.chdir(HOUSE)
    with pytest.raises(RecipeError, match=r"tune\.basis: no file at none\.json"):
        parse_recipe(SMALL + '[tune]\nbasis = "none.json"\ntokens = 6000\n')
