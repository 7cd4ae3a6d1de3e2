"""The inputs of a recipe: every file with its digest, and the artefacts (graph, models) that stages read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gristmill.corpus.errors import SourceError
from gristmill.corpus.files import file_sha256
from gristmill.corpus.recipe import Recipe, SourceSpec
from gristmill.sources.listing import InputFile, list_files


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a run reads."""

    files: dict[str, list[InputFile]]  # by source; empty for a graph source
    graph: str | None  # digest of the knowledge graph
    language_model: str | None  # sha256 of the language identification model

    def to_json(self) -> dict[str, Any]:
        """For the lock: paths as the recipe gives them, sizes and digests."""
        files = {
            source: [{"path": f.path, "bytes": f.bytes, "digest": f.digest, "format": f.format} for f in listed]
            for source, listed in self.files.items()
        }
        return {"files": files, "graph": self.graph, "language_model": self.language_model}


def list_inputs(recipe: Recipe) -> Inputs:
    """List and digest every input; SourceError when one is missing or has no known format."""
    files = {source.name: _files_of(source, recipe) for source in recipe.sources}
    return Inputs(files, _graph_digest(recipe), _model_digest(recipe))


def _files_of(source: SourceSpec, recipe: Recipe) -> list[InputFile]:
    if source.format != "graph":
        return list_files(source.paths, source.format, source=source.name)
    if recipe.knowledge is None:
        raise SourceError(
            f"sources.{source.name}.format is 'graph', but the recipe has no [knowledge] graph to verbalise"
        )
    return []


def _graph_digest(recipe: Recipe) -> str | None:
    if recipe.knowledge is None:
        return None
    from gristmill.knowledge.graph import graph_digest

    return graph_digest(Path(recipe.knowledge.graph))


def _model_digest(recipe: Recipe) -> str | None:
    if recipe.language is None:
        return None
    path = Path(recipe.language.model)
    if not path.is_file():
        raise SourceError(f"language.model: no file at {path}; samples/models holds lid.176.ftz")
    return file_sha256(path)
