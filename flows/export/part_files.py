"""The files of one part of an export: each written aside, and all renamed when the part is whole."""

from pathlib import Path

from gristmill.corpus.files import file_sha256, fsync_path, write_json
from gristmill.flows.export.target import ExportedFile


class AsideFiles:
    """Files ``NAME.SUFFIX`` of a folder below the export's; ``path`` gives the hidden name that they are written to."""

    def __init__(self, export: Path, folder: str, name: str):
        self._export, self._folder, self._name = export, export / folder, name
        self._open: dict[str, Path] = {}
        self._folder.mkdir(parents=True, exist_ok=True)

    def path(self, suffix: str) -> Path:
        """Where the file with this suffix is written until ``commit``."""
        return self._open.setdefault(suffix, self._folder / f".{self._name}.{suffix}.tmp")

    def commit(self, rows: int) -> list[ExportedFile]:
        """Flush and rename every file, in order of the suffix; each is of ``rows`` rows."""
        for aside in self._open.values():
            fsync_path(aside)
        paths = [aside.rename(self._folder / f"{self._name}.{suffix}") for suffix, aside in sorted(self._open.items())]
        fsync_path(self._folder)
        return [described(self._export, path, rows) for path in paths]


def described(export: Path, path: Path, rows: int) -> ExportedFile:
    """A file that is whole."""
    return ExportedFile(path.relative_to(export).as_posix(), rows, path.stat().st_size, file_sha256(path))


def write_index(export: Path, folder: str, index: dict, rows: int) -> ExportedFile:
    """Write ``index.json`` of a folder, which a library reads first."""
    path = export / folder / "index.json"
    write_json(path, index)
    return described(export, path, rows)
