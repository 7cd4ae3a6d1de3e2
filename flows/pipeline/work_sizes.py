"""How much each stage of a recipe has to work on: measured where an earlier run has done so, estimated where not.

Text of inputs that were never read is estimated from their heads: how far an archive unpacks, what Parquet says of its
columns, and the share of a format that becomes text. Nothing is read whole.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gristmill.corpus.meter import Meter, metered
from gristmill.corpus.receipt import Manifest
from gristmill.flows.pipeline.inputs import Inputs
from gristmill.flows.pipeline.recipe import Recipe
from gristmill.flows.pipeline.stage_costs import (
    KEPT_SHARE,
    OTHER_READER,
    READING,
    tokenizer_seconds,
    training_seconds,
)
from gristmill.flows.pipeline.stages import Instance
from gristmill.sources.listing import COMPRESSIONS, InputFile

_MB = 1e6
_HEAD_BYTES = 1 << 20
_LOOKED_AT = 3  # files of a source and format, the largest
_BYTES_A_TOKEN = 4.0
_PACKED = 2.5  # what files of examples unpack to, without a look at them


@dataclass(frozen=True)
class WorkSizes:
    """The sizes of one recipe. ``documents`` and ``decide`` are manifests of these stages, as far as they are done."""

    recipe: Recipe
    inputs: Inputs
    documents: Manifest | None = None
    decide: Manifest | None = None

    @cached_property
    def unpacked(self) -> dict[str, dict[str, float]]:
        """MB of unpacked input by source and format."""
        return {source: dict(_unpacked(files)) for source, files in self.inputs.files.items()}

    @cached_property
    def text_mb(self) -> float:
        """MB of text that the readers give."""
        parts = self.documents.parts if self.documents else ()
        if parts and all("text_bytes" in part.facts for part in parts):
            return sum(part.facts["text_bytes"] for part in parts) / _MB
        found = sum(mb * _reading(kind)[1] for kinds in self.unpacked.values() for kind, mb in kinds.items())
        return found + self._graph_mb

    @cached_property
    def kept_mb(self) -> float:
        """MB of text that decide keeps."""
        found = sum(one.bytes_kept for one in self.decide.accounts.values()) if self.decide else 0
        return found / _MB or KEPT_SHARE * self.text_mb

    @cached_property
    def _graph_mb(self) -> float:
        if not any(source.format == "graph" for source in self.recipe.sources):
            return 0.0
        return _PACKED * self._artefact_mb("mentions", "graph")

    def of(self, stage: Instance) -> float:
        """The work of a stage, in the unit of its entry in ``stage_costs``: MB of text, or seconds of that table."""
        kind = stage.spec.name
        if kind == "documents":
            reading = (mb * _reading(name)[0] for kinds in self.unpacked.values() for name, mb in kinds.items())
            return sum(reading)
        if kind == "reference-model":
            return min(stage.options.sample_bytes / _MB, _PACKED * self._artefact_mb(stage.name))
        if kind == "classifier-model":
            return stage.options.epochs / 10 * self._artefact_mb(stage.name)
        if kind == "tokenizer":
            asked = self.recipe.tokenizer
            return tokenizer_seconds(min(self.kept_mb, asked.sample_bytes / _MB), asked.vocab_size)
        if kind == "train":
            return self._training_seconds()
        return self.kept_mb if kind in _OF_KEPT else self.text_mb

    def _artefact_mb(self, stage: str, name: str | None = None) -> float:
        artefacts = self.inputs.of_stage(stage)
        chosen = [one for key, one in artefacts.items() if name in (None, key)]
        return sum(path.stat().st_size for one in chosen for path in one.paths) / _MB

    def _training_seconds(self) -> float:
        """Steps over the curriculum, and held-out rows before and after, forward alone: a third of a step each."""
        trainer, shards = self.recipe.trainer, self.recipe.shards
        assert trainer is not None
        last = self.recipe.curriculum[-1].until_tokens if self.recipe.curriculum else 0
        step_tokens = trainer.batch_rows * shards.row_tokens
        heldout = min(
            len(self.recipe.domains) * trainer.heldout_rows * shards.row_tokens,
            self.kept_mb * _MB / _BYTES_A_TOKEN * shards.heldout,
        )
        model = trainer.model
        experts = 3 * (model.top_k + model.shared_experts) * model.width * model.expert_width
        return training_seconds(
            steps=(last + 2 / 3 * heldout) / step_tokens,
            step_tokens=step_tokens,
            layers=model.layers,
            layer_weights=model.layers * (4 * model.width**2 + experts),
            head_weights=self.recipe.tokenizer.vocab_size * model.width,
        )


_OF_KEPT = frozenset({"lines", "substrings", "edits", "tokenizer-comparison", "tokens", "shards", "heldout"})


def _reading(kind: str) -> tuple[float, float]:
    return READING.get(kind, OTHER_READER)


def _unpacked(files: list[InputFile]) -> Iterator[tuple[str, float]]:
    for kind in sorted({file.format for file in files}):
        same = sorted((file for file in files if file.format == kind), key=lambda file: -file.bytes)
        looked = [(file, _size(file)) for file in same[:_LOOKED_AT]]
        packed, whole = sum(file.bytes for file, _ in looked), sum(size for _, size in looked)
        yield kind, sum(file.bytes for file in same) / _MB * (whole / packed if packed else 1.0)


def _size(file: InputFile) -> float:
    """Bytes of a file unpacked, from its head or its footer; its own where that cannot be known."""
    if "://" in file.lies_at:
        return _PACKED * file.bytes if file.path.endswith((*COMPRESSIONS, ".parquet")) else file.bytes
    try:
        return _parquet_size(Path(file.lies_at)) if file.format == "parquet" else _unpacked_size(file)
    except Exception:  # noqa: BLE001  a broken file is reported by the run; an estimate goes on without it
        return file.bytes


def _parquet_size(path: Path) -> float:
    import pyarrow.parquet as pq

    about = pq.read_metadata(path)
    return sum(about.row_group(number).total_byte_size for number in range(about.num_row_groups))


def _unpacked_size(file: InputFile) -> float:
    from gristmill.sources.opening import open_stream
    from gristmill.sources.spec import ReadSpec

    with metered(meter := Meter()), open_stream(file, ReadSpec("size", "size")) as stream:
        head = len(stream.read(_HEAD_BYTES))
        return file.bytes * max(stream.total_bytes, head) / meter.n_bytes if meter.n_bytes else file.bytes
