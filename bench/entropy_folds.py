"""What the entropy score reaches on collections that neither its counts nor its weights have seen, six folds of them.

    python bench/entropy_folds.py --data DIR [--quick] [--json]

The collections that the shipped score was fitted on (FOLDS in bench/entropy_texts.py; none of the test) are dealt to
six folds by a hash of their name. Windows of each are measured under a reference that is counted on the other five and
scored by weights that are fitted on the other five. All scores together give the AUC of each kind of damage against
clean prose, and, at the bound that drops 1 % of all clean windows, the share of each kind and domain that is dropped.
The Declaration of Human Rights is in every reference and every fit and is not judged: of most of its languages there is
no other text, and held out 4 % of it are beyond the bound, which is then 6.0 and drops 14 kinds by half.
"""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from bench.entropy import auc, line, share
from bench.entropy_damages import DAMAGES
from bench.entropy_texts import FOLDS
from bench.fit_entropy_score import (
    NO_PROSE,
    Measurements,
    chosen,
    fit_weights,
    joined,
    measure_windows,
    reference,
    texts_by_language,
    windows_to_fit,
)
from gristmill.filters.models.entropy_score import points_of, read_weights

PARTS, DROPPED = 6, 0.01
DECLARATION = FOLDS[2]
DEALT = FOLDS[0] + FOLDS[1]
NUMBERS, OF_DECLARATION = (40, 20, 5), (4, 0, 1)


def dealt(parts: int = PARTS) -> list[list[str]]:
    """The collections in the order of a hash of their names, dealt in turn: the same on every machine."""
    ordered = sorted(DEALT, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    return [ordered[part::parts] for part in range(parts)]


def measured(data: Path, own: Sequence[str], names: Sequence[str]) -> Measurements:
    """Windows of some collections under the counts of all others."""
    others = reference(data, [one for one in (*DEALT, *DECLARATION) if one not in own], names)
    is_declaration = own == DECLARATION
    windows = windows_to_fit(data, own, OF_DECLARATION if is_declaration else NUMBERS, " ".join(own))
    return measure_windows(windows, others, 2 if is_declaration else 0)  # 2: in no centre of a language


def scored(parts: Sequence[Measurements], at: int, names: Sequence[str]) -> np.ndarray:
    """double[windows of the fold ``at``] by weights of the other folds."""
    fitted = read_weights(fit_weights(joined([one for other, one in enumerate(parts) if other != at]), names))
    return points_of(parts[at].features, parts[at].classes, parts[at].languages, fitted)[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--quick", action="store_true", help="every fifth window")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    names = sorted(texts_by_language(asked.data, sum(FOLDS, ())))
    parts = [measured(asked.data, own, names) for own in (*dealt(), DECLARATION)]
    if asked.quick:
        parts = [chosen(one, np.arange(0, len(one.kinds), 5)) for one in parts]
    result = judged(joined(parts[:PARTS]), np.concatenate([scored(parts, at, names) for at in range(PARTS)]))
    print(json.dumps(result)) if asked.json else show(result)


def judged(found: Measurements, scores: np.ndarray) -> dict:
    """The figures of all folds together."""
    clean = found.kinds == "clean"
    prose, bound = clean & ~np.isin(found.domains, NO_PROSE), float(np.quantile(scores[clean], 1 - DROPPED))
    kinds = [
        {"kind": kind, "auc": round(auc(scores[some], scores[prose]), 4), **share(scores[some] > bound)}
        for kind, some in ((one.__name__, found.kinds == one.__name__) for one in DAMAGES)
        if some.any()
    ]
    domains = [
        {"domain": str(name), **share(scores[clean & (found.domains == name)] > bound)}
        for name in np.unique(found.domains[clean])
    ]
    return {
        "macro": round(float(np.mean([row["auc"] for row in kinds])), 4),
        "by_half": sum(row["share"] >= 0.5 for row in kinds),
        "mean_dropped": round(float(np.mean([row["share"] for row in kinds])), 4),
        "bound": round(bound, 2),
        "kinds": kinds,
        "domains": sorted(domains, key=lambda row: -row["share"]),
    }


def show(result: dict) -> None:
    for row in result["kinds"]:
        print(f"{row['kind']:<20}AUC {row['auc']:5.3f}  dropped {line(row)}")
    print(
        f"macro AUC {result['macro']:.4f}, dropped by half or more {result['by_half']} of {len(result['kinds'])}, mean "
        f"share {result['mean_dropped']:.3f}, at {DROPPED:.0%} of clean text (bound {result['bound']}); "
        f"{time.process_time():.0f} CPU s"
    )
    for row in result["domains"]:
        print(f"  clean {row['domain']:<14}{line(row)}")


if __name__ == "__main__":
    main()
