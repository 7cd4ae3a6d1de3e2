"""The tuned mixture against the prior, uniform, UniMax and proportional shares, on held-out documents.

    python bench/tune.py [RECIPE] [--preset NAME] [--seeds N] [--quick] [--json]

RECIPE (recipes/tune-sample.toml when left out) is tuned as `gristmill tune` does. Every mixture then trains a proxy of
--preset (the recipe's when left out) once with each of the same seeds, and is measured on the half of the held-out
documents that the tuning did not see, with the recipe's objective in bits per byte. A line per mixture: the mean, the
tuned mixture less it with its 90 % interval over paired seeds, and the smallest difference that so many pairs could
have shown (twice the half width). Baselines beyond the caps are brought within them. Whichever way it comes out.
"""

import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench.compare

from bench.compare import HOUSE, options
from gristmill.flows.pipeline.open_context import open_checked
from gristmill.flows.pipeline.recipe_reading import load_recipe
from gristmill.flows.tune.proxy_runs import ProxyCorpus
from gristmill.flows.tune.search_space import SearchSpace, search_space, section
from gristmill.flows.tune.tune_recipe import paired_runs, tune_recipe
from gristmill.mixing.baselines import level, proportional
from gristmill.mixing.comparison import compare
from gristmill.mixing.swarm import capped


def baselines(space: SearchSpace, tokens: dict[str, float]) -> dict[str, np.ndarray]:
    """Shares by name, within the caps."""
    names, n = space.names, len(space.names)
    by_size = proportional({name: tokens[name] for name in names})
    room = dict(zip(names, (space.most * space.full_tokens).tolist(), strict=True))
    unimax = level(room, space.full_tokens)
    raw = {
        "prior": space.prior,
        "uniform": np.full(n, 1 / n),
        "UniMax": np.array([unimax[name] for name in names]),
        "proportional": np.array([by_size[name] for name in names]),
    }
    return {name: capped(one, space.most) for name, one in raw.items()}


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("recipe", nargs="?", type=Path, default=HOUSE / "recipes" / "tune-sample.toml")
    parser.add_argument("--preset", help="the proxy that judges, such as moe-tiny")
    parser.add_argument("--tokens", type=int, help="of each judging run; tune.tokens when left out")
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    found = tune_recipe(arguments.recipe)
    checked = load_recipe(arguments.recipe)
    judge = {"preset": arguments.preset, "tokens": arguments.tokens}
    tune = section(checked.recipe).model_copy(update={key: value for key, value in judge.items() if value})
    seeds = 2 if arguments.quick else arguments.seeds
    # other seeds than those of the tuning's own comparison
    recipe = checked.recipe.model_copy(update={"tune": tune, "seed": checked.recipe.seed + 1})
    with open_checked(checked) as context:
        corpus = ProxyCorpus.of(context)
        packed = corpus.packed(context)
        space = search_space(recipe, packed, corpus.heldout_folders(context))
        mixtures = baselines(space, {name: float(one.tokens) for name, one in packed.items()})
        tuned = np.array([found["proposal"]["shares"][name] for name in space.names])
        values = paired_runs(context.with_recipe(recipe), corpus, space, [tuned, *mixtures.values()], seeds)
    report(dict(zip(["tuned", *mixtures], values, strict=True)), tune.preset, arguments.json)


def report(values: dict[str, np.ndarray], preset: str, as_json: bool) -> None:
    """A line per baseline."""
    for name, measured in values.items():
        if name == "tuned":
            continue
        one = compare(values["tuned"], measured)
        line = {
            "work": f"tune, judged by {preset}",
            "peer": name,
            "unit": "bits per byte",
            "ours": round(float(values["tuned"].mean()), 4),
            "theirs": round(float(measured.mean()), 4),
            "difference": round(one.difference, 4),
            "half_width": round(one.half_width, 4),
            "seeds": one.pairs,
            "could_have_shown": round(2 * one.half_width, 4),
        }
        text = f"{one.sentence('tuned', name)}; {line['ours']} against {line['theirs']}"
        print(json.dumps(line) if as_json else f"{text}; could have shown {line['could_have_shown']}")


if __name__ == "__main__":
    main()
