"""The stages that fit a model from files: classifiers from examples, references from good text."""

from collections.abc import Callable

from gristmill.corpus.receipt import Manifest, Outcome
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.jobs import Job, job_key
from gristmill.flows.pipeline.stages import Instance

_CLASSIFIER_OPTIONS = {"dim", "epochs", "word_ngrams", "buckets", "learning_rate", "holdout"}
_REFERENCE_OPTIONS = {"order", "sample_bytes"}


def train_classifiers(context: RunContext, stage: Instance) -> Manifest:
    """Train one classifier."""
    from gristmill.filters.models.classifier import train_classifier

    return _fit(context, stage, train_classifier, _CLASSIFIER_OPTIONS)


def fit_references(context: RunContext, stage: Instance) -> Manifest:
    """Fit one reference."""
    from gristmill.filters.models.reference import fit_reference

    return _fit(context, stage, fit_reference, _REFERENCE_OPTIONS)


def _fit(context: RunContext, stage: Instance, function: Callable[..., Outcome], named: set[str]) -> Manifest:
    options = stage.options.model_dump(include=named)
    files = context.inputs.of_stage(stage.name)
    digests = {name: artefact.digest for name, artefact in files.items()}
    key = job_key(stage.name, stage.spec.version, digests, seed=context.recipe.seed, **options)
    arguments = {name: list(artefact.paths) for name, artefact in files.items()}
    job = Job(stage.name, key, function, {**arguments, **options, "seed": context.recipe.seed})
    return context.compute(stage.name, [job])
