"""A small run directory for one proxy: the matched rows of each domain in shards of its own, and a plan over them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from gristmill.corpus.files import file_sha256
from gristmill.handoff.plan import Domain, Plan
from gristmill.handoff.reader import ShardReader
from gristmill.handoff.schedule import Segment, quantise
from gristmill.handoff.shards import INDEX, ShardWriter
from gristmill.mixing.proxy_rows import ProxyRows


def write_proxy_folder(folder: Path, shards: Mapping[str, Path], drawn: Mapping[str, ProxyRows], seed: int) -> Plan:
    """Write shards/ and plan/ of a proxy into ``folder``; the plan is returned.

    Parameters
    ----------
    shards : of the full run, by domain
    drawn : rows of each domain and how often they are drawn; a domain that draws none is left out
    seed : of the order
    """
    used = {name: one for name, one in sorted(drawn.items()) if one.times.any()}
    domains = []
    for name, one in used.items():
        index = _copy_rows(ShardReader(shards[name]), one.rows, folder / "shards" / name)
        domains.append(Domain(name, len(one.rows), index))
    counts = [int(one.times.sum()) for one in used.values()]
    shares = quantise(counts)
    row_tokens = ShardReader(folder / "shards" / domains[0].name).row_tokens
    segments = (Segment(sum(counts), shares, shares),)
    plan = Plan.build(tuple(domains), row_tokens=row_tokens, seed=seed, segments=segments)
    plan.save(folder / "plan")
    return plan


def _copy_rows(reader: ShardReader, rows: np.ndarray, folder: Path) -> str:
    """Write some rows as shards of their own; the digest of their index."""
    writer = ShardWriter(
        folder,
        row_tokens=reader.row_tokens,
        vocab_size=reader.index["vocab_size"],
        shard_rows=max(len(rows), 1),
        batch_rows=reader.index["batch_rows"],
        targets=reader.has_targets,
    )
    mask = reader.mask(rows)
    with writer:
        writer.write(reader.tokens(rows), reader.documents(rows), None if mask is None else target_slices(mask))
    return file_sha256(folder / INDEX)


def target_slices(mask: np.ndarray) -> list[list[dict]]:
    """Where each row of ``mask bool[n, L]`` is true, as ``ROW_TARGETS``.

    >>> target_slices(np.array([[False, True, True, False, True]]))
    [[{'start': 1, 'length': 2}, {'start': 4, 'length': 1}]]
    """
    found = []
    for row in mask:
        turns = np.flatnonzero(np.diff(np.concatenate([[False], row, [False]]).astype(np.int8)))
        found.append([{"start": int(a), "length": int(b - a)} for a, b in turns.reshape(-1, 2)])
    return found
