"""Bits per byte of a model on held-out rows, the documents parted: what one choice sees and another is judged on."""

from collections.abc import Callable, Hashable
from typing import TypeVar

import numpy as np
import torch

from gristmill.trainer.config import TrainConfig
from gristmill.trainer.model.decoder import Model
from gristmill.trainer.model.loss import cross_entropy
from gristmill.trainer.model.precision import matmuls
from gristmill.trainer.training.bits_per_byte import BitsPerByte, DocumentSums, bits_per_byte
from gristmill.trainer.training.evaluate import slice_sums
from gristmill.trainer.training.heldout_rows import HeldoutRows

Part = TypeVar("Part", bound=Hashable)


@torch.no_grad()
def parted_bits(
    model: Model, rows: HeldoutRows, config: TrainConfig, part: Callable[[str], Part]
) -> dict[Part, tuple[BitsPerByte, int]]:
    """Bits per byte of each part of a domain's documents, with standard error, and how many documents it has.

    Parameters
    ----------
    rows : held-out rows of one domain, with the bytes of each token
    part : from a doc_id to the part that it is in
    """
    model.eval()
    sums: dict[Part, DocumentSums] = {}
    for at, host in enumerate(rows):
        batch = host.to(config.device)
        with matmuls(config.precision, config.device):
            out = model(batch, config.used_window)
            _, each = cross_entropy(out.hidden[batch.inputs], model.embedding, batch.targets)
        documents = rows.documents(at)
        parts, found = [part(one) for one in documents], slice_sums(host, each.double().cpu().numpy(), rows.spelled)
        for which in set(parts):
            here = np.array([one == which for one in parts])
            named = [one for one, is_here in zip(documents, here, strict=True) if is_here]
            sums.setdefault(which, DocumentSums()).add(named, *(one[here] for one in found))
    by_part = {which: one.by_document() for which, one in sums.items()}
    return {which: (bits_per_byte(nats, n_bytes), len(nats)) for which, (nats, n_bytes, _) in by_part.items()}
