"""``gristmill tune``: mill to held-out rows, proxies, a fit, a mixture, its comparison with the prior."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gristmill.corpus.extras import need
from gristmill.corpus.files import write_json, write_text
from gristmill.corpus.seeds import derive_seed
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.home_contents import TUNED, mend_tuned
from gristmill.flows.pipeline.open_context import home, open_checked
from gristmill.flows.pipeline.progress import Reporter
from gristmill.flows.pipeline.recipe import Recipe
from gristmill.flows.pipeline.recipe_reading import load_recipe
from gristmill.flows.pipeline.running import run_stages
from gristmill.flows.tune.consumed_signals import basis_of
from gristmill.flows.tune.proxy_runs import Finished, ProxyCorpus, bits, run_proxies
from gristmill.flows.tune.report_figures import figures_of
from gristmill.flows.tune.report_page import PAGE_FILE, report_page
from gristmill.flows.tune.search_space import SearchSpace, full_tokens, search_space, section
from gristmill.flows.tune.tune_answer import Fitted, doubts, fit_swarm, next_runs
from gristmill.mixing.comparison import Comparison, compare
from gristmill.mixing.named_shares import FORMAT
from gristmill.mixing.swarm import Trial, swarm
from gristmill.mixing.tuning import PRESETS, TUNED_FILE

FOLDER, BASIS_FILE = "tune", "basis.json"


@dataclass(frozen=True, slots=True)
class Budget:
    """What a tuning will cost beside the mill itself. ``full_tokens`` None: one epoch of what is packed."""

    preset: str
    runs: int
    swarm_runs: int
    paired_runs: int
    tokens_per_run: int
    tokens: int
    full_tokens: int | None
    cpu_minutes: float


def budget_of(recipe: Recipe) -> Budget:
    """The budget of a recipe's [tune]; RecipeError where it has none."""
    tune = section(recipe)
    preset = PRESETS[tune.preset]
    seconds = tune.runs * (preset.run_seconds + tune.tokens / preset.tokens_per_second)
    return Budget(
        preset=tune.preset,
        runs=tune.runs,
        swarm_runs=tune.fitted_runs,
        paired_runs=2 * tune.pairs,
        tokens_per_run=tune.tokens,
        tokens=tune.runs * tune.tokens,
        full_tokens=full_tokens(recipe),
        cpu_minutes=round(seconds / 60, 2),
    )


def tune_budget(path: Path) -> dict[str, Any]:
    """What ``gristmill tune`` prints first, and all that it does with ``--dry-run``; nothing runs."""
    return asdict(budget_of(load_recipe(path).recipe))


def tune_recipe(
    path: Path, *, workers: int | None = None, out: Path | None = None, reporter: Reporter | None = None
) -> dict[str, Any]:
    """Tune the mixture of a recipe.

    Parameters
    ----------
    path : a recipe with [tune]; its stages up to ``heldout`` are run, or found again
    out : where to write the file that ``shares = "tuned:FILE"`` reads; beside it, it stands in RUN/tune

    Returns
    -------
    run, budget, mixtures, fit, proposal, comparison, next_runs, curriculum, file, notices, page

    Raises
    ------
    RecipeError, PlanError : a mistake in [tune], a domain without rows, caps that no mixture keeps; before any proxy
    """
    checked = load_recipe(path)
    budget = budget_of(checked.recipe)
    if PRESETS[budget.preset].trainer:
        need("train")
    engine = {} if workers is None else {"workers": workers}
    texts = {file.parent: file.read_text("utf-8") for file in home().glob(f"runs/{checked.recipe.name}/*/recipe.toml")}
    with open_checked(checked, reporter=reporter, engine=engine) as context:
        if context.run.path in texts and context.run.has("card"):  # a card holds its run's recipe word for word
            write_text(context.run.path / "recipe.toml", texts[context.run.path])
        run_stages(context, "heldout")
        if context.healing and (lost := mend_tuned(context.run)):
            context.healing.note(TUNED, lost)
        basis = basis_of(context)
        corpus = ProxyCorpus.of(context).with_basis(context, basis)
        space = search_space(context.recipe, corpus.packed(context), corpus.heldout_folders(context))
        finished, fitted, compared = _search(context, corpus, space)
        found = _result(context, space, finished, fitted, compared) | {"budget": asdict(budget)}
        folder = context.run.path / FOLDER
        folder.mkdir(exist_ok=True)
        basis.save(folder / BASIS_FILE)
        written = [folder / TUNED_FILE, *([out] if out else [])]
        for file in written:
            write_json(file, _tuned_file(context.recipe, space, fitted, compared))
        found["file"] = str(written[-1])
        page = report_page(found, figures_of(space, finished, fitted))
        write_text(folder / PAGE_FILE, page)
        found["page"] = str(folder / PAGE_FILE)
        write_json(
            folder / "report.json", {key: value for key, value in found.items() if key not in ("run", "file", "page")}
        )
        return found


