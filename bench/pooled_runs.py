"""Whether runs of another cut of the corpus help a tuning with few runs of its own (decision 0043), and the controls.

    python bench/pooled_runs.py [RECIPE] [--quick] [--json]

RECIPE (recipes/tune-sample.toml when left out) is tuned twice in one basis: as it stands, and with its domains merged
two by two under other names, with all domains alike as objective. Of its own runs, some are fitted (10, 16, 24, 40;
ten seeded choices of each) and the others predicted: by the kinds of fit from shares, by two ways to learn from the
other tuning as well (`joined`: one process over the coordinates of both, their levels made equal; `begun`: what the
other's runs expect, times a slope, and a process over shares for the rest), and by both with the other's values
shuffled among its runs. Root mean square error and rank correlation of the objective, mean over the choices; the error
of each way less the best without evidence, with its 90 % interval over choices.
"""

import json
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench.compare

from bench.compare import HOUSE, options
from gristmill.corpus.files import read_json
from gristmill.flows.pipeline.open_context import open_checked
from gristmill.flows.pipeline.recipe_reading import load_recipe
from gristmill.flows.pipeline.running import run_stages
from gristmill.flows.tune.consumed_signals import HISTOGRAMS
from gristmill.flows.tune.proxy_runs import ProxyCorpus
from gristmill.flows.tune.tune_recipe import tune_recipe
from gristmill.mixing.comparison import t_quantile
from gristmill.mixing.gaussian_process import GaussianProcess
from gristmill.mixing.mixture_fits import FITS, Fit, Fitter, spearman
from gristmill.mixing.signal_basis import Basis

FITTED = (10, 16, 24, 40)


def other_recipe(recipe: Path, basis: Path) -> str:
    """The text of a recipe whose domains are those of ``recipe`` merged two by two."""
    text = recipe.read_text("utf-8")
    names = sorted({one["domain"] for one in tomllib.loads(text)["sources"]})
    for place, name in enumerate(names):
        text = text.replace(f'domain = "{name}"', f'domain = "cut{place // 2}"')
    text = text.replace('name = "tune-sample"', 'name = "tune-other"', 1)
    head, _, rest = text.partition("[tune.objective]")
    after = rest[rest.index("\n[") :]
    return head.replace("[tune]", f'[tune]\nbasis = "{basis}"', 1) + after


def joined(domains: np.ndarray, coordinates: np.ndarray, values: np.ndarray) -> Fitter:
    """One process over the coordinates of both tunings."""

    def fit(weights: np.ndarray, own: np.ndarray) -> Fit:
        alone = GaussianProcess.fit(weights @ domains, own)
        levelled = values - np.mean(values - alone.predict(coordinates))
        both = np.concatenate([weights @ domains, coordinates]), np.concatenate([own, levelled])
        return Over(domains, GaussianProcess.fit(*both))

    return fit


def begun(domains: np.ndarray, coordinates: np.ndarray, values: np.ndarray) -> Fitter:
    """The other tuning's expectation, scaled, and a process over shares for the rest: Kennedy and O'Hagan 2000."""
    others = Over(domains, GaussianProcess.fit(coordinates, values - values.mean()))

    def fit(weights: np.ndarray, own: np.ndarray) -> Fit:
        expected = others.predict(weights)
        spread = expected - expected.mean()
        slope = max(0.0, float(spread @ own / max(spread @ spread, 1e-12)))
        return Begun(others, slope, GaussianProcess.fit(weights, own - slope * expected))

    return fit


@dataclass(frozen=True, slots=True)
class Over:
    """A process over the coordinates of mixtures; ``domains`` float[n_domains, n_cells]: where their tokens lie."""

    domains: np.ndarray
    process: GaussianProcess

    def predict(self, weights: np.ndarray) -> np.ndarray:
        """float[n] for shares."""
        return self.process.predict(weights @ self.domains)


@dataclass(frozen=True, slots=True)
class Begun:
    """A scaled expectation, and the rest."""

    others: Over
    slope: float
    rest: GaussianProcess

    def predict(self, weights: np.ndarray) -> np.ndarray:
        """float[n] for shares."""
        return self.slope * self.others.predict(weights) + self.rest.predict(weights)


def own_runs(recipe: Path, folder: Path) -> tuple[np.ndarray, np.ndarray, dict[str, Fitter]]:
    """Shares and objective of all runs of the recipe, and the fitters that learn from the other tuning."""
    found = tune_recipe(recipe)
    basis = Path(found["run"]) / "tune" / "basis.json"
    (folder / "other.toml").write_text(other_recipe(recipe, basis), "utf-8")
    other = read_json(Path(tune_recipe(folder / "other.toml")["run"]) / "tune" / "report.json")["mixtures"]
    coordinates = np.array([one["consumed"] for one in other])
    values = np.array([one["objective"] for one in other])
    mixed = np.random.default_rng(5).permutation(values)
    names = list(found["prior"])
    with open_checked(load_recipe(recipe)) as context:
        run_stages(context, "heldout")
        corpus = ProxyCorpus.of(context).with_basis(context, Basis.load(basis))
        rows = [
            np.load(context.store.folder(corpus.histograms[name]) / HISTOGRAMS).sum(0, np.float64) for name in names
        ]
    domains = np.stack([one / one.sum() for one in rows])
    ways = {"joined": joined, "begun": begun}
    fitters = {name: way(domains, coordinates, values) for name, way in ways.items()}
    fitters |= {f"{name} shuffled": way(domains, coordinates, mixed) for name, way in ways.items()}
    weights = np.array([[one["shares"][name] for name in names] for one in found["mixtures"]])
    return weights, np.array([one["objective"] for one in found["mixtures"]]), fitters


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("recipe", nargs="?", type=Path, default=HOUSE / "recipes" / "tune-sample.toml")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        weights, values, more = own_runs(arguments.recipe, Path(folder))
    fitters, choices = {**FITS, **more}, 3 if arguments.quick else 10
    mixtures = np.unique(weights, axis=0, return_inverse=True)[1].reshape(-1)
    for n in FITTED:
        found = np.empty((choices, len(fitters), 2))
        for choice in range(choices):
            fitted = np.isin(mixtures, np.random.default_rng([n, choice]).permutation(mixtures.max() + 1)[:n])
            for place, fitter in enumerate(fitters.values()):
                expected = fitter(weights[fitted], values[fitted]).predict(weights[~fitted])
                off = expected - values[~fitted]
                found[choice, place] = np.sqrt(np.mean(off**2)), spearman(expected, values[~fitted])
        report(n, list(fitters), found, as_json=arguments.json)


def report(n: int, names: list[str], found: np.ndarray, *, as_json: bool) -> None:
    """A line for each way and number of mixtures."""
    error = dict(zip(names, found[:, :, 0].T, strict=True))
    best = min(FITS, key=lambda name: error[name].mean())
    for place, name in enumerate(names):
        apart = error[name] - error[best]
        half = t_quantile(len(apart) - 1) * apart.std(ddof=1) / np.sqrt(len(apart))
        line = {"mixtures": n, "fit": name, "error": round(float(error[name].mean()), 4)}
        line |= {"rank_correlation": round(float(found[:, place, 1].mean()), 3)}
        line |= {f"less {best}": round(float(apart.mean()), 4), "half_width": round(float(half), 4)}
        print(json.dumps(line) if as_json else "  ".join(f"{key} {value}" for key, value in line.items()))


if __name__ == "__main__":
    main()
