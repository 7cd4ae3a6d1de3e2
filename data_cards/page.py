"""What stands on the pages of a card, once, for Markdown and HTML alike: sections of plain text, tables and figures.

A section holds no markup. The templates set it, and they escape every text of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace


class Share(float):
    """A share from 0 to 1; set as percent, in HTML with a bar."""


Cell = str | int | float | None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under named columns; the first ``left`` columns are text, the others numbers."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]
    title: str = ""
    left: int = 1
    folded: bool = False  # shown on demand, where a page can

    def without(self, column: int) -> "Table":
        """The same without one of its columns of text."""
        cut = [row[:column] + row[column + 1 :] for row in (self.columns, *self.rows)]
        return replace(self, columns=tuple(map(str, cut[0])), rows=cut[1:], left=self.left - 1)


@dataclass(frozen=True, slots=True)
class Section:
    """One heading and what stands under it, in this order."""

    anchor: str
    title: str
    text: Sequence[str] = ()
    figure: tuple[str, str] | None = None  # file name, caption
    tables: Sequence[Table] = ()
    items: Sequence[str] = ()
    code: Sequence[tuple[str, str]] = field(default_factory=tuple)  # language, text

    def filled(self) -> "Section | None":
        """Itself, without empty tables; None where nothing is left to show."""
        tables = [table for table in self.tables if table.rows]
        if not (self.text or tables or self.items or self.code):
            return None
        return Section(self.anchor, self.title, self.text, self.figure, tables, self.items, self.code)


def share_of(part: float, whole: float) -> Share | None:
    """A part of a whole; None when there is no whole.

    >>> share_of(1, 4), share_of(0, 0)
    (0.25, None)
    """
    return Share(part / whole) if whole else None
