"""The held-out rows of every domain, read anew at each pass, so that memory is one batch however many there are."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gristmill.handoff.reader import ShardReader
from gristmill.trainer.config import TrainConfig
from gristmill.trainer.model.packed import Packed, pack
from gristmill.trainer.training.bits_per_byte import token_bytes


@dataclass(frozen=True)
class HeldoutRows(Sequence[Packed]):
    """Rows of one domain, as batches of ``batch_rows``."""

    reader: ShardReader
    rows: np.ndarray  # int64, ascending
    domain: int  # place in the plan
    batch_rows: int
    spelled: np.ndarray | None  # int64[V], bytes of each token

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_rows)

    def __getitem__(self, at: int) -> Packed:  # type: ignore[override]  # no slices of batches
        rows = self._of(at)
        domain = np.full(len(rows), self.domain)
        return pack(self.reader.tokens(rows), domain, *self.reader.slices(rows), self.reader.mask(rows))

    def documents(self, at: int) -> list[str]:
        """The doc_id of every slice of batch ``at``, in the order of its slices."""
        return [one["doc_id"] for row in self.reader.documents(self._of(at)) for one in row]

    def _of(self, at: int) -> np.ndarray:
        if not 0 <= at < len(self):
            raise IndexError(at)
        return self.rows[at * self.batch_rows : (at + 1) * self.batch_rows]


def read_heldout(folder: Path, domains: tuple[str, ...], config: TrainConfig) -> dict[str, HeldoutRows]:
    """The rows of every domain that has some: all, or ``config.heldout_rows`` spread evenly over its shards.

    Parameters
    ----------
    folder : ``heldout/`` of a run directory; bytes of tokens are those of ``tokenizer/`` beside it
    domains : names in the order of the plan
    """
    found: dict[str, HeldoutRows] = {}
    spelled = token_bytes(folder.parent / "tokenizer" / "tokenizer.json", config.vocab_size)
    for number, name in enumerate(domains):
        reader = ShardReader(folder / name) if (folder / name).exists() else None
        if reader is None or not reader.rows:
            continue
        wanted = min(config.heldout_rows or reader.rows, reader.rows)
        rows = np.unique(np.linspace(0, reader.rows - 1, wanted).astype(np.int64))
        found[name] = HeldoutRows(reader, rows, number, config.batch_rows, spelled)
    return found
