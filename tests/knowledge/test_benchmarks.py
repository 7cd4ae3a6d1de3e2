"""Triples of benchmarks that documents state, against a query in polars; planted triples change the count."""

from itertools import pairwise

import polars as pl
import pytest

from gristmill.corpus.errors import SchemaError, SourceError
from gristmill.corpus.measuring import measure_part
from gristmill.filters.decide.profiles import PROFILES
from gristmill.knowledge.stage import MENTIONS, Knowledge
from tests.tokenizer.conftest import sample_texts

WINDOW = 120


def measured(documents, folder, graph, files):
    folder.mkdir()
    options = Knowledge(graph="g", support_bytes=WINDOW, benchmarks={name: str(path) for name, path in files.items()})
    artefacts = {"graph": [graph / "entities.parquet", graph / "triples.parquet"]}
    artefacts |= {f"benchmarks.{name}": [path] for name, path in files.items()}
    outcome = measure_part(MENTIONS, documents, folder, options, artefacts)
    return outcome.facts, pl.read_parquet(folder / "knowledge.parquet"), pl.read_parquet(folder / "mentions.parquet")


def by_query(mentions, triples):
    """doc_id -> distinct triples whose two ends are mentioned with WINDOW bytes between at most."""
    flat = mentions.explode("mentions").drop_nulls().unnest("mentions").with_row_index("n")
    both = flat.join(flat, on="doc_id", suffix="_other").filter(
        pl.col("n") < pl.col("n_other"), pl.col("start_other") - pl.col("end") <= WINDOW
    )
    near = pl.concat(
        [
            both.select("doc_id", head="entity", tail="entity_other"),
            both.select("doc_id", head="entity_other", tail="entity"),
        ]
    ).unique()
    found = near.filter(pl.col("head") != pl.col("tail")).join(triples.unique(), on=["head", "tail"])
    return dict(found.group_by("doc_id").len().rows())


def test_counts_equal_a_query_and_planted_triples_change_them(sample_folder, write_documents, tmp_path):
    documents = write_documents(sample_texts("reference/world-factbook.parquet", 12), batch_rows=5)
    triples = pl.read_parquet(sample_folder / "triples.parquet").sort("head", "relation", "tail")
    one, other = triples.gather_every(3), triples.gather_every(7).with_columns(relation=pl.lit("asked"))
    one.write_parquet(tmp_path / "one.parquet")
    other.write_csv(tmp_path / "other.csv")
    files = {"one": tmp_path / "one.parquet", "other": tmp_path / "other.csv"}
    facts, signals, mentions = measured(documents, tmp_path / "a", sample_folder, files)
    expected = [by_query(mentions, table) for table in (one, other)]
    total = {name: expected[0].get(name, 0) + expected[1].get(name, 0) for name in signals["doc_id"]}
    assert dict(signals.select("doc_id", "benchmark_triples").rows()) == total
    assert sum(total.values()) > 50
    assert facts["benchmark_stated"] == {n: sum(e.values()) for n, e in zip(files, expected, strict=True)}
    assert facts["benchmark_documents"] == {n: len(e) for n, e in zip(files, expected, strict=True)}
    name, found = mentions.row(0)
    near = ((a, b) for a, b in pairwise(found) if a["entity"] != b["entity"] and b["start"] - a["end"] <= WINDOW)
    pair = [one["entity"] for one in next(near)]
    planted = pl.concat([one, pl.DataFrame({"head": [pair[0]], "relation": ["planted"], "tail": [pair[1]]})])
    planted.write_parquet(tmp_path / "one.parquet")
    again = measured(documents, tmp_path / "b", sample_folder, files)[1]
    before, after = (dict(table.select("doc_id", "benchmark_triples").rows()) for table in (signals, again))
    assert after[name] == before[name] + 1


def test_it_stands_in_no_profile_and_is_measured_only_where_asked_for(sample_folder, write_documents, tmp_path):
    assert "benchmark_triples" not in {rule.signal for profile in PROFILES.values() for rule in profile.rules}
    assert "benchmark_triples" not in measured(write_documents(["x"]), tmp_path / "a", sample_folder, {})[1].columns


def test_a_file_that_is_no_benchmark(sample_folder, write_documents, tmp_path):
    documents = write_documents(["x"])
    for name, text, kind, match in (
        ("a.csv", "head,relation\nx,y\n", SchemaError, r"knowledge\.benchmarks\.x: .* no column 'tail'"),
        ("b.csv", "head,tail\nno,entity\n", SourceError, "no triple of .* has two entities"),
        ("c.txt", "", SourceError, r"no \.parquet, \.csv or \.tsv"),
        ("d.parquet", "PAR", SourceError, "cannot be read as parquet"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(kind, match=match):
            measured(documents, tmp_path / f"{name}.out", sample_folder, {"x": tmp_path / name})
