"""The lock of a recipe on its inputs, made from the declarations of the stages that it runs."""

from collections.abc import Mapping

from gristmill.corpus.lock import Lock, LockedFile, LockedPlugin
from gristmill.corpus.plugins import resolve, told_by
from gristmill.filters.decide.profiles import PROFILES
from gristmill.flows.pipeline.catalogue import profiles_of
from gristmill.flows.pipeline.inputs import Inputs
from gristmill.flows.pipeline.recipe import Recipe
from gristmill.flows.pipeline.recipe_reading import CheckedRecipe
from gristmill.flows.pipeline.stages import Instance
from gristmill.knowledge.stage import VERBALISE


def build_lock(checked: CheckedRecipe, inputs: Inputs) -> Lock:
    """Everything that decides the bytes of a run; nothing measured, and no path but the recipe's own."""
    stages = checked.stages
    verbalised = any(source.format == "graph" for source in checked.recipe.sources)
    versions = {one.name: one.spec.version for one in stages}
    versions |= {VERBALISE.name: VERBALISE.version} if verbalised else {}
    return Lock(
        recipe=checked.recipe.locked(),
        inputs={
            source: [LockedFile(file.path, file.bytes, file.digest, file.format) for file in files]
            for source, files in inputs.files.items()
        },
        artefacts={
            stage: {name: artefact.digest for name, artefact in artefacts.items()}
            for stage, artefacts in inputs.artefacts.items()
        },
        stages=versions,
        libraries={one.name: found for one in stages if (found := libraries_of(one))},
        plugins={plugin.name: LockedPlugin(plugin.sha256, plugin.version) for plugin in checked.plugins},
        profiles=_shipped_profiles(checked.recipe),
    )


def _shipped_profiles(recipe: Recipe) -> dict[str, str]:
    """Digest by name; rules of the recipe's own profiles stand in the recipe."""
    named = {name for domain in recipe.domains for name in profiles_of(recipe, domain)}
    return {name: PROFILES[name].digest for name in sorted(named & PROFILES.keys())}


def libraries_of(stage: Instance) -> Mapping[str, str]:
    """Versions of the libraries that decide what a stage writes."""
    if not stage.spec.libraries:
        return {}
    with told_by(stage.plugin, f"asking for the libraries of stage {stage.name!r}"):
        return dict(resolve(stage.spec.libraries, stage.plugin, f"stage {stage.name!r}")())
