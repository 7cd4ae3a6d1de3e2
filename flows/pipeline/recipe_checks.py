"""What is wrong between the tables of a recipe: unknown names, missing files, what one table needs of another.

All of it is reported before anything runs. Mistakes of a single value, and between keys of one table, are the
tables' own.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from gristmill.corpus.credentials import without_credentials
from gristmill.corpus.errors import GristmillError, SourceError, nearest
from gristmill.corpus.recipe_values import Mistake
from gristmill.flows.pipeline.catalogue import Catalogue
from gristmill.flows.pipeline.cron import schedule_mistakes
from gristmill.flows.pipeline.order_checks import order_mistakes
from gristmill.flows.pipeline.planted_fact_checks import planted_fact_mistakes
from gristmill.flows.pipeline.recipe import Recipe
from gristmill.flows.pipeline.rule_checks import rule_mistakes
from gristmill.flows.pipeline.use_checks import use_mistakes
from gristmill.mixing.stage import PLAN, curriculum_mistakes, mixture_mistakes
from gristmill.mixing.tuning import tuning_mistakes
from gristmill.sources.catalogue import reader_names
from gristmill.tokenizer.stage import Specials
from gristmill.trainer.training_stage import stage_mistakes


def check_recipe(recipe: Recipe, catalogue: Catalogue) -> Iterator[Mistake]:
    """Every mistake between tables, in no order; keys are those of the recipe."""
    for check in CHECKS:
        yield from check(recipe)
    yield from known_formats(recipe, catalogue)
    yield from artefact_mistakes(recipe, catalogue)
    yield from rule_mistakes(recipe, catalogue)
    yield from order_mistakes(recipe, catalogue)


def unique_names(recipe: Recipe) -> Iterator[Mistake]:
    """Two sources, classifiers or references of one name."""
    for key, listed in (
        ("sources", recipe.sources),
        ("classifiers", recipe.classifiers),
        ("references", recipe.references),
    ):
        first: dict[str, int] = {}
        for place, one in enumerate(listed):
            before = first.setdefault(one.name, place)
            if before != place:
                keys = (f"{key}.{place}.name", f"{key}.{before}.name")
                yield Mistake(keys, f"{one.name!r} is the name of two {key}")


def addresses(recipe: Recipe) -> Iterator[Mistake]:
    """A credential in an address: the run keeps its recipe, so it would be kept as well."""
    for path, value in _texts(recipe.model_dump(mode="json"), ()):
        if without_credentials(value) != value:
            yield Mistake(
                (path,), "the address holds a credential, which the run would keep; give it in the environment"
            )


def _texts(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict | list):
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        for key, one in inner:
            yield from _texts(one, (*path, key))


def known_domains(recipe: Recipe) -> Iterator[Mistake]:
    """Domains that no source has."""
    edits = recipe.line_edits.domains if recipe.line_edits else ()
    rates = recipe.fill_in_middle.rates if recipe.fill_in_middle else ()
    if recipe.trainer and recipe.trainer.proof:
        yield from _unknown(recipe, [(("trainer", "proof", "domain"), recipe.trainer.proof.domain)])
    yield from _unknown(recipe, [(("mixing", "caps", "domains", name), name) for name in recipe.mixing.caps.domains])
    for table in ("order", "upsample"):
        named = [(("mixing", table, name), name) for name in getattr(recipe.mixing, table)]
        yield from _unknown(recipe, named)
    judged = [(("decide", "domains", name), name) for name in recipe.decide.domains]
    yield from _unknown(recipe, [*judged, *((("line_edits", "domains"), name) for name in edits)], of_sources=True)
    yield from _unknown(recipe, [(("fill_in_middle", "rates", name), name) for name in rates])
    for number, phase in enumerate(recipe.curriculum):
        table = () if phase.named else phase.shares
        shares = [(("curriculum", number, "shares", name), name) for name in table]
        yield from _unknown(recipe, shares)
    if recipe.tune:
        yield from _unknown(recipe, [(("tune", "prior", name), name) for name in recipe.tune.prior_table])
        yield from _unknown(recipe, [(("tune", "objective", name), name) for name in recipe.tune.objective])


def _unknown(
    recipe: Recipe, named: Sequence[tuple[tuple[str | int, ...], str]], *, of_sources: bool = False
) -> Iterator[Mistake]:
    """``of_sources``: domains that [knowledge.domains] gives do not count, since rules go by the source's."""
    known = recipe.source_domains if of_sources else recipe.domains
    sources = tuple(f"sources.{place}.domain" for place in range(len(recipe.sources)))
    for path, name in named:
        if name not in known:
            text = f"no source has the domain {name!r}{nearest(name, known)}"
            yield Mistake((path, *sources), text)


def phases(recipe: Recipe) -> Iterator[Mistake]:
    """A curriculum that cannot be followed."""
    yield from curriculum_mistakes(recipe.curriculum, recipe.shards.row_tokens)
    yield from mixture_mistakes(recipe.curriculum, recipe.mixing, recipe.sources_by_domain)
    if recipe.trainer:
        yield from stage_mistakes(recipe.trainer.stages, len(recipe.curriculum))


def tuning(recipe: Recipe) -> Iterator[Mistake]:
    """Proxy runs that cannot be made."""
    if recipe.tune is not None:
        end = recipe.curriculum[-1].until_tokens if recipe.curriculum else None
        full = recipe.mixing.budget or end
        yield from tuning_mistakes(recipe.tune, recipe.shards.row_tokens, recipe.shards.heldout, full)


