"""The lock of a run: everything that decides its bytes, and nothing else. Its hash is the run id.

Format 2 holds the recipe without what decides no byte, the digest of every input, artefact and shipped profile, and the
version of every stage that runs, of the libraries that decide its output, and of every plug-in. Format 1 (version
0.1.0) held the graph and the language model alone; it is read into the same type.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from gristmill.corpus.errors import StoreError
from gristmill.corpus.files import content_key

FORMAT = 2
_FIRST_ARTEFACTS = {"graph": ("mentions", "graph"), "language_model": ("language", "model")}


@dataclass(frozen=True, slots=True)
class LockedFile:
    """One input file: its path as the recipe leads to it, and its content."""

    path: str
    bytes: int
    digest: str
    format: str


@dataclass(frozen=True, slots=True)
class LockedPlugin:
    """Code from outside."""

    sha256: str
    version: str


@dataclass(frozen=True, slots=True)
class Lock:
    """What decides a run."""

    recipe: Mapping[str, Any]
    inputs: Mapping[str, list[LockedFile]]  # by source
    artefacts: Mapping[str, Mapping[str, str]]  # digest by stage and by what the files are
    stages: Mapping[str, str]  # version by stage
    libraries: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # versions by stage
    plugins: Mapping[str, LockedPlugin] = field(default_factory=dict)
    profiles: Mapping[str, str] = field(default_factory=dict)  # digest of the rules of each shipped profile that judges
    format: int = FORMAT

    @property
    def run_id(self) -> str:
        """16 hex characters: the same inputs and recipe give the same id."""
        return content_key(self.to_json())[:16]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; without ``profiles`` where none is named, and in locks that were made before there were any."""
        value = asdict(self)
        return value if self.profiles else {name: one for name, one in value.items() if name != "profiles"}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Lock":
        """The inverse of ``to_json``, and the reading of format 1.

        Raises
        ------
        StoreError : a format that this version does not know
        """
        if value.get("format") == 1:
            return cls(**_second_format(value))
        if value.get("format") != FORMAT:
            raise StoreError(
                f"lock.json has format {value.get('format')!r}; this version of gristmill reads 1 and {FORMAT}. "
                "Use the version that made the run, or run its recipe again"
            )
        inputs = {source: [LockedFile(**file) for file in files] for source, files in value["inputs"].items()}
        plugins = {name: LockedPlugin(**plugin) for name, plugin in value["plugins"].items()}
        return cls(**{**value, "inputs": inputs, "plugins": plugins})


def _second_format(value: Mapping[str, Any]) -> dict[str, Any]:
    inputs, versions = value["inputs"], value["versions"]
    artefacts: dict[str, dict[str, str]] = {}
    for name, (stage, what) in _FIRST_ARTEFACTS.items():
        if inputs.get(name):
            artefacts.setdefault(stage, {})[what] = inputs[name]
    return {
        "recipe": value["recipe"],
        "inputs": {source: [LockedFile(**file) for file in files] for source, files in inputs["files"].items()},
        "artefacts": artefacts,
        "stages": versions["stages"],
        "libraries": {"documents": versions["libraries"]},
        "format": 1,
    }
