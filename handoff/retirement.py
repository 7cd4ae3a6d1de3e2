"""Shares that fall to zero: which domains take a row before they leave, so that every prefix stays within one row.

A domain that leaves the mixture has, as a rule, a part of a row coming to it. Either it takes the whole row before, or
it waits for it until it comes back; all such choices must fit together, with never two rows for one sample. They
always can: the ideal itself is a fractional flow through the network below, so it has an integral one too
(docs/concepts/mixing.md). The order between two changes is that of ``_kernels_turns``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from gristmill.handoff import _kernels_stretch
from gristmill.handoff._kernels_turns import ONE
from gristmill.handoff.schedule import Pieces

ANY_NUMBER = 1 << 60


@dataclass(frozen=True, slots=True)
class Retirement:
    """At ``sample`` shares fall to zero; of those domains ``early`` take the row that they are partly owed before."""

    sample: int
    early: tuple[int, ...]


class Stretch(NamedTuple):
    """Pieces ``begin`` to ``end``, in which the same domains are live: ``live int64[n]``."""

    begin: int
    end: int
    live: np.ndarray


@dataclass
class Network:
    """Rows that are open where the live domains change, and the stretches that they may be drawn in.

    Node 0 is the sink. A row is a node with an arc to each stretch that has a place for it: straight to the stretch's
    own node, or along the chain of those that are due soonest (or released last), whose capacities grow.
    """

    head: list[int] = field(default_factory=list)  # of each arc; arc ^ 1 leads back
    room: list[int] = field(default_factory=list)
    tail: list[int] = field(default_factory=list)
    nodes: int = 1
    closed: list[int] = field(default_factory=list)  # rows that must be drawn, in order of the stretch that ends them
    places: dict[int, list[tuple[int, int]]] = field(default_factory=dict)  # row: (arc, stretch)

    def node(self) -> int:
        """A new node."""
        self.nodes += 1
        return self.nodes - 1

    def arc(self, tail: int, head: int, room: int) -> int:
        """A new arc, and its way back without room."""
        self.tail += [tail, head]
        self.head += [head, tail]
        self.room += [room, 0]
        return len(self.room) - 2

    def place(self, row: int, node: int, stretch: int) -> None:
        """The row may be drawn in the stretch."""
        self.places.setdefault(row, []).append((self.arc(row, node, 1), stretch))


def retirements(pieces: Pieces) -> tuple[Retirement, ...]:
    """Every moment at which a share falls to zero, and who takes a row ahead then; empty when no share ever does.

    Cost: one pass of additions, some 5 ns for each sample of 16 domains, and less than a millisecond for each change.

    >>> from gristmill.handoff.schedule import Segment, pieces
    >>> half = ONE // 2
    >>> retirements(pieces([Segment(3, (half, half), (half, half)), Segment(9, (ONE, 0), (ONE, 0))]))
    (Retirement(sample=3, early=(1,)),)
    """
    live = pieces.weights > 0
    leaves = live[:-1] & ~live[1:]
    if not leaves.any():
        return ()
    stretches = list(_stretches(live))
    drawn_in, open_at = _choose(pieces, stretches)
    found = []
    for number, stretch in enumerate(stretches[1:], 1):
        gone = np.flatnonzero(leaves[stretch.begin - 1])
        if len(gone):
            early = [int(d) for d in gone if drawn_in.get(open_at[number].get(int(d), 0), number) < number]
            found.append(Retirement(int(pieces.starts[stretch.begin]), tuple(early)))
    return tuple(found)


def early_rows(pieces: Pieces, found: Sequence[Retirement]) -> np.ndarray:
    """bool[n_pieces, n_domains] for the kernel: true where a domain takes a row ahead, at the piece that it misses."""
    early = np.zeros(pieces.weights.shape, np.bool_)
    for one in found:
        early[np.searchsorted(pieces.starts, one.sample), list(one.early)] = True
    return early


def _stretches(live: np.ndarray) -> Iterator[Stretch]:
    changes = np.flatnonzero((live[1:] != live[:-1]).any(axis=1)) + 1
    for begin, end in zip([0, *changes.tolist()], [*changes.tolist(), len(live)], strict=True):
        yield Stretch(begin, end, np.flatnonzero(live[begin]))


def _choose(pieces: Pieces, stretches: Sequence[Stretch]) -> tuple[dict[int, int], list[dict[int, int]]]:
    """The stretch of every row that is drawn, and for each stretch the rows open when it begins, by domain."""
    network, fraction = Network(), np.zeros(pieces.weights.shape[1], np.int64)
    waiting: dict[int, int] = {}
    open_at = []
    for number, stretch in enumerate(stretches):
        open_at.append(dict(waiting))
        fraction = _add_stretch(network, pieces, number, stretch, fraction, waiting)
    room = send(network, [*network.closed, *waiting.values()])
    taken = {row: stretch for row, places in network.places.items() for arc, stretch in places if not room[arc]}
    return taken, open_at


def _add_stretch(
    network: Network,
    pieces: Pieces,
    number: int,
    stretch: Stretch,
    fraction: np.ndarray,
    waiting: dict[int, int],
) -> np.ndarray:
    """Add a stretch to the network and what it leaves open to ``waiting``; the fractions after it."""
    due, release, after = (np.empty(len(fraction), np.int64) for _ in range(3))
    _kernels_stretch.crossings(pieces.starts, pieces.weights, stretch.begin, stretch.end, fraction, due, release, after)
    heads = sorted((d for d in stretch.live.tolist() if fraction[d] and due[d] >= 0), key=lambda d: (due[d], d))
    tails = sorted((d for d in stretch.live.tolist() if release[d] >= 0), key=lambda d: (release[d], d))
    through = [d for d in stretch.live.tolist() if fraction[d] and due[d] < 0]
    least = _least(pieces, stretch, fraction, due[heads], release[tails])
    before, later = int(fraction[stretch.live].sum()), int(after[stretch.live].sum())
    whole = network.node()
    network.arc(whole, 0, len(heads) + (later - before) // ONE)
    for d in through:
        network.place(waiting[d], whole, number)
    entries = _chain(network, whole, [n + (sum_ - before) // ONE for n, sum_ in enumerate(least[0])][1:])
    for d, entry in zip(heads, entries, strict=True):
        row = waiting.pop(d)
        network.place(row, entry, number)
        network.closed.append(row)
    rooms = [(later + sum_) // ONE - len(through) - n for n, sum_ in enumerate(least[1])][:-1]
    for d, entry in zip(reversed(tails), _chain(network, whole, rooms[::-1]), strict=True):
        waiting[d] = network.node()
        network.place(waiting[d], entry, number)
    return after


def _least(
    pieces: Pieces, stretch: Stretch, fraction: np.ndarray, dues: np.ndarray, releases: np.ndarray
) -> tuple[list[int], list[int]]:
    behind, ahead = (np.full(len(times) + 1, ANY_NUMBER, np.int64) for times in (dues, releases))
    weights, beyond = np.ascontiguousarray(pieces.weights[:, stretch.live]), fraction[stretch.live].astype(np.uint32)
    _kernels_stretch.least_fractions(
        pieces.starts, weights, stretch.begin, stretch.end, beyond, dues, releases, behind, ahead
    )
    return behind.tolist(), ahead.tolist()


def _chain(network: Network, end: int, rooms: Sequence[int]) -> list[int]:
    """One entry for each room: of those that enter at the first n together at most ``rooms[n - 1]`` reach ``end``."""
    entries = [network.node() for _ in rooms]
    for tail, head, room in zip(entries, [*entries[1:], end], rooms, strict=False):
        network.arc(tail, head, min(room, len(rooms)))
    return entries


def send(network: Network, rows: Sequence[int]) -> np.ndarray:
    """Send rows to the sink, those that must be drawn first; what room is left on each arc.

    Raises
    ------
    ArithmeticError : a row that must be drawn, or a sample, is left over: shares that sum to one leave none
    """
    head, room, tail = (np.array(column, np.int64) for column in (network.head, network.room, network.tail))
    first, following = np.full(network.nodes, -1, np.int64), np.empty(len(head), np.int64)
    for arc in range(len(head) - 1, -1, -1):
        following[arc], first[tail[arc]] = first[tail[arc]], arc
    came_by, queue = np.empty(network.nodes, np.int64), np.empty(network.nodes, np.int64)
    sent = [_kernels_stretch.augment(row, 0, first, following, head, room, came_by, queue) for row in rows]
    if not all(sent[: len(network.closed)]) or any(room[arc] for arc in np.flatnonzero(head == 0)):
        raise ArithmeticError("a schedule has no order within one row of its shares")
    return room
