"""How near each packed row is to its domain: an alarm for rows that bear the label of another domain.

A row's distance is the nats per token that its tokens cost under the unigram distribution of its domain, less those
under the nearest other domain; add-one smoothed. The row's own source is left out of its domain, so that a source with
a wrong label does not vouch for itself; where that source is most of the domain, the row alone is left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gristmill.handoff.reader import ShardReader
from gristmill.handoff.row_digest import within

FALSE_ALARMS = 0.001  # of right rows
ERRORS = 3  # standard errors by which alarms must exceed the false ones
ROWS_AT_ONCE = 4096
_PADDING = -1


@dataclass(frozen=True, slots=True)
class RowCounts:
    """Tokens of rows without padding: ``token[k]`` stands ``count[k]`` times in ``row[k]``.

    ``tokens int64[n_rows]`` is how many each row has; the others are int64[k].
    """

    row: np.ndarray
    token: np.ndarray
    count: np.ndarray
    tokens: np.ndarray
    vocab_size: int

    def sum(self, chosen: np.ndarray | None = None) -> np.ndarray:
        """How often each token stands in the ``chosen`` rows (bool[n_rows]), or in all: float64[V]."""
        count = self.count if chosen is None else self.count * chosen[self.row]
        return np.bincount(self.token, weights=count, minlength=self.vocab_size)


def count_rows(tokens: np.ndarray, vocab_size: int) -> RowCounts:
    """Tokens of rows, integers [n_rows, row_tokens]; padding, which is no token of any document, is -1.

    >>> count_rows(np.array([[5, 5, -1], [7, -1, -1]]), 9).count.tolist()
    [2, 1]
    """
    keys = (np.arange(len(tokens))[:, None] * vocab_size + tokens)[tokens != _PADDING]
    found, count = np.unique(keys, return_counts=True)
    row, token = np.divmod(found, vocab_size)
    return RowCounts(row, token, count, (tokens != _PADDING).sum(axis=1), vocab_size)


def read_rows(shards: Path) -> RowCounts:
    """Tokens of all rows of one domain's shards. Memory: 24 bytes for each different token of a row."""
    reader, parts = ShardReader(shards), []
    for first in range(0, reader.rows, ROWS_AT_ONCE):
        rows = np.arange(first, min(first + ROWS_AT_ONCE, reader.rows))
        tokens, slices = reader.tokens(rows).astype(np.int64), reader.slices(rows)
        inside = np.zeros(tokens.shape, bool)
        begins = slices.row * tokens.shape[1] + slices.start
        inside.reshape(-1)[np.repeat(begins, slices.length) + within(slices.length)] = True
        tokens[~inside] = _PADDING
        part = count_rows(tokens, reader.index["vocab_size"])
        parts.append((part.row + first, part.token, part.count, part.tokens))
    row, token, count, length = (np.concatenate(column) for column in zip(*parts, strict=True))
    return RowCounts(row, token, count, length, reader.index["vocab_size"])


def nats(rows: RowCounts, counts: np.ndarray, *, own: bool) -> np.ndarray:
    """Nats per token of each row under counts of tokens, float64[n_rows].

    ``own``: the counts have the row in them, and it is left out.
    """
    count, tokens = (rows.count, rows.tokens) if own else (0, np.zeros_like(rows.tokens))
    cost = np.log(counts.sum() - tokens + rows.vocab_size)[rows.row] - np.log(counts[rows.token] - count + 1)
    return np.bincount(rows.row, weights=cost * rows.count, minlength=len(rows.tokens)) / np.maximum(rows.tokens, 1)


def distances(domains: Mapping[str, RowCounts], name: str, sources: np.ndarray) -> np.ndarray:
    """Of every row of a domain, how much further it is from its domain than from the nearest other, nats per token.

    Parameters
    ----------
    domains : the rows of each domain, two domains or more
    sources : int[n_rows], the source that most tokens of each row come from
    """
    rows, whole = domains[name], domains[name].sum()
    others = [other.sum() for label, other in domains.items() if label != name]
    found = np.empty(len(rows.tokens))
    for source in np.unique(sources):
        mine = sources == source
        rest = whole - rows.sum(mine)
        alone = rest.sum() < whole.sum() / 2
        found[mine] = nats(rows, whole if alone else rest, own=alone)[mine]
    return found - nearest_of(rows, others)


def mislabelled_distances(domains: Mapping[str, RowCounts], name: str, truth: str) -> np.ndarray:
    """The same of every row of ``truth``, if it bore the label ``name`` and were all that its source gives there."""
    rows = domains[truth]
    others = [other.sum() for label, other in domains.items() if label not in (name, truth)]
    nearest = np.minimum(nearest_of(rows, others), nats(rows, rows.sum(), own=True))
    return nats(rows, domains[name].sum(), own=False) - nearest


def nearest_of(rows: RowCounts, others: Sequence[np.ndarray]) -> np.ndarray:
    """Nats per token under the nearest of other domains; infinite without any."""
    costs = [nats(rows, counts, own=False) for counts in others]
    return np.min(costs, axis=0) if costs else np.full(len(rows.tokens), np.inf)


def threshold(right: np.ndarray) -> float:
    """The distance beyond which one right row in 1,000 lies."""
    return float(np.quantile(right, 1 - FALSE_ALARMS))


def smallest_share(right: np.ndarray, wrong: np.ndarray, seed: int = 0, trials: int = 20) -> float:
    """The smallest share of mislabelled rows in a domain that is found, 1 when none is.

    A share is found when the rows beyond the threshold exceed the expected false alarms by three standard errors, in 19
    of 20 draws of that many rows from ``wrong``. What so few rows change in the counts of the domain is left aside.

    Parameters
    ----------
    right, wrong : distances of the domain's own rows, and of rows of other domains
    """
    found, n = float((wrong > threshold(right)).mean()), len(right)
    expected = FALSE_ALARMS * n
    rng = np.random.default_rng(seed)
    for planted in range(1, n + 1) if found else ():
        alarms = rng.binomial(n, FALSE_ALARMS, trials) + rng.binomial(planted, found, trials)
        if (alarms > expected + ERRORS * np.sqrt(expected)).sum() >= trials - 1:
            return planted / (n + planted)
    return 1.0
