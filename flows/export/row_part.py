"""What a target of rows is given: the layout of all rows, and parts that take a fixed number of them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from gristmill.flows.export.part_files import AsideFiles
from gristmill.flows.export.row_blocks import RowBlock
from gristmill.flows.export.target import ExportedFile


class Layout(NamedTuple):
    """What all rows of an export have in common."""

    row_tokens: int
    token_type: str  # uint16 or uint32
    vocab_size: int
    domains: tuple[str, ...]  # names by number
    masked: bool  # some tokens of documents do not count where they are predicted
    part_rows: int  # rows of every part but the last


class RowPart(Protocol):
    """One part that is being written, under the names that ``files`` gives."""

    def __init__(self, files: AsideFiles, layout: Layout): ...

    def write(self, block: RowBlock) -> None:
        """Add rows."""
        ...

    def close(self) -> None:
        """Write what is left."""
        ...


Index = Callable[[Sequence[ExportedFile], Layout], dict[str, Any]]  # what index.json says of the parts beside it


class PartSeries:
    """Rows cut into ``part-00000``, ``part-00001`` ... of one folder; ``done`` lists the files that are whole."""

    def __init__(self, export: Path, folder: str, layout: Layout, kind: type[RowPart]):
        self.done: list[ExportedFile] = []
        self._export, self._folder, self._layout, self._kind = export, folder, layout, kind
        self._number = self._rows = 0
        self._open: tuple[RowPart, AsideFiles] | None = None

    def write(self, block: RowBlock) -> None:
        """Add rows, at a part's end to the next."""
        begin = 0
        while begin < len(block.row):
            end = min(len(block.row), begin + self._layout.part_rows - self._rows)
            self._part().write(block.slice(begin, end))
            self._rows += end - begin
            begin = end
            if self._rows == self._layout.part_rows:
                self.close()

    def _part(self) -> RowPart:
        if self._open is None:
            files = AsideFiles(self._export, self._folder, f"part-{self._number:05d}")
            self._open = self._kind(files, self._layout), files
        return self._open[0]

    def close(self) -> None:
        """Finish the part that is open."""
        if self._open is not None:
            part, files = self._open
            part.close()
            self.done += files.commit(self._rows)
            self._number, self._rows, self._open = self._number + 1, 0, None
