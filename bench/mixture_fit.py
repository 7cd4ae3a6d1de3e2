"""Fits of a loss over mixtures, on RegMix's published runs.

    python bench/mixture_fit.py --data FOLDER [--fit NAME] [--target NAME] [--peers] [--quick] [--json]

FOLDER holds the eight tables of RegMix (MIT): 512 runs of a 1M model over 17 domains to fit, and as test 256 runs of
the same size, 256 of 60M and 64 of 1B. Spearman's rank correlation of predicted and real loss, by target: of 512 runs,
and of 32, the mean, least and largest of 20 seeded subsamples. ``covered``: share of the 256 test runs of the fitted
size whose loss lies in the 90 % interval; at 1B it is printed, without a bar. Regret: the real loss of the test mixture
that the fit likes best, less the least real loss. Nothing is chosen or stopped on a test run.

``--peers`` compares, for one target (pile_cc), the runs that each method needs: ours, RegMix's LightGBM with honest
stopping, olmix's law, and a Bayesian search that chooses its runs from the pool. Of 16 to 512 runs, 10 seeded
subsamples: mean regret on the 256 test mixtures of 1M and the 64 of 1B, mean rank correlation at 1B; then the fewest
runs with which each method's mean regret is no larger than that of our law with 32.
"""

import csv
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench.compare

from bench.compare import cpu_seconds, options, run_peer
from gristmill.mixing.mixture_fits import FITS, cross_validated, half_width, spearman

PILE_CC = "pile_cc"
Runs = tuple[np.ndarray, np.ndarray]


def table(path: Path) -> tuple[list[str], dict[str, list[float]]]:
    """Columns, and rows by the run's number."""
    with path.open() as file:
        head, *rows = list(csv.reader(file))
    return head[1:], {row[0]: [float(cell) for cell in row[1:]] for row in rows}


def runs(folder: Path, part: str) -> tuple[list[str], Runs]:
    """Targets, and shares and losses of the runs of one part, such as train of 1m."""
    split, size = part.split("-")
    _, mixtures = table(folder / f"{split}_mixture_{size}.csv")
    targets, losses = table(folder / f"{split}_pile_loss_{size}.csv")
    numbers = [number for number in mixtures if number in losses]
    weights = np.array([mixtures[number] for number in numbers])
    names = [target.removeprefix("metric/the_pile_").removesuffix("_val_loss") for target in targets]
    return names, (weights / weights.sum(axis=1, keepdims=True), np.array([losses[number] for number in numbers]))


def subsamples(n: int, of: int, seeds: int) -> list[np.ndarray]:
    """Seeded choices of n runs."""
    return [np.random.default_rng(seed).choice(of, n, replace=False) for seed in range(seeds)]


def measure(name: str, fit: Runs, tests: dict[str, Runs], target: int, seeds: int) -> dict:
    """All figures of one fit and target."""
    fitter, (weights, losses) = FITS[name], fit
    seconds, whole = cpu_seconds(lambda: fitter(weights, losses[:, target]), 1)
    width = half_width(cross_validated(fitter, weights, losses[:, target]))
    found: dict = {"fit": name, "seconds": round(seconds, 3)}
    few = [fitter(weights[i], losses[i, target]) for i in subsamples(32, len(weights), seeds)]
    for size, (w, y) in tests.items():
        real, guess = y[:, target], whole.predict(w)
        of_32 = [spearman(one.predict(w), real) for one in few]
        found[size] = {
            "of_512": spearman(guess, real),
            "of_32": {"mean": float(np.mean(of_32)), "least": min(of_32), "most": max(of_32)},
            "covered": float((np.abs(guess - real) <= width).mean()),
            "regret": float(real[guess.argmin()] - real.min()),
        }
    return found


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--fit", choices=FITS, action="append", help="all when left out; the law takes seconds")
    parser.add_argument("--peers", action="store_true", help="runs needed, beside other methods; one target")
    parser.add_argument("--target", help="one target, such as pile_cc; all 13 when left out")
    arguments = parser.parse_args()
    if not arguments.data:
        parser.error("--data is needed: the folder with the tables")
    targets, fit = runs(arguments.data, "train-1m")
    tests = {size: runs(arguments.data, f"test-{size}")[1] for size in ("1m", "60m", "1B")}
    if arguments.peers:
        beside_peers(fit, tests, targets.index(arguments.target or PILE_CC), arguments)
        return
    seeds = 4 if arguments.quick else 20
    only = arguments.target or (PILE_CC if arguments.quick else "")
    for name in arguments.fit or FITS:
        means = []
        for number, target in enumerate(targets):
            if only not in ("", target):
                continue
            found = {"target": target, **measure(name, fit, tests, number, seeds)}
            means.append(found)
            print(json.dumps(found) if arguments.json else line(found), flush=True)
        if not arguments.json:
            print(f"{name}: mean of {len(means)} targets, {summary(means)}")


