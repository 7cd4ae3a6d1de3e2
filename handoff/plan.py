"""The plan: sample i -> (domain, epoch, row), a pure function of a small file.

Whose turn a sample is, the earliest deadline decides on integer shares: however far training has come, each of K
domains has had its ideal number of samples within less than one, and none while its share is zero. Within
1 - 1/(2K - 2) where no share ever falls to zero (Tijdeman's rule); both at once cannot be had. Which of its rows the
domain gives, a keyed permutation decides, a new one each epoch. A trainer carries nothing along but a sample number.
How a curriculum becomes segments stands in ``mixing``.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gristmill.handoff import _kernels_turns
from gristmill.handoff.buckets import STRIDE as MARK_ROWS
from gristmill.handoff.buckets import Buckets
from gristmill.handoff.drawn_rows import DrawnRows
from gristmill.handoff.durable import canonical_json, read_json, write_json
from gristmill.handoff.failures import PlanError
from gristmill.handoff.retirement import Retirement, early_rows, retirements
from gristmill.handoff.schedule import ONE, Pieces, Segment, pieces

FORMAT = "gristmill-plan-1"
FORMAT_WITH_RETIREMENTS = "gristmill-plan-2"  # one more key, and another bound; all else is as in the first
FORMAT_WITH_ORDER = "gristmill-plan-3"  # a domain has buckets, or neighbours stay together: more keys
FORMATS = (FORMAT, FORMAT_WITH_RETIREMENTS, FORMAT_WITH_ORDER)
PLAN, CHECKPOINTS, BUCKET_MARKS = "plan.json", "checkpoints.npy", "bucket_marks.npy"
STRIDE = 16_384  # samples between checkpoints: 15.6 MB for 10^9 samples of 16 domains, a restart in about 1 ms
NOTHING, NO_MARKS = np.empty(0, np.int64), np.empty((0, 2, 0), np.int64)


class Located(NamedTuple):
    """Where samples come from: ``domain int16[n]`` (place in ``domains``), ``epoch int32[n]``, ``row int64[n]``."""

    domain: np.ndarray
    epoch: np.ndarray
    row: np.ndarray


class Draws(NamedTuple):
    """When rows of one domain are drawn: ``sample int64[n]`` ascending, ``epoch int32[n]``, ``row int64[n]``."""

    sample: np.ndarray
    epoch: np.ndarray
    row: np.ndarray


@dataclass(frozen=True)
class Domain:
    """One domain's rows: how many, the sha256 of the ``index.json`` of their shards, and their buckets, if any."""

    name: str
    rows: int
    index: str
    buckets: Buckets | None = None

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> "Domain":
        """From the plan's JSON."""
        held = value.get("buckets")
        return cls(value["name"], value["rows"], value["index"], Buckets.of(held) if held else None)

    def to_json(self) -> dict[str, Any]:
        """As it stands in the plan."""
        plain = {"name": self.name, "rows": self.rows, "index": self.index}
        return plain | ({"buckets": self.buckets.to_json()} if self.buckets else {})