def graph_sources(recipe: Recipe) -> Iterator[Mistake]:
    """A source that puts a graph into words, where the recipe has no graph."""
    for place, source in enumerate(recipe.sources):
        if source.format == "graph" and recipe.knowledge is None:
            text = "'graph' puts the knowledge graph into words, but the recipe has no [knowledge] graph"
            yield Mistake((f"sources.{place}.format", "knowledge"), text)


def known_formats(recipe: Recipe, catalogue: Catalogue) -> Iterator[Mistake]:
    """A format that no reader has, neither the mill's nor a plug-in's."""
    known = (*reader_names([one.reader for one in catalogue.readers]), "graph")
    for place, source in enumerate(recipe.sources):
        if source.format is not None and source.format not in known:
            text = f"no reader for {source.format!r}{nearest(source.format, known)}"
            yield Mistake((f"sources.{place}.format", "plugins"), text)


def readable_sources(recipe: Recipe) -> Iterator[Mistake]:
    """An encoding or a template that no reader takes."""
    from gristmill.sources.spec import ReadSpec

    for place, source in enumerate(recipe.sources):
        try:
            ReadSpec(source.name, source.domain, template=source.template, encoding=source.encoding)
        except GristmillError as error:
            where, _, text = str(error).removeprefix(f"sources.{source.name}.").partition(": ")
            yield Mistake((f"sources.{place}.{where}",), text)


def own_tokenizer(recipe: Recipe) -> Iterator[Mistake]:
    """A tokenizer that cannot be read, or lacks a token that the recipe names; a missing file is reported elsewhere."""
    if recipe.tokenizer.path:
        for key, text in _tokenizer_faults(recipe.tokenizer.path, recipe.special_tokens):
            yield Mistake((f"tokenizer.{key}", "tokenizer.path"), text)


def compared_tokenizers(recipe: Recipe) -> Iterator[Mistake]:
    """A tokenizer to compare with that cannot be read."""
    for name, path in recipe.tokenizer.compare.files.items() if recipe.tokenizer.compare else ():
        for _, text in _tokenizer_faults(path, Specials(end="")):
            yield Mistake((("tokenizer", "compare", "files", name),), text)


def _tokenizer_faults(path: str, specials: Specials) -> Iterator[tuple[str, str]]:
    """Keys of [tokenizer], and what is wrong; nothing of a file that is not there."""
    if not Path(path).is_file():
        return
    from gristmill.tokenizer.tokenizer_json import faults, read_config

    try:
        yield from faults(read_config(Path(path)), specials)
    except SourceError as error:
        yield "path", str(error)


def weighted_sample(recipe: Recipe) -> Iterator[Mistake]:
    """A tokenizer's sample by a mixture that is known only when its rows are."""
    named = [place for place, phase in enumerate(recipe.curriculum) if phase.named and not phase.tuned_file]
    if recipe.tokenizer.sample == "mixture" and named:
        text = "the shares of the curriculum are found from packed rows, which come after the tokenizer; use 'kept'"
        yield Mistake(("tokenizer.sample", f"curriculum.{named[0]}.shares"), text)


def chat_template(recipe: Recipe) -> Iterator[Mistake]:
    """Conversations without a chat template, or with one that no conversation can be put into."""
    sources = [place for place, source in enumerate(recipe.sources) if source.messages]
    if sources:
        from gristmill.tokenizer.template_checks import template_mistakes

        keys = tuple(f"sources.{place}.messages" for place in sources)
        for key, text in template_mistakes(recipe.tokenizer):
            yield Mistake((f"tokenizer.{key}", "tokenizer.path", *keys), text)


def schedule(recipe: Recipe) -> Iterator[Mistake]:
    """A cron line or a time zone that is none."""
    if recipe.schedule is not None:
        yield from schedule_mistakes(recipe.schedule)


def artefact_mistakes(recipe: Recipe, catalogue: Catalogue) -> Iterator[Mistake]:
    """Files that a section names and that are not there."""
    for instance in catalogue.stages_of(recipe):
        key = _section_key(recipe, instance.spec.recipe_key, instance.options)
        for name, paths in instance.spec.artefacts(instance.options).items() if instance.options is not None else ():
            for path in paths:
                if not Path(path).is_file() and instance.spec is not PLAN:  # which says which phase
                    leaf = (*key, *name.split("."))
                    leaf = leaf if _has(recipe, leaf) else key
                    yield Mistake((leaf,), f"no file at {path}")


def _section_key(recipe: Recipe, key: str, options: object) -> tuple[str | int, ...]:
    path: tuple[str | int, ...] = tuple(key.split("."))
    listed = recipe.at(key)
    if not isinstance(listed, tuple) or listed is options:
        return path
    return (*path, next(place for place, one in enumerate(listed) if one is options))


def _has(recipe: Recipe, path: tuple[str | int, ...]) -> bool:
    value: object = recipe
    for step in path:
        value = value[step] if isinstance(value, tuple) and isinstance(step, int) else getattr(value, str(step), None)
    return value is not None


CHECKS: tuple[Callable[[Recipe], Iterable[Mistake]], ...] = (
    unique_names,
    known_domains,
    phases,
    tuning,
    planted_fact_mistakes,
    graph_sources,
    readable_sources,
    own_tokenizer,
    compared_tokenizers,
    weighted_sample,
    chat_template,
    addresses,
    schedule,
    use_mistakes,
)