def beside_peers(fit: Runs, tests: dict[str, Runs], target: int, arguments) -> None:
    """Regret and rank correlation by method and runs, and the runs needed for the regret of our law with 32."""
    weights, losses = fit[0], fit[1][:, target]
    seeds, sizes = (3, (16, 32, 64)) if arguments.quick else (10, (16, 32, 64, 128, 256, 512))
    of = {size: [one.tolist() for one in subsamples(size, len(weights), seeds)] for size in sizes}
    of[sizes[-1]] = of[sizes[-1]][:1] if sizes[-1] == len(weights) else of[sizes[-1]]
    asked = np.concatenate([tests["1m"][0], tests["1B"][0]])
    request = {"weights": weights.tolist(), "values": losses.tolist(), "asked": asked.tolist(), "subsets": of}
    request |= {"search": [size for size in sizes if size <= 128], "seeds": seeds}
    answer = run_peer("mixture_fit", "mixture_fit_peers.py", request)
    found = {name: {int(size): one for size, one in by.items()} for name, by in answer["found"].items()}
    for name in ("law", "process", "both"):
        found[f"our {name}"] = {
            size: [FITS[name](weights[one], losses[one]).predict(asked).tolist() for one in of[size]] for size in sizes
        }
    real, cut = {size: tests[size][1][:, target] for size in ("1m", "1B")}, len(tests["1m"][0])
    regrets: dict[str, dict[int, dict[str, float]]] = {}
    for name, by in found.items():
        for size, guesses in by.items():
            parts = [(np.array(one)[:cut], np.array(one)[cut:]) for one in guesses]
            small, big = (float(np.mean([regret(one[i], real[part]) for one in parts])) for i, part in enumerate(real))
            rank = float(np.mean([spearman(one[1], real["1B"]) for one in parts]))
            regrets.setdefault(name, {})[size] = {"1m": small, "1B": big}
            row = {"method": name, "runs": size, "regret_1m": small, "regret_1B": big, "spearman_1B": rank}
            text = f"{name:16} {size:4} runs: regret {small:.4f} at 1m, {big:.4f} at 1B; rank {rank:.3f}"
            print(json.dumps(row) if arguments.json else text)
    for part in real:
        wanted = regrets["our law"][32][part]
        needed = {
            name: min((n for n, one in by.items() if one[part] <= wanted), default=None) for name, by in regrets.items()
        }
        row = {
            "equal_regret": part,
            "of_our_law_with_32": wanted,
            "runs_needed": needed,
            "versions": answer["versions"],
        }
        print(json.dumps(row) if arguments.json else f"runs for a regret of {wanted:.4f} at {part}: {needed}")


def regret(guess: np.ndarray, real: np.ndarray) -> float:
    """Real loss of the mixture that is liked best, less the least real loss."""
    return float(real[guess.argmin()] - real.min())


def line(found: dict) -> str:
    """One target for a person."""
    parts = []
    for size in ("1m", "60m", "1B"):
        few = found[size]["of_32"]
        span = f"{few['mean']:.3f} [{few['least']:.3f}, {few['most']:.3f}]"
        parts.append(f"{size} {found[size]['of_512']:.3f}/{span}")
    small = found["1m"]
    return f"{found['fit']:8} {found['target']:18} {', '.join(parts)}, covered {small['covered']:.3f} of 0.9"


def summary(rows: list[dict]) -> str:
    """Means over targets."""
    big, small = [row["1B"] for row in rows], [row["1m"] for row in rows]
    of_512, of_32 = (
        np.mean(column) for column in ([one["of_512"] for one in big], [one["of_32"]["mean"] for one in big])
    )
    covered = np.mean([one["covered"] for one in small])
    regret = np.mean([one["regret"] for one in big])
    return f"1B of 512 {of_512:.3f}, of 32 {of_32:.3f}, covered {covered:.3f}, regret at 1B {regret:.4f}"


if __name__ == "__main__":
    main()
