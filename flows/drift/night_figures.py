"""What one run is like, in counts by source and domain, from stored columns and manifests alone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl
import pyarrow as pa

from gristmill.corpus.account import Account
from gristmill.corpus.whole_columns import coded
from gristmill.flows.drift.stability_index import bin_counts, bin_edges
from gristmill.flows.inspect.run_evidence import gather_run, rules_of_run, signals_read
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.signal_tables import known_signals

Bins = Mapping[str, Mapping[str, tuple[float, ...]]]  # by source and signal: edges
LEAST_DOCUMENTS = 500  # of a source: below it an index over ten bins is mostly chance
PII = "pii_total"


@dataclass(frozen=True, slots=True)
class SourceFigures:
    """One source. ``languages`` by primary subtag, "" where unknown; ``pii`` finds, None where none are looked for."""

    documents: int
    bytes: int
    merged: int
    pii: int | None
    languages: Mapping[str, int]
    signals: Mapping[str, tuple[int, ...]]  # counts in bins, the last of documents without a value; none of few


@dataclass(frozen=True, slots=True)
class NightFigures:
    """One run, with the edges of the bins that its counts stand in."""

    sources: Mapping[str, SourceFigures]
    tokens: Mapping[str, int]  # by domain
    bins: Mapping[str, Mapping[str, tuple[float, ...]]] = field(default_factory=dict)


def night_figures(context: RunContext, bins: Bins) -> NightFigures:
    """Count a run that has come as far as tokens.

    Parameters
    ----------
    bins : edges that are frozen; of other sources and signals they are chosen here
    """
    rules = signals_read(context, rules_of_run(context))
    looked_for = {PII} & set(known_signals(context))
    evidence = gather_run(context, rules | looked_for)
    accounts = context.run.manifest("decide").accounts
    found, edges = {}, {}
    for source, rows in _by_source(evidence.documents):
        values = {name: evidence.values(name)[rows] for name in sorted(rules)} if len(rows) >= LEAST_DOCUMENTS else {}
        edges[source] = {name: bins.get(source, {}).get(name) or tuple(bin_edges(one)) for name, one in values.items()}
        account = accounts.get(source, Account())
        found[source] = SourceFigures(
            documents=len(rows),
            bytes=account.bytes_in,
            merged=account.documents_merged,
            pii=int(np.nansum(evidence.values(PII)[rows])) if looked_for else None,
            languages=_languages(evidence.documents, rows),
            signals={name: tuple(bin_counts(one, list(edges[source][name]))) for name, one in values.items()},
        )
    return NightFigures(found, _tokens(context), edges)


def _by_source(documents: pa.Table) -> Iterator[tuple[str, np.ndarray]]:
    sources = coded(documents["source"])
    numbers = sources.indices.to_numpy()
    for name in sorted(sources.dictionary.to_pylist()):
        yield name, np.flatnonzero(numbers == sources.dictionary.to_pylist().index(name))


def _languages(documents: pa.Table, rows: np.ndarray) -> dict[str, int]:
    counted = pl.Series(documents["lang_id"].take(pa.array(rows))).fill_null("").value_counts(sort=True)
    return dict(sorted(counted.rows()))


def _tokens(context: RunContext) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in context.run.manifest("tokens").parts:
        for domain, tokens in part.facts["tokens"].items():
            found[domain] = found.get(domain, 0) + tokens
    return dict(sorted(found.items()))
