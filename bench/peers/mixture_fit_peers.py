"""Other fits of a loss over mixtures on runs from standard input: what each expects of the asked mixtures.

LightGBM with RegMix's settings, stopped on a fifth of the fitted runs (its notebook stops on the test runs); olmix's
log-linear law, exp(c) + exp(t . w), Huber of 0.02, L-BFGS from several starts, the best by its own loss; Bayesian
search as ADMIRE does it: a Gaussian process chooses each next run of the pool by expected improvement, 8 at first.
"""

import json
import sys
import time
from importlib.metadata import version

import lightgbm
import numpy as np
from scipy.optimize import minimize
from scipy.special import ndtr

STARTS, HUBER, FIRST = 8, 0.02, 8
BOOSTING = {"objective": "regression", "learning_rate": 0.01, "num_leaves": 31, "verbosity": -1, "num_threads": 1}


def boosted(weights, values, asked):
    """Stopped by an inner fold; few runs have small leaves."""
    rng = np.random.default_rng(0)
    held = rng.permutation(len(values)) < max(4, len(values) // 5)
    options = {**BOOSTING, "min_data_in_leaf": min(20, max(2, len(values) // 10)), "seed": 0}
    fitted, inner = (lightgbm.Dataset(weights[at], values[at]) for at in (~held, held))
    stop = lightgbm.early_stopping(50, verbose=False)
    model = lightgbm.train(options, fitted, 1000, valid_sets=[inner], callbacks=[stop])
    return model.predict(asked)


def law(weights, values, asked):
    """The closed form by L-BFGS, gradients by hand."""
    rng = np.random.default_rng(0)

    def loss(x):
        above = np.exp(np.minimum(weights @ x[1:], 50))
        off = np.exp(x[0]) + above - values
        inside = np.abs(off) <= HUBER
        slope = np.where(inside, off, HUBER * np.sign(off))
        cost = np.where(inside, off**2 / 2, HUBER * (np.abs(off) - HUBER / 2))
        return cost.mean(), np.append(slope.mean() * np.exp(x[0]), (slope * above) @ weights / len(values))

    tried = []
    for _ in range(STARTS):
        start = np.append(np.log(values.min() * rng.uniform(0.3, 0.95)), rng.normal(0, 0.5, weights.shape[1]))
        tried.append(minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500}))
    best = min(tried, key=lambda one: one.fun).x
    return np.exp(best[0]) + np.exp(asked @ best[1:])


def kernel(a, b, length):
    return np.exp(-((a[:, None] - b[None]) ** 2).sum(-1) / (2 * length**2))


def process(points, values, asked):
    """Mean and deviation of a process; length and noise by marginal likelihood on a grid."""
    mean, scale = values.mean(), values.std() or 1.0
    target, best = (values - mean) / scale, None
    for length in (0.2, 0.4, 0.8, 1.6):
        for noise in (1e-3, 1e-2, 1e-1):
            chol = np.linalg.cholesky(kernel(points, points, length) + noise * np.eye(len(points)))
            pull = np.linalg.solve(chol.T, np.linalg.solve(chol, target))
            unlikely = target @ pull / 2 + np.log(np.diag(chol)).sum()
            if best is None or unlikely < best[0]:
                best = unlikely, length, chol, pull
    _, length, chol, pull = best
    across = kernel(asked, points, length)
    spread = 1 - (np.linalg.solve(chol, across.T) ** 2).sum(0)
    return mean + scale * across @ pull, scale * np.sqrt(np.maximum(spread, 1e-12))


def search(weights, values, asked, sizes, seed):
    """What the process expects of ``asked`` after each of ``sizes`` runs, each chosen by expected improvement."""
    rng, points, found = np.random.default_rng(seed), np.sqrt(weights), {}
    chosen = rng.choice(len(values), FIRST, replace=False).tolist()
    while True:
        if len(chosen) in sizes:
            found[len(chosen)] = process(points[chosen], values[chosen], np.sqrt(asked))[0].tolist()
        if len(chosen) >= max(sizes):
            return found
        left = np.setdiff1d(np.arange(len(values)), chosen)
        mean, spread = process(points[chosen], values[chosen], points[left])
        gain = values[chosen].min() - mean
        z = gain / spread
        improvement = gain * ndtr(z) + spread * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
        chosen.append(int(left[improvement.argmax()]))


request = json.load(sys.stdin)
weights, values, asked = (np.array(request[name]) for name in ("weights", "values", "asked"))
found = {"LightGBM": {}, "olmix's law": {}, "Bayesian search": {}}
seconds = dict.fromkeys(found, 0.0)
for size, subsets in request["subsets"].items():
    for name, fit in (("LightGBM", boosted), ("olmix's law", law)):
        began = time.process_time()
        found[name][size] = [fit(weights[one], values[one], asked).tolist() for one in subsets]
        seconds[name] += time.process_time() - began
began = time.process_time()
runs = [search(weights, values, asked, request["search"], seed) for seed in range(request["seeds"])]
seconds["Bayesian search"] = time.process_time() - began
found["Bayesian search"] = {str(size): [one[size] for one in runs] for size in request["search"]}
versions = {"LightGBM": version("lightgbm"), "olmix's law": "rewritten", "Bayesian search": "rewritten"}
print(json.dumps({"found": found, "versions": versions, "seconds": seconds}))
