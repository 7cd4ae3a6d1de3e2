"""Languages of short texts: lang_id beside pycld2 and lingua, on lingua's own test sentences of 75 languages.

    python bench/language.py --data DIR [--quick] [--json]

Sentences of DIR/gold/langid_sentences.parquet, by length below and from 64 bytes on. For each system: share answered
(not und), of the answers share right, over all and by language with Wilson's interval at 95 %. For lang_id also the
expected calibration error of lang_score in ten bins, and for bounds on lang_score what is answered and right. nb is
given for the model's no. lingua was made with training text of the same source as these sentences, lid.176 without.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pyarrow as pa

from bench.compare import run_peer
from bench.languages import wilson
from bench.quality import gold
from gristmill.filters.models.language import LANGUAGE_MODEL, identify, load_model

SHORT_BYTES = 64
GOAL_RIGHT, GOAL_ANSWERED = 0.97, {"short": 0.85, "long": 0.98}
BOUNDS = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9)
CLOSE = ("bs", "hr", "sr", "sl", "gl", "pt", "es", "nb", "nn", "da", "id", "ms", "cs", "sk")


def ours(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """(lang_id, lang_score)."""
    ids = [str(number) for number in range(len(texts))]
    batch = pa.record_batch({"doc_id": ids, "text": pa.array(texts, pa.large_string())})
    found = identify(batch, load_model(LANGUAGE_MODEL), max_paragraphs=0)
    labels = ["nb" if label == "no" else label for label in found.column("lang_id").to_pylist()]
    return np.array(labels), found.column("lang_score").to_numpy()


def calibration_error(scores: np.ndarray, right: np.ndarray, bins: int = 10) -> float:
    """Mean distance of score and share right over bins of the score, weighted by their size.

    >>> round(calibration_error(np.array([0.9, 0.9, 0.1]), np.array([True, False, False])), 4)
    0.3
    """
    which = np.minimum((scores * bins).astype(int), bins - 1)
    parts = [(which == number) for number in range(bins) if (which == number).any()]
    return float(sum(some.mean() * abs(scores[some].mean() - right[some].mean()) for some in parts))


def row(labels: np.ndarray, true: np.ndarray) -> dict:
    answered = labels != "und"
    n_right, n = int((labels == true)[answered].sum()), int(answered.sum())
    low, high = wilson(n_right, n) if n else (0.0, 1.0)
    return {"n": len(true), "answered": n / len(true), "right": n_right / max(n, 1), "low": low, "high": high}


def by_language(labels: np.ndarray, true: np.ndarray) -> dict[str, dict]:
    return {language: row(labels[true == language], true[true == language]) for language in np.unique(true).tolist()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--quick", action="store_true", help="each tenth sentence")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    table = gold(asked.data, "langid_sentences", 10 if asked.quick else 1)
    texts, true = table["text"].to_pylist(), np.array(table["lang"].to_pylist())
    labels, scores = ours(texts)
    peers = run_peer("language", "language_labels.py", {"texts": texts})
    systems = {"lang_id": labels} | {name: np.array(one["labels"]) for name, one in peers.items()}
    short = np.array([len(text.encode()) < SHORT_BYTES for text in texts])
    result = {}
    for name, some in (("short", short), ("long", ~short)):
        bounded = {b: row(np.where(scores[some] >= b, labels[some], "und"), true[some]) for b in BOUNDS}
        result[name] = {
            "systems": {system: row(one[some], true[some]) for system, one in systems.items()},
            "languages": {system: by_language(one[some], true[some]) for system, one in systems.items()},
            "calibration_error": calibration_error(scores[some], (labels == true)[some]),
            "bounds": bounded,
        }
    print(json.dumps(result)) if asked.json else show(result)


def line(one: dict) -> str:
    return f"{one['answered']:6.1%} {one['right']:6.1%} [{one['low']:6.1%}, {one['high']:6.1%}]"


def show(result: dict) -> None:
    for name, found in result.items():
        print(f"{name} (goals: right {GOAL_RIGHT:.0%} of each language, answered {GOAL_ANSWERED[name]:.0%})")
        for system, one in found["systems"].items():
            good = sum(each["right"] >= GOAL_RIGHT for each in found["languages"][system].values())
            print(f"  {system:<8} answered, right {line(one)} of {one['n']}; {good} of 75 languages reach the goal")
        print(f"  calibration error of lang_score {found['calibration_error']:.3f}")
        for bound, one in found["bounds"].items():
            print(f"  lang_score >= {bound:<4} answered, right {line(one)}")
        for language, one in found["languages"]["lang_id"].items():
            if one["right"] < GOAL_RIGHT or language in CLOSE:
                others = "  ".join(
                    f"{system} {line(found['languages'][system][language])}" for system in ("pycld2", "lingua")
                )
                print(f"    {language} n {one['n']:<4} lang_id {line(one)}  {others}")


if __name__ == "__main__":
    main()