def _search(context: RunContext, corpus: ProxyCorpus, space: SearchSpace) -> tuple[list[Finished], Fitted, Comparison]:
    """The swarm, its fit, and the paired runs that judge the answer on documents which the fit did not see."""
    tune, seed = section(context.recipe), context.seed("tune")
    trials = swarm(space.prior, space.most, tune.fitted_runs, seed)
    finished = run_proxies(context, corpus, space, trials, "swarm")
    fitted = fit_swarm(space, finished)
    pairs = paired_runs(context, corpus, space, [fitted.chosen, space.prior], tune.pairs)
    return finished, fitted, compare(pairs[0], pairs[1])


def paired_runs(
    context: RunContext, corpus: ProxyCorpus, space: SearchSpace, mixtures: Sequence[np.ndarray], pairs: int
) -> np.ndarray:
    """The objective on the check half, float[n_mixtures, pairs]: every mixture once with each of the same seeds."""
    seeds = [derive_seed(context.seed("tune"), "pair", number) for number in range(pairs)]
    trials = [Trial(tuple(map(float, one)), seed) for one in mixtures for seed in seeds]
    finished = run_proxies(context, corpus, space, trials, "pairs")
    return (bits(finished, space.measured, "check") @ space.objective).reshape(len(mixtures), pairs)


def _result(
    context: RunContext, space: SearchSpace, finished: Sequence[Finished], fitted: Fitted, compared: Comparison
) -> dict[str, Any]:
    values = bits(finished, space.measured, "fit")
    mixtures = [
        {
            "shares": dict(zip(space.names, one.trial.weights, strict=True)),
            "objective": float(row @ space.objective),
            "bits_per_byte": dict(zip(space.measured, map(float, row), strict=True)),
            "consumed": list(one.facts.consumed),
            "receipt": one.key,
            "reused": one.reused,
        }
        for one, row in zip(finished, values, strict=True)
    ]
    return {
        "run": str(context.run.path),
        "mixtures": mixtures,
        "basis": finished[0].facts.basis,
        "prior": space.shares(space.prior),
        "caps": dict(zip(space.names, map(float, space.most), strict=True)),
        "fit": asdict(fitted.report),
        "proposal": asdict(fitted.proposal),
        "comparison": asdict(compared)
        | {"distinguished": compared.distinguished, "sentence": compared.sentence("the proposal", "the prior")},
        "next_runs": [asdict(one) for one in next_runs(space, finished, fitted, compared)],
        "curriculum": _curriculum(space, fitted),
        "notices": [
            *_healed(context),
            *space.notices,
            *_unmatched(finished),
            *doubts(fitted, compared, len(space.names)),
        ],
    }


def _healed(context: RunContext) -> list[str]:
    """What was damaged and is whole again."""
    return [f"{one.what}: {one.found}" for one in context.healing.healed] if context.healing else []


def _unmatched(finished: Sequence[Finished]) -> list[str]:
    """Domains too small for a matched corpus: proxies repeat them less often than the full run."""
    lost = {
        name
        for one in finished
        for name, epochs in one.facts.epochs.items()
        if epochs.full > 0.5 and not 0.5 < epochs.proxy / epochs.full < 2
    }
    if not lost:
        return []
    return [f"epochs of proxies are more than twice off in {', '.join(sorted(lost))}: raise tune.tokens"]


def _curriculum(space: SearchSpace, fitted: Fitted) -> str:
    """The mixture as a phase of a recipe."""
    shares = ", ".join(f"{name} = {share:.6f}" for name, share in fitted.proposal.shares.items())
    return f"[[curriculum]]\nuntil_tokens = {space.full_tokens}\nshares = {{ {shares} }}\n"


def _tuned_file(recipe: Recipe, space: SearchSpace, fitted: Fitted, compared: Comparison) -> dict[str, Any]:
    """What ``tuned:FILE`` reads, and how it came about."""
    tune = section(recipe)
    return {
        "format": FORMAT,
        "corpus": recipe.sources_by_domain,
        "shares": dict(fitted.proposal.shares),
        "tuned": {
            "tune": tune.model_dump(mode="json"),
            "seed": recipe.seed,
            "full_tokens": space.full_tokens,
            "comparison": compared.sentence("the proposal", "the prior"),
        },
    }
