"""Which rows a proxy run draws, and how often: its corpus is as much smaller as its budget, so epochs are those of the
full run. A proxy that sees each document once says nothing about a mixture that repeats one four times.
"""

from dataclasses import dataclass

import numpy as np

from gristmill.corpus.seeds import derive_seed


@dataclass(frozen=True, slots=True)
class ProxyRows:
    """Rows of one domain, int64 ascending, how often each is drawn, and the epochs that this makes and should make."""

    rows: np.ndarray
    times: np.ndarray  # int64, 0 and up
    epochs: float
    wanted_epochs: float


@dataclass(frozen=True, slots=True)
class Scale:
    """Tokens of a proxy run, and of the full run that it stands for."""

    proxy_tokens: int
    full_tokens: int

    @property
    def part(self) -> float:
        """How much of the corpus a proxy run may see, above 0 to 1."""
        return self.proxy_tokens / self.full_tokens


def proxy_rows(n_rows: int, row_tokens: float, share: float, scale: Scale, seed: int) -> ProxyRows:
    """Rows of a domain for one proxy run.

    Parameters
    ----------
    n_rows : rows of the domain
    row_tokens : tokens of documents in one of them, the mean
    share : of the domain in the mixture, 0 to 1
    seed : of the trial; chooses the rows, of which there is one at least

    Returns
    -------
    the rows of the matched corpus, and how often each is drawn, which differs by one at most

    >>> found = proxy_rows(1000, 100.0, 0.5, Scale(10_000, 100_000), 7)
    >>> len(found.rows), int(found.times.sum()), found.epochs
    (100, 50, 0.5)
    """
    rng = np.random.default_rng(derive_seed(seed, "rows"))
    n_corpus = min(n_rows, max(1, round(n_rows * scale.part)))
    n_drawn = round(share * scale.proxy_tokens / row_tokens)
    order = rng.permutation(n_rows)[:n_corpus]
    times = np.full(n_corpus, n_drawn // n_corpus)
    times[: n_drawn % n_corpus] += 1
    ascending = np.argsort(order)
    wanted = share * scale.full_tokens / (n_rows * row_tokens)
    return ProxyRows(order[ascending], times[ascending], n_drawn / n_corpus, wanted)
