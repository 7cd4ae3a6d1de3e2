"""The plan: how far each domain is from its share, how fast samples are found, and what grain and datasets do.

    python bench/mixing.py [--quick] [--json]

First a table of worst errors over every prefix, in rows, for 2 to 64 domains and five kinds of schedule of 4 M rows:
constant, ramp, cosine, 41 knots, and 41 knots at which domains retire and come back. ``over`` counts prefixes beyond
the bound: 1 - 1/(2K - 2), or less than 1 where a share falls to zero. Then rates and sizes at 16 domains, also with an
order of 8 buckets in each, with weights (8 levels) and with both (64 buckets), and with windows of 4,096 rows; beside
these, record batches of 256 rows that 8,192 rows in a row of one domain touch. Last the two peers on constant shares
(what they can do). CPU seconds, the fastest of three. Of an order, ``equal`` also says that every bucket kept within
one row of its even share.
"""

import json
import sys
from pathlib import Path

import numpy as np
from numba import njit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench.compare

from bench.compare import Comparison, cpu_seconds, options, peak_rss_mb, run_peer, say
from gristmill.handoff.buckets import BucketOrder, Buckets
from gristmill.handoff.plan import Domain, Plan
from gristmill.handoff.schedule import ONE, pieces
from gristmill.mixing.bucket_draws import PackedBucket, buckets_of
from gristmill.mixing.curriculum import Phase, segments

KINDS = ("constant", "ramp", "cosine", "41 knots", "retiring")
SIZES = (2, 4, 8, 16, 32, 64)
WINDOW = 4096
ROWS, QUICK_ROWS, PEER_ROWS = 4_000_000, 200_000, 100_000


def phases(kind: str, n_domains: int, rows: int) -> list[Phase]:
    """A seeded schedule of one kind."""
    rng = np.random.default_rng([n_domains, KINDS.index(kind)])
    count = {"constant": 1, "ramp": 2, "cosine": 2}.get(kind, 41)
    stops = np.linspace(0, rows, count + 1).astype(int)[1:]
    found = []
    for number, stop in enumerate(stops.tolist()):
        share = rng.dirichlet(np.full(n_domains, 0.4)) + 1e-4
        if kind == "retiring":
            share[1:][rng.random(n_domains - 1) < 0.4] = 0
        shape = {"ramp": "linear", "cosine": "cosine"}.get(kind, "step") if number else "step"
        share /= share.sum()
        found.append(Phase(stop, {f"d{d:02}": float(s) for d, s in enumerate(share)}, shape))
    return found


ORDERS = {"an order": (8, 1), "weights": (1, 8), "both": (8, 8)}  # buckets of difficulty, levels of weight


