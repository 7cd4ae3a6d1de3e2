"""Whether coordinates of stored signals let runs of other domains speak for a new one: the rule of decision 0043.

    python bench/pooling.py [RECIPE] [--runs N] [--quick] [--json]

RECIPE (recipes/tune-sample.toml when left out) is milled to held-out rows. N (128) bigram proxies train mixtures from
which each domain is left out with chance 0.3. For each domain in turn a Gaussian process is fitted on the runs
without it and predicts the objective of the runs that have 5 % of it or more, from where the consumed tokens lay: in
the frozen basis; in the same basis with the cells of all documents shuffled, five times; in random cells, five times.
Beside them shares of domains, in which a new domain has no coordinate. Spearman's rank correlation by domain, and the
mean difference of frozen and shuffled with its 90 % interval over domains. Nothing is chosen on the runs that are
predicted.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench.compare

from bench.compare import HOUSE, options
from gristmill.corpus.seeds import derive_seed
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.jobs import resolve
from gristmill.flows.pipeline.open_context import open_checked
from gristmill.flows.pipeline.recipe_reading import load_recipe
from gristmill.flows.pipeline.row_order import signal_refs
from gristmill.flows.pipeline.running import run_stages
from gristmill.flows.tune.consumed_signals import basis_of, kept_values, pieces_of_rows
from gristmill.flows.tune.counted_proxy import draw
from gristmill.flows.tune.proxy_runs import ProxyCorpus, bits, run_proxies
from gristmill.flows.tune.proxy_task import ProxyTask
from gristmill.flows.tune.search_space import SearchSpace, search_space
from gristmill.mixing.comparison import t_quantile
from gristmill.mixing.mixture_fits import FITS, spearman
from gristmill.mixing.signal_basis import consumed, row_histograms
from gristmill.mixing.swarm import Trial, capped

LEFT_OUT, LEAST_SHARE, CONTROLS, FIT = 0.3, 0.05, 5, "process"


def trials(space: SearchSpace, runs: int) -> list[Trial]:
    """Seeded mixtures, each of some of the domains."""
    rng, found = np.random.default_rng(42), []
    while len(found) < runs:
        there = rng.random(len(space.names)) >= LEFT_OUT
        if space.most[there].sum() > 1.05:
            weights = np.zeros(len(space.names))
            weights[there] = rng.dirichlet(np.ones(there.sum()))
            weights[there] = capped(weights[there], space.most[there])
            found.append(Trial(tuple(map(float, weights)), derive_seed(42, "trial", len(found))))
    return found


class Coordinates:
    """Cells of all kept documents, and from them where the tokens of any run lay."""

    def __init__(self, context: RunContext, corpus: ProxyCorpus):
        self.basis = basis_of(context)
        kept = pq.read_table(context.file("decide", "kept.parquet"), columns=["doc_id", "part", "row"])
        paths = {
            axis.signal: resolve(context.store, list(signal_refs(context, axis.signal))) for axis in self.basis.axes
        }
        self.cells = self.basis.cells_of({name: kept_values(kept, found, name) for name, found in paths.items()})
        self.shards = {name: context.store.folder(one) for name, one in corpus.shards.items()}
        place = {doc_id: number for number, doc_id in enumerate(kept["doc_id"].to_pylist())}
        self.pieces = {}
        for name, folder in self.shards.items():
            doc_ids, row, length = pieces_of_rows(folder)
            self.pieces[name] = np.array([place[doc_id] for doc_id in doc_ids.to_pylist()]), row, length

    def random(self, rng: np.random.Generator) -> np.ndarray:
        """Cells that say nothing."""
        first = np.cumsum([0, *(axis.cells for axis in self.basis.axes)])[:-1]
        sizes = [axis.cells for axis in self.basis.axes]
        return first + rng.integers(0, sizes, self.cells.shape)

    def of(self, cells: np.ndarray, drawn: list) -> np.ndarray:
        """float[n_runs, n_cells]."""
        rows = {}
        for name, (piece, row, length) in self.pieces.items():
            rows[name] = row_histograms(cells, piece, row, length, (int(row[-1]) + 1, self.basis.cells))
        return np.stack([consumed([(rows[name][one.rows], one.times) for name, one in run.items()]) for run in drawn])


def by_domain(features: np.ndarray, weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Rank correlation on the runs with each domain, of a fit on those without; NaN where too few are left."""
    found = np.full(weights.shape[1], np.nan)
    for domain, share in enumerate(weights.T):
        fitted, tested = share < 1e-6, share >= LEAST_SHARE
        if min(fitted.sum(), tested.sum()) >= 10:
            fit = FITS[FIT](features[fitted], values[fitted])
            found[domain] = spearman(fit.predict(features[tested]), values[tested])
    return found


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("recipe", nargs="?", type=Path, default=HOUSE / "recipes" / "tune-sample.toml")
    parser.add_argument("--runs", type=int, default=128)
    arguments = parser.parse_args()
    with open_checked(load_recipe(arguments.recipe)) as context:
        run_stages(context, "heldout")
        corpus = ProxyCorpus.of(context)
        space = search_space(context.recipe, corpus.packed(context), corpus.heldout_folders(context))
        tried = trials(space, 40 if arguments.quick else arguments.runs)
        values = bits(run_proxies(context, corpus, space, tried, "runs"), space.measured, "fit") @ space.objective
        tune, coordinates = context.recipe.tune, Coordinates(context, corpus)
        names = [dict(zip(space.names, one.weights, strict=True)) for one in tried]
        drawn = [
            draw(coordinates.shards, ProxyTask(shares, tune.tokens, space.full_tokens, tune.preset, one.seed))
            for shares, one in zip(names, tried, strict=True)
        ]
    weights, rng = np.array([one.weights for one in tried]), np.random.default_rng(7)
    ways = {"frozen": [coordinates.cells], "shuffled": [], "random": []}
    for _ in range(CONTROLS):
        ways["shuffled"].append(rng.permutation(coordinates.cells))
        ways["random"].append(coordinates.random(rng))
    found = {
        way: np.mean([by_domain(coordinates.of(one, drawn), weights, values) for one in cells], axis=0)
        for way, cells in ways.items()
    }
    found["shares"] = by_domain(weights, weights, values)
    report(found, space.names, coordinates.basis.digest, arguments.json)


def report(found: dict[str, np.ndarray], names: tuple[str, ...], digest: str, as_json: bool) -> None:
    """A line per domain, and the rule."""
    for number, name in enumerate(names):
        line = {"domain": name, **{way: round(float(one[number]), 4) for way, one in found.items()}}
        print(json.dumps(line) if as_json else "  ".join(f"{key} {value}" for key, value in line.items()))
    for control in ("shuffled", "random", "shares"):
        apart = found["frozen"] - found[control]
        apart = apart[~np.isnan(apart)]
        half = t_quantile(len(apart) - 1) * apart.std(ddof=1) / np.sqrt(len(apart))
        line = {
            "frozen_less": control,
            "difference": round(float(apart.mean()), 4),
            "half_width": round(float(half), 4),
        }
        line |= {"domains": len(apart), "basis": digest}
        if control == "shuffled":
            line["is_default"] = bool(apart.mean() - half > 0)
        print(json.dumps(line) if as_json else "  ".join(f"{key} {value}" for key, value in line.items()))


if __name__ == "__main__":
    main()
