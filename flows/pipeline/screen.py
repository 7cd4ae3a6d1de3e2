"""Optional stages that see text part by part: line rules, personal data, blocklists, contamination, models of text.

Each writes signals that rules may bound, and is left out when the recipe has no section for it.
"""

from pathlib import Path
from typing import Any

from gristmill.corpus.errors import RecipeError, SourceError
from gristmill.corpus.files import file_sha256
from gristmill.corpus.receipt import Manifest, Receipt
from gristmill.corpus.recipe import Recipe
from gristmill.corpus.recipe_screens import Classifier, Reference
from gristmill.flows.pipeline.context import Mill
from gristmill.flows.pipeline.each_part import each_part
from gristmill.flows.pipeline.jobs import Job, Ref, job_key
from gristmill.flows.pipeline.versions import stage_version


def edit_lines(mill: Mill) -> Manifest | None:
    """Lines that published rules cut, as spans and signals; only with [line_edits].

    Raises
    ------
    RecipeError : a profile or bound judges what a reading leaves, and the recipe does not have the reading
    """
    _expect_readings(mill.recipe)
    if mill.recipe.line_edits is None:
        return None
    from gristmill.filters.line_edits.find_edits import edit_part

    options = mill.recipe.line_edits.model_dump()
    return each_part(mill, "line_edits", edit_part, options, **options)


def scan_pii(mill: Mill) -> Manifest | None:
    """Counts of personal data by kind, and the spans to mask."""
    kinds = {kind: action for kind, action in mill.recipe.pii.model_dump().items() if action}
    if not kinds:
        return None
    from gristmill.filters.pii.scan import scan_part

    return each_part(mill, "pii", scan_part, {"kinds": kinds}, kinds=kinds)


def _expect_readings(recipe: Recipe) -> None:
    from gristmill.filters.decide.profiles import PROFILES
    from gristmill.filters.line_edits.find_edits import SIGNALS_OF

    readings = recipe.line_edits.rules if recipe.line_edits else ()
    for spec in (recipe.decide, *recipe.decide.domains.values()):
        bounds = {name: {name} for name in spec.rules}
        judged = {name: {rule.signal for rule in PROFILES[name].rules} for name in spec.profiles if name in PROFILES}
        for name, signals in (judged | bounds).items():
            for reading, measured in SIGNALS_OF.items():
                if reading not in readings and signals & {signal.name for signal in measured}:
                    raise RecipeError(
                        f'{name} judges what line rules leave of a document: set line_edits.rules = ["{reading}"]'
                    )


def match_blocklist(mill: Mill) -> Manifest | None:
    """Blocked words, addresses and hashes."""
    if mill.recipe.blocklist is None:
        return None
    from gristmill.filters.lists.blocklist import blocklist_digest, match_part

    lists = {name: [Path(path) for path in paths] for name, paths in mill.recipe.blocklist.model_dump().items()}
    return each_part(mill, "blocklist", match_part, lists, digest=blocklist_digest(**lists))


def find_contamination(mill: Mill) -> Manifest | None:
    """How much of an evaluation passage a document holds."""
    if mill.recipe.decontaminate is None:
        return None
    from gristmill.filters.lists.decontaminate import contamination_digest, contamination_part

    options = mill.recipe.decontaminate.model_dump()
    options["sets"] = {name: [Path(path) for path in paths] for name, paths in options["sets"].items()}
    plain = options | {"sets": contamination_digest(options["sets"])}
    return each_part(mill, "contamination", contamination_part, options, **plain)


def classify(mill: Mill) -> Manifest | None:
    """The score of every classifier, trained first where no model is given; their parts in one manifest."""
    if not mill.recipe.classifiers:
        return None
    scored = [_classify(mill, spec) for spec in mill.recipe.classifiers]
    manifest = Manifest("classifiers", tuple(part for each in scored for part in each.parts))
    mill.run.write_manifest(manifest)
    return manifest


def _classify(mill: Mill, spec: Classifier) -> Manifest:
    from gristmill.filters.models.classifier import classify_part

    if spec.model:
        model: Path | Ref = Path(spec.model)
        digest = file_sha256(Path(spec.model))
    else:
        receipt = _train(mill, spec)
        model, digest = Ref(receipt, "model.bin"), receipt.key  # same key, same bytes
    options = {"name": spec.name, "label": spec.label}
    return each_part(
        mill, f"classifier-{spec.name}", classify_part, {"model": model, **options}, model=digest, **options
    )


def _train(mill: Mill, spec: Classifier) -> Receipt:
    from gristmill.filters.models.classifier import train_classifier

    options: dict[str, Any] = spec.model_dump(exclude={"name", "model", "label", "positive", "negative", "labelled"})
    examples = {kind: [Path(path) for path in getattr(spec, kind)] for kind in ("positive", "negative", "labelled")}
    digests = {kind: [file_sha256(path) for path in paths] for kind, paths in examples.items()}
    stage = f"classifier-model-{spec.name}"
    key = job_key(stage, stage_version(stage), digests, seed=mill.recipe.seed, **options)
    arguments = {**examples, **options, "seed": mill.recipe.seed}
    return mill.stage(stage, [Job(stage, key, train_classifier, arguments)]).parts[0]


def refer(mill: Mill) -> Manifest | None:
    """Cross-entropy against every reference, fitted first where no model is given; their parts in one manifest."""
    if not mill.recipe.references:
        return None
    scored = [_refer(mill, spec) for spec in mill.recipe.references]
    manifest = Manifest("references", tuple(part for each in scored for part in each.parts))
    mill.run.write_manifest(manifest)
    return manifest


def _refer(mill: Mill, spec: Reference) -> Manifest:
    from gristmill.filters.models.reference import FILE, score_part

    if spec.model:
        model: Path | Ref = Path(spec.model)
        digest = _digest(model, "references.model")
    else:
        receipt = _fit(mill, spec)
        model, digest = Ref(receipt, FILE), receipt.key  # same key, same bytes
    arguments = {"reference": model, "name": spec.name}
    return each_part(mill, f"reference-{spec.name}", score_part, arguments, model=digest, name=spec.name)


def _fit(mill: Mill, spec: Reference) -> Receipt:
    from gristmill.filters.models.reference import fit_reference

    options: dict[str, Any] = spec.model_dump(include={"order", "sample_bytes"})
    texts = [Path(path) for path in spec.texts]
    digests = [_digest(path, "references.texts") for path in texts]
    stage = f"reference-model-{spec.name}"
    key = job_key(stage, stage_version(stage), digests, seed=mill.recipe.seed, **options)
    arguments = {"texts": texts, **options, "seed": mill.recipe.seed}
    return mill.stage(stage, [Job(stage, key, fit_reference, arguments)]).parts[0]


def _digest(path: Path, key: str) -> str:
    if not path.is_file():
        raise SourceError(f"no file at {path}; set {key}")
    return file_sha256(path)


def compress(mill: Mill) -> Manifest | None:
    """How much shorter zstd makes a document."""
    if mill.recipe.compression is None:
        return None
    from gristmill.filters.models.compression import compress_part, library_version

    options = mill.recipe.compression.model_dump()
    return each_part(mill, "compression", compress_part, options, zstd=library_version(), **options)