def buckets_like(order: str, rows: int) -> Buckets:
    """Equal buckets; weights from 0.5 to 2."""
    groups, levels = ORDERS[order]
    ends = np.linspace(0, rows, groups * levels + 1).astype(int)
    weights = np.geomspace(0.5, 2, levels) if levels > 1 else [1.0]
    packed = [PackedBucket(int(n), i // levels, float(weights[i % levels])) for i, n in enumerate(np.diff(ends))]
    return buckets_of(packed, "root" if groups > 1 else "")


def plan_of(kind: str, n_domains: int, rows: int, order: str = "", window_rows: int = 0) -> Plan:
    """The plan of such a schedule."""
    names, sizes = [f"d{d:02}" for d in range(n_domains)], [100_003 + 7919 * i for i in range(n_domains)]
    held = [buckets_like(order, size) if order else None for size in sizes]
    domains = tuple(Domain(name, size, "", one) for name, size, one in zip(names, sizes, held, strict=True))
    cut = segments(phases(kind, n_domains, rows), names, 1)
    return Plan.build(domains, row_tokens=1, seed=1, segments=cut, window_rows=window_rows)


@njit(cache=False)
def errors(starts, weights, drawn, bound):
    """Largest |N - C| in 2^-32 rows, prefixes beyond the bound, rows without a share, |N - C| at the end."""
    owed = np.zeros(weights.shape[1], np.int64)
    worst, over, strange, piece = 0, 0, 0, 0
    for i in range(drawn.shape[0]):
        if i == starts[piece + 1]:
            piece += 1
        owed += weights[piece]
        owed[drawn[i]] -= ONE
        strange += weights[piece, drawn[i]] == 0
        off = np.abs(owed).max()
        worst, over = max(worst, off), over + (off > bound)
    return worst, over, strange, np.abs(owed).max()


def law(rows: int, as_json: bool) -> bool:
    """Print the table; whether nothing was over."""
    kept = True
    for n_domains in SIZES:
        for kind in KINDS:
            plan = plan_of(kind, n_domains, rows)
            tijdeman = ONE - ONE // max(2 * n_domains - 2, 1)
            bound = ONE - 1 if plan.retirements else tijdeman
            cut = pieces(plan.segments)
            worst, over, strange, last = errors(cut.starts, cut.weights, plan.locate(0, plan.samples).domain, bound)
            kept &= over == 0 == strange
            line = {"domains": n_domains, "schedule": kind, "rows": plan.samples, "worst": worst / ONE}
            line |= {"bound": bound / ONE, "over": over, "without_share": strange, "at_the_end": last / ONE}
            text = f"K {n_domains:2} {kind:9} worst {worst / ONE:.6f} of {bound / ONE:.6f}, {over} over, "
            print(json.dumps(line) if as_json else f"{text}{strange} without a share, end {last / ONE:.3f}")
    return kept


def rates(rows: int, kept: bool, as_json: bool) -> None:
    """Building, reading in order, any cursor, and the size of the index, at 16 domains."""
    for kind in ("constant", "41 knots", "retiring"):
        seconds, plan = cpu_seconds(lambda kind=kind: plan_of(kind, 16, rows))
        report(f"plan: build, {kind}", "M rows/s", rows / seconds / 1e6, ">= 12", kept, as_json)
        seconds, _ = cpu_seconds(lambda plan=plan: plan.locate(0, rows))
        report(f"plan: locate, {kind}", "M rows/s", rows / seconds / 1e6, ">= 8", kept, as_json)
        cursors = np.random.default_rng(2).integers(0, rows - 8, 200).tolist()
        whole = plan.locate(0, rows).row
        times = [cpu_seconds(lambda at=at, plan=plan: plan.locate(at, at + 8).row) for at in cursors]
        equal = all((found == whole[at : at + 8]).all() for at, (_, found) in zip(cursors, times, strict=True))
        report(f"plan: any cursor, {kind}", "ms", max(t for t, _ in times) * 1e3, "<= 10", equal, as_json)
    size = plan.checkpoints.nbytes / rows * 1e9 / 1e6
    report("plan: index of 10^9 rows", "MB", size, "<= 16", None, as_json)


def inside(rows: int, as_json: bool) -> None:
    """Locating with an order, weights and windows at 16 domains; any cursor; sizes; record batches touched."""
    ways = {name: (name, 0) for name in ORDERS} | {
        "windows": ("", WINDOW),
        "an order and windows": ("an order", WINDOW),
    }
    for name, (order, window) in ways.items():
        seconds, plan = cpu_seconds(lambda order=order, window=window: plan_of("41 knots", 16, rows, order, window))
        report(f"plan: build, {name}", "M rows/s", rows / seconds / 1e6, "", None, as_json)
        seconds, located = cpu_seconds(lambda plan=plan: plan.locate(0, rows))
        kept = not order or all(bucket_law(one.buckets) for one in plan.domains)
        report(f"plan: locate, {name}", "M rows/s", rows / seconds / 1e6, "(>= 8 without)", kept, as_json)
        cursors = np.random.default_rng(2).integers(0, rows - 8, 200).tolist()
        times = [cpu_seconds(lambda at=at, plan=plan: plan.locate(at, at + 8).row) for at in cursors]
        equal = all((found == located.row[at : at + 8]).all() for at, (_, found) in zip(cursors, times, strict=True))
        report(f"plan: any cursor, {name}", "ms", max(t for t, _ in times) * 1e3, "<= 10", equal, as_json)
        held = sum(one.rows for one in plan.domains)
        size = plan.bucket_marks.nbytes / held * 1e9 / 1e6
        report(f"plan: bucket marks of 10^9 packed rows, {name}", "MB", size, "", None, as_json)
        drawn = located.row[located.domain == 0][:8192] // 256
        report(f"plan: record batches for {len(drawn)} rows, {name}", "", len(np.unique(drawn)), "", None, as_json)
    located = plan_of("41 knots", 16, rows).locate(0, rows)
    drawn = located.row[located.domain == 0][:8192] // 256
    report(f"plan: record batches for {len(drawn)} rows, plain", "", len(np.unique(drawn)), "", None, as_json)


def bucket_law(buckets: Buckets) -> bool:
    """Whether every bucket keeps within one row of its even share, at every prefix of every stretch."""
    drawn, begin = BucketOrder(buckets).draw(0, sum(map(sum, buckets.draws))).bucket, 0
    for stretch in buckets.draws:
        length, shares = sum(stretch), np.array(stretch)
        if bucket_error(drawn[begin : begin + length], shares) >= length:
            return False
        begin += length
    return True


@njit(cache=False)
def bucket_error(drawn, shares):
    """Largest |N - C| of a stretch, in rows times its length."""
    owed, worst = np.zeros(shares.shape[0], np.int64), 0
    for i in range(drawn.shape[0]):
        owed += shares
        owed[drawn[i]] -= drawn.shape[0]
        worst = max(worst, np.abs(owed).max())
    return worst


def report(work: str, unit: str, ours: float, target: str, equal: bool | None, as_json: bool) -> None:
    """One line without a peer."""
    say(Comparison(work, "", "", unit, ours, None, None, target, equal, peak_rss_mb()), as_json)


def peers(rows: int, as_json: bool) -> None:
    """grain and datasets on constant shares of 16 domains."""
    shares = list(phases("constant", 16, rows)[0].shares.values())
    answer = run_peer("mixing", "mixing_order.py", {"shares": shares, "samples": rows})
    plan = plan_of("constant", 16, rows)
    seconds, located = cpu_seconds(lambda: plan.locate(0, rows))
    cut = pieces(plan.segments)
    worst = errors(cut.starts, cut.weights, located.domain, ONE)[0] / ONE
    for name, found in answer["found"].items():
        ours, theirs = rows / seconds / 1e6, found["rate"] / 1e6
        note = f"worst error {worst:.3f} rows against {found['worst']:.3f}, {rows} rows"
        versions, memory = answer["versions"][name], peak_rss_mb()
        row = ("plan: sample to row", name, versions, "M rows/s", ours, theirs, ours / theirs, ">= 10x", None, memory)
        say(Comparison(*row, note), as_json)
    print(f"grain's elastic iterator on a mixture: {answer['elastic']}", file=sys.stderr)


def main() -> None:
    arguments = options(__doc__).parse_args()
    rows = QUICK_ROWS if arguments.quick else ROWS
    kept = law(rows, arguments.json)
    rates(rows, kept, arguments.json)
    inside(rows, arguments.json)
    peers(PEER_ROWS // 10 if arguments.quick else PEER_ROWS, arguments.json)


if __name__ == "__main__":
    main()
