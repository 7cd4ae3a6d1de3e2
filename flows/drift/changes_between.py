"""How far a run is from the good ones before it, measure by measure, and what could not be compared."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gristmill.flows.drift.night_figures import LEAST_DOCUMENTS, NightFigures, SourceFigures
from gristmill.flows.drift.stability_index import stability_index
from gristmill.flows.pipeline.unattended import LEAST_NIGHTS, DriftBounds

CHANCE = 3.0  # standard errors of a count that are taken off: 1 comparison in 370 goes beyond them by chance


@dataclass(frozen=True, slots=True)
class Measured:
    """One comparison."""

    kind: str  # a key of [drift.bounds]
    of: str  # the source; of tokens the domain
    signal: str  # empty for all but signals
    before: float | None  # None for an index, which compares distributions
    now: float | None
    value: float  # what is held against the bound
    bound: float

    @property
    def beyond(self) -> bool:
        """Whether a person has to look."""
        return self.value > self.bound


@dataclass(frozen=True, slots=True)
class Compared:
    """All comparisons of a run, and sentences on those that could not be made."""

    measured: tuple[Measured, ...]
    left_out: tuple[str, ...]


def compare(now: NightFigures, nights: Sequence[NightFigures], bounds: DriftBounds) -> Compared:
    """Hold a run against good runs; with fewer than three of them nothing is compared."""
    if len(nights) < LEAST_NIGHTS:
        text = f"{len(nights)} good runs before this one: drift is measured from {LEAST_NIGHTS} on"
        return Compared((), (text,))
    left_out: list[str] = []
    measured = [*_shares(now, nights, bounds), *_tokens(now, nights, bounds)]
    for source, figures in now.sources.items():
        then = [night.sources[source] for night in nights if source in night.sources]
        few = _why_not(source, figures, then)
        left_out += [few] if few else []
        measured += [] if few else _of_source(source, figures, then, bounds, left_out)
    return Compared(tuple(measured), tuple(left_out))


def _why_not(source: str, now: SourceFigures, then: Sequence[SourceFigures]) -> str | None:
    if now.documents < LEAST_DOCUMENTS:
        return f"source {source!r} has {now.documents} documents: below {LEAST_DOCUMENTS} it is not compared"
    enough = sum(one.documents >= LEAST_DOCUMENTS for one in then)
    if enough < LEAST_NIGHTS:
        return (
            f"source {source!r} has {LEAST_DOCUMENTS} documents in {enough} good runs: compared from {LEAST_NIGHTS} on"
        )
    return None


def _of_source(
    source: str, now: SourceFigures, then: Sequence[SourceFigures], bounds: DriftBounds, left_out: list[str]
) -> Iterator[Measured]:
    then = [one for one in then if one.documents >= LEAST_DOCUMENTS]
    for signal, counts in now.signals.items():
        earlier = [one.signals[signal] for one in then if len(one.signals.get(signal, ())) == len(counts)]
        if len(earlier) < LEAST_NIGHTS:
            left_out.append(f"signal {signal!r} of source {source!r} has a rule in {len(earlier)} good runs alone")
            continue
        index = stability_index(np.array(counts), np.sum(earlier, axis=0))
        yield Measured("signal", source, signal, None, None, index, bounds.signal)
    names = sorted({name for one in (now, *then) for name in one.languages})
    tables = [[sum(one.languages.get(name, 0) for one in some) for name in names] for some in ([now], then)]
    index = stability_index(*map(np.array, tables))
    yield Measured("language", source, "", None, None, index, bounds.language)
    yield _duplicates(source, now, then, bounds.duplicate_rate)
    if now.pii is not None and any(one.pii is not None for one in then):
        yield _pii(source, now, [one for one in then if one.pii is not None], bounds.pii_per_mb)


def _duplicates(source: str, now: SourceFigures, then: Sequence[SourceFigures], bound: float) -> Measured:
    """Change of a rate, beyond what chance explains."""
    earlier = sum(one.documents for one in then)
    before, rate = sum(one.merged for one in then) / earlier, now.merged / now.documents
    mean = (sum(one.merged for one in then) + now.merged) / (earlier + now.documents)
    error = math.sqrt(mean * (1 - mean) * (1 / earlier + 1 / now.documents))
    value = max(abs(rate - before) - CHANCE * error, 0.0)
    return Measured("duplicate_rate", source, "", before, rate, value, bound)


def _pii(source: str, now: SourceFigures, then: Sequence[SourceFigures], bound: float) -> Measured:
    """Ratio of two rates of rare finds; one find is added to each, so that none is no infinite ratio."""
    finds, earlier = now.pii or 0, sum(one.pii or 0 for one in then)
    size, earlier_size = max(now.bytes, 1), max(sum(one.bytes for one in then), 1)
    ratio = math.log((finds + 1) / size / ((earlier + 1) / earlier_size))
    error = math.sqrt(1 / (finds + 1) + 1 / (earlier + 1))
    value = math.exp(max(abs(ratio) - CHANCE * error, 0.0))
    return Measured("pii_per_mb", source, "", 1e6 * earlier / earlier_size, 1e6 * finds / size, value, bound)


def _shares(now: NightFigures, nights: Sequence[NightFigures], bounds: DriftBounds) -> Iterator[Measured]:
    shares = [_byte_shares(one) for one in (now, *nights)]
    for source in sorted({name for share in shares for name in share}):
        share, *then = (one.get(source, 0.0) for one in shares)
        before = sum(then) / len(then)
        yield Measured("source_share", source, "", before, share, abs(share - before), bounds.source_share)


def _byte_shares(night: NightFigures) -> Mapping[str, float]:
    total = sum(one.bytes for one in night.sources.values())
    return {name: one.bytes / total for name, one in night.sources.items()} if total else {}


def _tokens(now: NightFigures, nights: Sequence[NightFigures], bounds: DriftBounds) -> Iterator[Measured]:
    """Against the mean of the good runs; where the corpus grows night by night, the bound is for a week of it."""
    for domain in sorted({name for one in (now, *nights) for name in one.tokens}):
        tokens = now.tokens.get(domain, 0)
        before = sum(one.tokens.get(domain, 0) for one in nights) / len(nights)
        times = (tokens + 1) / (before + 1)
        yield Measured("tokens", domain, "", before, float(tokens), max(times, 1 / times), bounds.tokens)
