"""The lock of a run: everything that decides its bytes, and nothing else. Its hash is the run id.

Format 2 holds the recipe without what decides no byte, the digest of every input, artefact and shipped profile, and the
version of every stage that runs, of the libraries that decide its output, and of every plug-in. Format 1 (version
0.1.0) held the graph and the language model alone; it is read into the same type.
Of a source with more than ``MAX_LISTED`` files the lock holds sums and the digest of a list that lies beside it.
"""

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from gristmill.corpus.errors import StoreError
from gristmill.corpus.files import content_key, file_sha256

FORMAT = 2
MAX_LISTED = 1000  # files of one source in lock.json and in a card: 170 bytes each in the first, 110 in README.md
LISTS = "inputs"  # folder of the lists, beside lock.json and in a card
_FIRST_ARTEFACTS = {"graph": ("mentions", "graph"), "language_model": ("language", "model")}


@dataclass(frozen=True, slots=True)
class LockedFile:
    """One input file: its path as the recipe leads to it, and its content."""

    path: str
    bytes: int
    digest: str
    format: str


@dataclass(frozen=True, slots=True)
class ManyFiles:
    """The input files of a source that has too many to stand in the lock."""

    files: int
    bytes: int
    formats: Sequence[str]
    sha256: str  # of the list: a line of JSON for each file, in the order of the source
    listed: str  # the list, beside the lock

    @classmethod
    def of(cls, source: str, files: Sequence[LockedFile], text: str) -> "ManyFiles":
        """Of files and the text of their list."""
        formats = sorted({file.format for file in files})
        digest = hashlib.sha256(text.encode()).hexdigest()
        return cls(len(files), sum(file.bytes for file in files), formats, digest, f"{LISTS}/{source}.jsonl")

    def expect_list(self, folder: Path) -> Path:
        """The list beside the lock; StoreError where it is missing or another one."""
        path = folder / self.listed
        try:
            found = file_sha256(path)
        except OSError:
            raise StoreError(f"{path} is missing: the lock names it; run the recipe again") from None
        if found != self.sha256:
            raise StoreError(f"{path} is damaged: it is not the list that the lock names; run the recipe again")
        return path


@dataclass(frozen=True, slots=True)
class LockedPlugin:
    """Code from outside."""

    sha256: str
    version: str


@dataclass(frozen=True, slots=True)
class Lock:
    """What decides a run."""

    recipe: Mapping[str, Any]
    inputs: Mapping[str, Sequence[LockedFile]]  # by source; without those of ``beside``
    artefacts: Mapping[str, Mapping[str, str]]  # digest by stage and by what the files are
    stages: Mapping[str, str]  # version by stage
    libraries: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # versions by stage
    plugins: Mapping[str, LockedPlugin] = field(default_factory=dict)
    profiles: Mapping[str, str] = field(default_factory=dict)  # digest of the rules of each shipped profile that judges
    format: int = FORMAT
    beside: Mapping[str, ManyFiles] = field(default_factory=dict)  # by source: lists that were not read

    @property
    def run_id(self) -> str:
        """16 hex characters: the same inputs and recipe give the same id."""
        return content_key(self.to_json())[:16]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; long lists stand in ``lists``. ``profiles`` is left out where none is named, as in old locks."""
        inputs: dict[str, Any] = {}
        for source, files in self.inputs.items():
            if len(files) > MAX_LISTED:
                inputs[source] = asdict(ManyFiles.of(source, files, _list(files)))
            else:
                inputs[source] = [asdict(one) for one in files]
        inputs |= {source: asdict(one) for source, one in self.beside.items()}
        rest = asdict(replace(self, inputs={}, beside={}))
        for name in ("beside", *(() if self.profiles else ("profiles",))):
            del rest[name]
        return rest | {"inputs": inputs}

    @property
    def sizes(self) -> dict[str, tuple[int, int]]:
        """Input files of each source, and their bytes."""
        listed = {name: (len(files), sum(file.bytes for file in files)) for name, files in self.inputs.items()}
        return dict(sorted((listed | {name: (many.files, many.bytes) for name, many in self.beside.items()}).items()))

    @property
    def lists(self) -> dict[str, str]:
        """The texts of long lists of files, by the path that each has beside the lock."""
        long = {source: files for source, files in self.inputs.items() if len(files) > MAX_LISTED}
        return {f"{LISTS}/{source}.jsonl": _list(files) for source, files in long.items()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any], folder: Path | None = None) -> "Lock":
        """The inverse of ``to_json``, and the reading of format 1.

        Parameters
        ----------
        folder : where the lock lies, with the lists beside it; without it sources that have one are in ``beside``

        Raises
        ------
        StoreError : a format that this version does not know, or a list that is missing or another one
        """
        if value.get("format") == 1:
            return cls(**_second_format(value))
        if value.get("format") != FORMAT:
            raise StoreError(
                f"lock.json has format {value.get('format')!r}; this version of gristmill reads 1 and {FORMAT}. "
                "Use the version that made the run, or run its recipe again"
            )
        many = {source: ManyFiles(**one) for source, one in value["inputs"].items() if isinstance(one, dict)}
        inputs: dict[str, list[LockedFile]] = {}
        for source, files in value["inputs"].items():
            if source not in many:
                inputs[source] = [LockedFile(**one) for one in files]
            elif folder is not None:
                inputs[source] = list(_read_list(many.pop(source).expect_list(folder)))
        plugins = {name: LockedPlugin(**plugin) for name, plugin in value["plugins"].items()}
        return cls(**{**value, "inputs": inputs, "plugins": plugins, "beside": many})


def _list(files: Sequence[LockedFile]) -> str:
    return "".join(json.dumps(asdict(file), sort_keys=True, ensure_ascii=False) + "\n" for file in files)


def _read_list(path: Path) -> Iterator[LockedFile]:
    with path.open("rb") as file:  # as bytes: a name may hold U+2028 or U+0085, which end lines of a text
        for line in file:
            one = json.loads(line)
            yield LockedFile(one["path"], one["bytes"], one["digest"], sys.intern(one["format"]))


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