@dataclass(frozen=True)
class Plan:
    """The exact order in which rows are trained on. Made by ``Plan.build``, kept in a folder."""

    domains: tuple[Domain, ...]
    row_tokens: int
    seed: int
    segments: tuple[Segment, ...]
    checkpoints: np.ndarray = field(repr=False, compare=False)  # int64 [n, 2, K]: counts and deficits at n * STRIDE
    retirements: tuple[Retirement, ...] = ()
    window_rows: int = 0  # neighbours that are drawn together; 0 = none are
    bucket_marks: np.ndarray = field(default_factory=lambda: NOTHING, repr=False, compare=False)

    @classmethod
    def build(
        cls,
        domains: tuple[Domain, ...],
        *,
        row_tokens: int,
        seed: int,
        segments: tuple[Segment, ...],
        window_rows: int = 0,
    ) -> "Plan":
        """Check a schedule and walk it once (15 million samples a second at 16 domains) to set the checkpoints.

        Parameters
        ----------
        window_rows : rows are drawn in windows of so many neighbours of their shards; 0 = each from anywhere

        Raises
        ------
        PlanError : a segment is empty or its shares do not sum to one, or a share asks for a domain without rows
        """
        _check(domains, segments, window_rows)
        marks = np.zeros((-(-segments[-1].stop // STRIDE), 2, len(domains)), np.int64)
        held = _drawn_rows(domains, seed, 0, None).marks
        plan = cls(domains, row_tokens, seed, segments, marks, retirements(pieces(segments)), window_rows, held)
        plan._advance(np.zeros((2, len(domains)), np.int64), 0, plan.samples, marks=marks)
        return plan

    @property
    def samples(self) -> int:
        """Rows that training consumes, counting repeats."""
        return self.segments[-1].stop

    @property
    def tokens(self) -> int:
        """Tokens that training consumes, padding included."""
        return self.samples * self.row_tokens

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the domains, in the order that ``Located.domain`` counts in."""
        return tuple(domain.name for domain in self.domains)

    @cached_property
    def digest(self) -> str:
        """sha256 over all that decides the order; two plans of one digest are the same plan."""
        return _digest(self._to_json())

    @cached_property
    def _pieces(self) -> Pieces:
        return pieces(self.segments)

    @cached_property
    def _turns(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
        """What the kernel needs of the schedule: starts, weights, rows taken ahead, and how far inside the bound."""
        within = 1 if self.retirements else ONE // max(2 * len(self.domains) - 2, 1)
        return self._pieces.starts, self._pieces.weights, early_rows(self._pieces, self.retirements), within

    @cached_property
    def _rows(self) -> DrawnRows:
        return _drawn_rows(self.domains, self.seed, self.window_rows, self.bucket_marks)

    @property
    def _ordered(self) -> bool:
        """Whether the order is more than one permutation of each domain's rows."""
        return bool(self.window_rows) or any(domain.buckets for domain in self.domains)

    def locate(self, start: int, stop: int) -> Located:
        """The domain, epoch and row of samples ``start`` to ``stop``.

        Cost: some 0.15 us a sample at 16 domains, and up to 1 ms for the way from the checkpoint before ``start``.

        Raises
        ------
        PlanError : the samples are not in the plan
        """
        state = self._state(start)
        size = self._checked(start, stop)
        drawn, ordinal = np.empty(size, np.int16), np.empty(size, np.int64)
        self._advance(state, start, stop, drawn, ordinal)
        return Located(drawn, *self._rows.rows(drawn, ordinal))

    def find(self, domain: int, rows: np.ndarray) -> np.ndarray:
        """The samples at which any of these rows is drawn, ascending int64[n]: the inverse of ``locate``."""
        return self.draws(domain, rows).sample

    def draws(self, domain: int, rows: np.ndarray) -> Draws:
        """The samples of ``find``, each with its epoch and row.

        Cost: a walk from one checkpoint to the next, 1 ms, for each draw, and for all rows together at most one walk
        over the plan. A row that is given twice counts once.

        Parameters
        ----------
        domain : its place in ``domains``
        rows : integers [n], 0 <= row < the domain's rows, in any order

        Raises
        ------
        PlanError : the plan has no such domain, or the domain no such row
        """
        rows = self._checked_rows(domain, rows)
        given = self._rows.given(domain, rows, int(self._state(self.samples)[0, domain]))
        return Draws(self.samples_of(domain, given.ordinal), given.epoch, given.row)

    def _checked_rows(self, domain: int, rows: np.ndarray) -> np.ndarray:
        if not 0 <= domain < len(self.domains):
            raise PlanError(f"the plan has {len(self.domains)} domains and none at place {domain}")
        rows, chosen = np.unique(np.asarray(rows, np.int64)), self.domains[domain]
        if len(rows) and not 0 <= rows[0] <= rows[-1] < chosen.rows:
            raise PlanError(f"rows {rows[0]} to {rows[-1]} are not in domain {chosen.name!r}, which has {chosen.rows}")
        return rows

    def samples_of(self, domain: int, ordinal: np.ndarray) -> np.ndarray:
        """The samples at which a domain gives its ordinal-th row, counted from 0 over all epochs.

        Parameters
        ----------
        domain : its place in ``domains``
        ordinal : int64[n] ascending, each below the rows that the plan draws of the domain
        """
        sample = np.empty(len(ordinal), np.int64)
        marks = np.searchsorted(self.checkpoints[:, 0, domain], ordinal, side="right") - 1
        for mark in np.unique(marks).tolist():
            place = slice(*np.searchsorted(marks, [mark, mark + 1]))
            start, state = mark * STRIDE, np.array(self.checkpoints[mark])
            before, size = state[0, domain], min(STRIDE, self.samples - mark * STRIDE)
            drawn, numbers = np.empty(size, np.int16), np.empty(size, np.int64)
            self._advance(state, start, start + size, drawn, numbers)
            sample[place] = start + np.flatnonzero(drawn == domain)[ordinal[place] - before]
        return sample

    def counts(self, start: int, stop: int) -> dict[str, int]:
        """Rows that each domain gives from ``start`` to ``stop``, without walking the way between."""
        self._checked(start, stop)
        given = self._state(stop)[0] - self._state(start)[0]
        return dict(zip(self.names, given.tolist(), strict=True))

    def bucket_counts(self, domain: int, sample: int) -> np.ndarray:
        """int64[n_buckets]: rows that each bucket of a domain gives before ``sample``; one where it has none."""
        drawn, order = int(self._state(sample)[0, domain]), self._rows.orders.get(domain)
        return np.array([drawn]) if order is None else order.counts(drawn)

    def _checked(self, start: int, stop: int) -> int:
        if not 0 <= start <= stop <= self.samples:
            raise PlanError(f"samples {start} to {stop} are not in the plan, which has {self.samples}")
        return stop - start

    def _state(self, sample: int) -> np.ndarray:
        """Counts and deficits before ``sample``, int64 [2, K]."""
        self._checked(sample, self.samples)
        mark = min(sample // STRIDE, len(self.checkpoints) - 1)
        state = np.array(self.checkpoints[mark])
        self._advance(state, mark * STRIDE, sample)
        return state

    def _advance(
        self,
        state: np.ndarray,
        start: int,
        stop: int,
        drawn: np.ndarray = NOTHING,
        ordinal: np.ndarray = NOTHING,
        *,
        marks: np.ndarray = NO_MARKS,
    ) -> None:
        if start < stop:
            _kernels_turns.apportion(*self._turns, start, stop, state[0], state[1], drawn, ordinal, marks, STRIDE)

    def _to_json(self) -> dict[str, Any]:
        gone = {"retirements": [[one.sample, list(one.early)] for one in self.retirements]} if self.retirements else {}
        ordered = {} if not self._ordered else {"window_rows": self.window_rows, "bucket_mark_rows": MARK_ROWS}
        ordered |= {"bucket_marks": _array_digest(self.bucket_marks)} if self._ordered else {}
        return (
            ordered
            | gone
            | {
                "format": FORMAT_WITH_ORDER if ordered else FORMAT_WITH_RETIREMENTS if gone else FORMAT,
                "domains": [domain.to_json() for domain in self.domains],
                "row_tokens": self.row_tokens,
                "samples": self.samples,
                "seed": self.seed,
                "segments": [{"stop": s.stop, "first": list(s.first), "last": list(s.last)} for s in self.segments],
                "checkpoints": _array_digest(self.checkpoints),
                "checkpoint_samples": STRIDE,
            }
        )

    def _intact(self, value: Mapping[str, Any]) -> bool:
        """True when ``value`` is what this plan would write, and the checkpoints have their type and shape."""
        shape = (-(-self.samples // STRIDE), 2, len(self.domains))
        kept = self.checkpoints.dtype == np.int64 and self.checkpoints.shape == shape
        kept &= self.bucket_marks.dtype == np.int64 and self.bucket_marks.shape == (_mark_numbers(self.domains),)
        return kept and value == {**self._to_json(), "digest": self.digest}

    def save(self, folder: Path) -> None:
        """Write ``plan.json`` and ``checkpoints.npy``; ``bucket_marks.npy`` where a domain has buckets."""
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / CHECKPOINTS, self.checkpoints, allow_pickle=False)
        if len(self.bucket_marks):
            np.save(folder / BUCKET_MARKS, self.bucket_marks, allow_pickle=False)
        write_json(folder / PLAN, {**self._to_json(), "digest": self.digest})

    @classmethod
    def load(cls, folder: Path) -> "Plan":
        """Read a plan and check its digest; the checkpoints stay on disk.

        Raises
        ------
        PlanError : a file is missing, of another format, or not what the digest says
        """
        try:
            value = read_json(folder / PLAN)
            checkpoints = np.load(folder / CHECKPOINTS, mmap_mode="r", allow_pickle=False)
            domains, marks = tuple(map(Domain.of, value["domains"])), NOTHING
            if any(domain.buckets for domain in domains):
                marks = np.load(folder / BUCKET_MARKS, mmap_mode="r", allow_pickle=False)
            plan = cls(
                domains,
                value["row_tokens"],
                value["seed"],
                tuple(Segment(s["stop"], tuple(s["first"]), tuple(s["last"])) for s in value["segments"]),
                checkpoints,
                tuple(Retirement(sample, tuple(early)) for sample, early in value.get("retirements", [])),
                value.get("window_rows", 0),
                marks,
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PlanError(f"cannot read the plan in {folder}: {error}; run the recipe again to write it") from None
        if value.get("format") not in FORMATS or not plan._intact(value):
            raise PlanError(
                f"the plan in {folder} is damaged: its content does not match its digest; run the recipe again"
            )
        return plan


def _digest(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def _array_digest(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).data).hexdigest()


def _drawn_rows(domains: tuple[Domain, ...], seed: int, window_rows: int, marks: np.ndarray | None) -> DrawnRows:
    names, rows, buckets = zip(*((one.name, one.rows, one.buckets) for one in domains), strict=True)
    return DrawnRows(names, rows, buckets, seed=seed, window_rows=window_rows, marks=marks)


def _mark_numbers(domains: tuple[Domain, ...]) -> int:
    return sum(math.prod(domain.buckets.mark_shape) for domain in domains if domain.buckets)


def _check(domains: tuple[Domain, ...], segments: tuple[Segment, ...], window_rows: int) -> None:
    if not domains or not segments:
        raise PlanError("a plan needs at least one domain and one phase of samples; see [[curriculum]]")
    if window_rows < 0:
        raise PlanError(f"mixing.window_rows is {window_rows}; 0 draws rows from anywhere")
    for domain, held in ((one, one.buckets) for one in domains if one.buckets):
        held.check(domain.name, domain.rows)
    begin = 0
    for number, segment in enumerate(segments):
        if segment.stop <= begin:
            raise PlanError(f"curriculum.{number}.until_tokens: the phase holds no whole row")
        for shares in (segment.first, segment.last):
            if len(shares) != len(domains) or min(shares) < 0 or sum(shares) != ONE:
                raise PlanError(f"curriculum.{number}.shares: need {len(domains)} shares >= 0 that sum to {ONE}")
        for domain, first, last in zip(domains, segment.first, segment.last, strict=True):
            if first + last and not domain.rows:
                raise PlanError(f"curriculum.{number}.shares.{domain.name}: the domain has no rows to draw from")
        begin = segment.stop
