"""The entropy filter on 23 damages of clean text in 75 languages, and on clean text of twelve domains.

    python bench/entropy.py --data DIR [--quick] [--json]

Test collections (TEST in bench/entropy_texts.py) are none that reference, weights or bound were fitted on. Damages and
their strengths: bench/entropy_damages.py. For each kind: AUC of the score against clean prose, and the share dropped
by entropy@score, with Wilson's intervals at 95 %; beside them, in the same run, entropy@residual (its worst violation
as a score) and the common advice H < 3.5, in bits and in nats. Then what is dropped of clean text, by language, domain
and collection. Code, mathematics and lists are judged for false drops alone: tables and lists are honest text there.

Goals: macro AUC 0.95, each kind but the bigram salad 0.75; at no more than 1 % of clean text dropped, 2 % of each
language with 100 windows and of each domain, at least half dropped of 19 kinds.
"""

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pyarrow as pa

from bench.entropy_damages import DAMAGES, salad_bigram
from bench.entropy_texts import FOLDS, TEST, Window, clean_windows
from bench.fit_entropy_score import NO_PROSE, damaged_windows, words_by_language
from bench.languages import wilson
from bench.quality import violation
from gristmill.corpus.text.columns import text_column
from gristmill.filters.decide.profiles import PROFILES
from gristmill.filters.models.entropy_score import score, tables, weights
from gristmill.filters.signals.measure import measure

MOST, LISTS, PER_KIND, SALADS = 150, 60, 8, 100
EVERY = (*(name for fold in FOLDS for name in fold), *TEST)
LARGE = ("en", "de")  # languages with a million words, of all collections: a salad may be drawn from known bigrams too
GOALS = {"macro": 0.95, "least": 0.75, "kinds": 19, "clean": 0.01, "group": 0.02}


def auc(bad: np.ndarray, good: np.ndarray) -> float:
    """Probability that a damaged text scores above a clean one; ties count half."""
    ordered = np.sort(good)
    below, up_to = np.searchsorted(ordered, bad, "left"), np.searchsorted(ordered, bad, "right")
    return float((below + up_to).mean() / 2 / len(good))


def judge(texts: list[str], languages: list[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """(score, dropped) by filter."""
    found: dict[str, list] = {}
    for at in range(0, len(texts), 500):
        batch = pa.record_batch({"text": pa.array(texts[at : at + 500], pa.large_string())})
        ids = pa.array([str(n) for n in range(batch.num_rows)])
        signals = measure(pa.record_batch({"doc_id": ids, "text": batch.column("text")}))
        ours = score(text_column(batch), tables(), weights()).parts["score"]
        bits = signals["word_entropy_bits"].to_numpy()
        bound = PROFILES["entropy@score"].rules[0].at_most
        residual = residual_profile(signals, languages[at : at + 500])
        for name, one in {
            "entropy@score": (ours, ours > bound),
            "entropy@residual": residual,
            "H < 3.5 bits": (-bits, bits < 3.5),
            "H < 3.5 nats": (-bits, bits * np.log(2) < 3.5),
        }.items():
            found.setdefault(name, []).append(one)
    return {name: tuple(np.concatenate(one) for one in zip(*some, strict=True)) for name, some in found.items()}


def residual_profile(signals: pa.RecordBatch, languages: list[str]) -> tuple[np.ndarray, np.ndarray]:
    worst, fails = np.full(len(languages), -np.inf), np.zeros(len(languages), bool)
    for rule in PROFILES["entropy@residual"].rules:
        values = signals[rule.signal].to_numpy()
        judged = np.array([rule.judges(language) for language in languages])
        fails |= judged & rule.fails(values)
        worst = np.where(judged, np.maximum(worst, violation(rule, values)), worst)
    return worst, fails


def share(dropped: np.ndarray) -> dict:
    low, high = wilson(int(dropped.sum()), len(dropped))
    return {"n": len(dropped), "share": round(float(dropped.mean()), 4), "low": round(low, 4), "high": round(high, 4)}


def kind_rows(kinds: np.ndarray, prose: np.ndarray, found: dict) -> list[dict]:
    rows = []
    for kind in (damage.__name__ for damage in DAMAGES):
        some = kinds == kind
        row = {"kind": kind, **share(found["entropy@score"][1][some])}
        for name, (scores, dropped) in found.items():
            row[name] = {
                "auc": round(auc(scores[some], scores[prose]), 4),
                "dropped": round(float(dropped[some].mean()), 4),
            }
        rows.append(row)
    return rows


def clean_rows(windows: list[Window], dropped: np.ndarray, by: str) -> list[dict]:
    groups: dict[str, list[int]] = {}
    for number, window in enumerate(windows):
        groups.setdefault(getattr(window, by), []).append(number)
    rows = [{by: name, **share(dropped[some])} for name, some in sorted(groups.items())]
    return sorted(rows, key=lambda row: (-row["share"], -row["n"]))


def line(row: dict) -> str:
    return f"{row['share']:7.2%} [{row['low']:6.2%}, {row['high']:6.2%}] of {row['n']:<5}"


def show(result: dict) -> None:
    names = ("entropy@score", "entropy@residual", "H < 3.5 bits", "H < 3.5 nats")
    print(f"{'kind':<20}{'dropped by entropy@score':<33}" + "".join(f"{name + ': AUC, drops':<32}" for name in names))
    for row in result["kinds"]:
        figures = "".join(f"{row[name]['auc']:5.3f} {row[name]['dropped']:6.1%}{'':<20}" for name in names)
        print(f"{row['kind']:<20}{line(row)} {figures}")
    for name, one in result["filters"].items():
        print(
            f"{name}: macro AUC {one['macro']:.4f}, least {one['least']:.3f}, kinds dropped by half {one['kinds']}, "
            f"clean text dropped {one['clean']:.2%}"
        )
    for by in ("domain", "language", "collection"):
        print(f"clean text dropped by {by}:")
        for row in result[by]:
            if by != "language" or row["n"] >= 100 or row["share"] > GOALS["group"]:
                print(f"  {row[by]:<22}{line(row)}")
    print(
        f"languages {len(result['language'])}, of these with 100 windows or more "
        f"{sum(row['n'] >= 100 for row in result['language'])}; {result['mb_per_cpu_s']:.1f} MB per CPU s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--quick", action="store_true", help="a fifth of the windows")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    part = 5 if asked.quick else 1
    windows = clean_windows(asked.data, TEST, MOST // part, LISTS // part)
    words = words_by_language(asked.data, TEST)
    large = words_by_language(asked.data, EVERY)
    words |= {language: large[language] for language in LARGE}
    damaged = damaged_windows(windows, words, -(-PER_KIND // part), "test")
    damaged = [one for one in damaged if one[0] != salad_bigram.__name__]
    salads = [one for one in windows if one.language in LARGE]
    damaged += damaged_windows(salads, words, SALADS // part, "salads", (salad_bigram,))
    everything = [("clean", one) for one in windows] + damaged
    texts, kinds = [one.text for _, one in everything], np.array([kind for kind, _ in everything])
    found = judge(texts, [one.language for _, one in everything])
    prose = (kinds == "clean") & ~np.isin([one.domain for _, one in everything], NO_PROSE)
    rows, clean = kind_rows(kinds, prose, found), kinds == "clean"
    result = {
        "kinds": rows,
        "filters": {name: summary(name, rows, dropped[clean]) for name, (_, dropped) in found.items()},
        "mb_per_cpu_s": speed(texts),
    } | {by: clean_rows(windows, found["entropy@score"][1][clean], by) for by in ("domain", "language", "collection")}
    print(json.dumps(result)) if asked.json else show(result)


def summary(name: str, rows: list[dict], dropped: np.ndarray) -> dict:
    aucs = [row[name]["auc"] for row in rows]
    return {
        "macro": float(np.mean(aucs)),
        "least": min(auc for auc, row in zip(aucs, rows, strict=True) if row["kind"] != "salad_bigram"),
        "kinds": sum(row[name]["dropped"] >= 0.5 for row in rows),
        "clean": float(dropped.mean()),
    }


def speed(texts: list[str]) -> float:
    column = text_column(pa.record_batch({"text": pa.array(texts, pa.large_string())}))
    begin = time.process_time()
    score(column, tables(), weights())
    return len(column.data) / 1e6 / (time.process_time() - begin)


if __name__ == "__main__":
    main()
