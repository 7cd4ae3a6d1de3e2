"""How right the filters are, on gold sets: language, damage, toxicity.

    python bench/quality.py [--data DIR] [--quick] [--json]

A section a kind of judgement, each against the plainest peer there is: the raw model, a bare bound, a word list.
DIR/gold holds the sets; without --data only what samples/ can answer is run, and the rest named on standard error.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench.compare

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.compare import HOUSE, Comparison, cpu_seconds, options, peak_rss_mb, say
from gristmill.filters.decide.profiles import PROFILES
from gristmill.filters.decide.rules import Rule
from gristmill.filters.models.classifier import load_model, normalise, predict, train_classifier
from gristmill.filters.models.classifier_metrics import auc, precision_recall_f1
from gristmill.filters.models.language import MAX_BYTES, identify
from gristmill.filters.models.reference import FILE as REFERENCE
from gristmill.filters.models.reference import fit_reference, load_reference, score_texts
from gristmill.filters.signals.measure import measure

MODEL = HOUSE / "samples" / "models" / "lid.176.ftz"
LONG_BYTES, LONG_DOCUMENTS, QUICK_DOCUMENTS = 4096, 1500, 200
SEED = 1
REFERENCE_SAMPLES = (
    "books/austen.jsonl.zst", "books/debian-handbook.jsonl.zst", "docs/gnome-help.parquet", "docs/man-pages.parquet",
    "docs/python-docs.parquet", "legal/state-of-the-union.parquet", "reference/world-factbook.parquet",
)  # fmt: skip
WORD_LIST, BARE_BOUND = "LDNOOBW word list", "a bare bound on word entropy"


def compare(work: str, peer: str, unit: str, figures: tuple[float, float], target: str, **further: Any) -> Comparison:
    """Ours and theirs as a comparison; higher is better in all of this script."""
    ours, theirs = (round(figure, 4) for figure in figures)
    ratio = round(ours / theirs, 4) if theirs else None
    further = {"equal": None, "rss_mb": peak_rss_mb()} | further
    peer_version = version("fasttext-wheel") if "lid.176" in peer else ""
    return Comparison(work, peer, peer_version, unit, ours, theirs, ratio, target, **further)


def gold(data: Path | None, name: str, step: int) -> pa.Table:
    """Each ``step``-th row of a gold set."""
    if data is None:
        raise LookupError(f"DIR/gold/{name}.parquet")
    table = pq.read_table(data / "gold" / f"{name}.parquet")
    return table.take(np.arange(0, len(table), step))


def batch_of(texts: list[str]) -> pa.RecordBatch:
    """doc_id and text."""
    return pa.record_batch({"doc_id": [str(n) for n in range(len(texts))], "text": pa.array(texts, pa.large_string())})


# ------------------------------------------------------------------------------------------------ language


def raw_languages(texts: list[str]) -> list[str]:
    """The model's own answer on whole texts."""
    labels, _ = load_model(MODEL).predict([text.replace("\n", " ") for text in texts])
    return [label[0].removeprefix("__label__") if len(label) else "und" for label in labels]


def accuracies(ours: list[str], theirs: list[str], true: np.ndarray) -> tuple[float, float]:
    """Share of labels that are as in the gold set."""
    return float((np.array(ours) == true).mean()), float((np.array(theirs) == true).mean())


def our_languages(texts: list[str]) -> list[str]:
    """lang_id of the stage."""
    return identify(batch_of(texts), load_model(MODEL)).column("lang_id").to_pylist()


def sentence_languages(data: Path | None, quick: bool) -> Iterator[Comparison]:
    """Gold sentences of 75 languages: the stage gives the raw model's label on each."""
    table = gold(data, "langid_sentences", 10 if quick else 1)
    texts, true = table["text"].to_pylist(), np.array(table["lang"].to_pylist())
    ours, theirs = our_languages(texts), raw_languages(texts)
    note = f"{len(texts)} sentences, 75 languages; nb is never right: the model says no"
    figures = accuracies(ours, theirs, true)
    yield compare("language of sentences", "lid.176", "accuracy", figures, "1x", equal=ours == theirs, note=note)


def document_languages(data: Path | None, quick: bool) -> Iterator[Comparison]:
    """Documents over 4 KB with a known language: the first MAX_BYTES against the whole text."""
    folder = data / "text" if data else HOUSE / "samples" / "docs"
    rows = []
    for path in sorted(folder.glob("*.parquet")):
        columns = pq.read_schema(path).names
        if path.stem not in ("code", "instructions", "math") and {"text", "lang"} <= set(columns):
            rows += pq.read_table(path, columns=["text", "lang"]).to_pylist()
    known = {label.removeprefix("__label__") for label in load_model(MODEL).get_labels()}
    rows = [(row["text"], row["lang"].split("-")[0]) for row in rows if len(row["text"].encode()) > LONG_BYTES]
    rows = [row for row in rows if row[1] in known]
    chosen = rows[:: max(1, len(rows) // (QUICK_DOCUMENTS if quick else LONG_DOCUMENTS))]
    texts, true = [text for text, _ in chosen], np.array([lang for _, lang in chosen])
    our_seconds, ours = cpu_seconds(lambda: our_languages(texts), 1)
    raw_seconds, theirs = cpu_seconds(lambda: raw_languages(texts), 1)
    figures = accuracies(ours, theirs, true)
    same = float(np.mean([one == other for one, other in zip(ours, theirs, strict=True)]))
    note = f"{len(texts)} documents over {LONG_BYTES} bytes, {MAX_BYTES} read; the same label on {same:.4f}; "
    note += f"{our_seconds:.2f} CPU s with paragraphs and scripts against {raw_seconds:.2f}"
    yield compare(
        "language of long documents",
        "lid.176 on whole texts",
        "accuracy",
        figures,
        ">= 0.99x",
        equal=same == 1,
        note=note,
    )


# ------------------------------------------------------------------------------------------------ damage


def violation(rule: Rule, values: np.ndarray) -> np.ndarray:
    """How far values lie out: 0 in the middle of the bounds, 1 on a bound; of a rule with one bound values / bound."""
    if np.isinf(rule.at_least):
        return values / rule.at_most
    middle, half = (rule.at_least + rule.at_most) / 2, (rule.at_most - rule.at_least) / 2
    return np.abs(values - middle) / half


def damage(data: Path | None, quick: bool) -> Iterator[Comparison]:
    """Real texts against the same damaged in named ways: the profile's worst violation, its parts, a bare bound."""
    table = gold(data, "quality_labels", 4 if quick else 1)
    signals = measure(batch_of(table["text"].to_pylist()))
    bad, kinds = table["good"].to_numpy() == 0, np.array(table["kind"].to_pylist())
    bare = auc(-signals["word_entropy_bits"].to_numpy(), bad)
    rules = PROFILES["entropy@residual"].rules
    worst = np.max([violation(rule, signals[rule.signal].to_numpy()) for rule in rules], axis=0)
    scores = {"profile entropy@residual": worst}
    scores |= {rule.signal: np.abs(signals[rule.signal].to_numpy()) for rule in rules if "residual" in rule.signal}
    for name, found in scores.items():
        note = by_damage(found, bad, kinds)
        target = ">= 0.9" if name.startswith("profile") else "reported"
        yield compare(f"damage by {name}", BARE_BOUND, "AUC", (auc(found, bad), bare), target, note=note)


def by_damage(found: np.ndarray, bad: np.ndarray, kinds: np.ndarray) -> str:
    """AUC of each kind of damage, as a note."""
    sides = {kind: ~bad | (kinds == kind) for kind in sorted({*kinds[bad]})}
    return ", ".join(f"{kind} {auc(found[side], bad[side]):.2f}" for kind, side in sides.items())


def reference_texts(data: Path, gold_ids: set[str], gold_texts: list[str]) -> Iterator[str]:
    """Prose of DIR/text without the gold documents and whatever shares a stretch of 60 characters with one.

    Stretches are compared at every 20th character of the gold text and every character of the other.
    """
    near = {text[at : at + 60] for text in gold_texts for at in range(0, len(text) - 60, 20)}
    for path in sorted((data / "text").glob("*.parquet")):
        if path.stem in ("code", "instructions", "math", "chat"):
            continue
        for row in pq.read_table(path, columns=["id", "text"]).to_pylist():
            text = row["text"][:20_000]
            if row["id"] not in gold_ids and not any(text[at : at + 60] in near for at in range(len(text) - 60)):
                yield text


def reference_damage(data: Path | None, quick: bool) -> Iterator[Comparison]:
    """The same damage by cross-entropy and word order under references that never saw a gold document.

    One is fitted on DIR/text (the same collections, other documents), one on samples/ (fewer languages).
    """
    table = gold(data, "quality_labels", 4 if quick else 1)
    assert data is not None  # gold has refused it
    everything = gold(data, "quality_labels", 1)
    clean = [row["text"] for row in everything.to_pylist() if row["good"]]
    ids = {one.partition("#")[0] for one in everything["id"].to_pylist()}
    bad, kinds = table["good"].to_numpy() == 0, np.array(table["kind"].to_pylist())
    bare = auc(-measure(batch_of(table["text"].to_pylist()))["word_entropy_bits"].to_numpy(), bad)
    own = [HOUSE / "samples" / name for name in REFERENCE_SAMPLES]
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "texts.parquet"
        texts = pa.array(list(reference_texts(data, ids, clean)), pa.large_string())
        pq.write_table(pa.table({"text": texts}), path)
        for where, paths, size in (("DIR/text", [path], 24 << 20), ("samples", own, 8 << 20)):
            seconds, facts = cpu_seconds(
                lambda paths=paths, size=size: (
                    fit_reference(Path(name), texts=paths, sample_bytes=size >> 3 * quick, seed=SEED).facts
                ),
                1,
            )
            load_reference.cache_clear()
            found = score_texts(table["text"], load_reference(Path(name) / REFERENCE)).T
            fitted = f"{facts['fitted_on']} texts, {facts['ngrams']} n-grams, {seconds:.1f} CPU s to fit"
            for signal, values in (("cross-entropy", found[0]), ("word order", -found[1])):
                note = f"{fitted}; {by_damage(values, bad, kinds)}"
                figures = (auc(values, bad), bare)
                yield compare(f"damage by {signal}, {where}", BARE_BOUND, "AUC", figures, "reported", note=note)


# ------------------------------------------------------------------------------------------------ toxicity


def word_list_f1(texts: list[str], toxic: np.ndarray, data: Path) -> float:
    """F1 of flagging every text with a word or phrase of the English list."""
    words = pq.read_table(data / "gold" / "badwords.parquet").to_pylist()
    listed = [f" {' '.join(normalise(pa.array([row['word']])))} " for row in words if row["lang"] == "en"]
    found = [any(word in f" {text} " for word in listed) for text in normalise(pa.array(texts))]
    return precision_recall_f1(np.array(found), toxic)[2]


def toxicity(data: Path | None, quick: bool) -> Iterator[Comparison]:
    """A fastText classifier trained on half the gold set by a keyed split, and one that never saw HateCheck."""
    table = gold(data, "toxicity", 4 if quick else 1)
    assert data is not None  # gold has refused it
    labels = pa.array(np.where(table["toxic"].to_numpy(), "toxic", "fine"))
    is_tweet = np.array(table["source"].to_pylist()) == "davidson2017"
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "examples.parquet"
        pq.write_table(pa.table({"text": table["text"], "label": labels}), path)
        facts = train_classifier(Path(name), labelled=[path], holdout=0.5, seed=SEED).facts
    figures = facts["labels"]["toxic"]
    listed = word_list_f1(table["text"].to_pylist(), table["toxic"].to_numpy(), data)
    note = f"trained on {facts['trained_on']}, {facts['heldout']} held out: {json.dumps(figures)}; "
    note += "HateCheck's templates stand on both sides"
    yield compare("toxicity, keyed halves", WORD_LIST, "F1", (figures["f1"], listed), "reported", note=note)
    tweets = pa.table({"text": table["text"], "label": labels}).filter(is_tweet)
    yield unseen_toxicity(tweets, table.filter(~is_tweet), data)


def unseen_toxicity(tweets: pa.Table, unseen: pa.Table, data: Path) -> Comparison:
    """The same parameters trained on tweets alone, asked about HateCheck's sentences."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "tweets.parquet"
        pq.write_table(tweets, path)
        train_classifier(Path(name), labelled=[path], holdout=0.0, seed=SEED)
        scores = predict(normalise(unseen["text"]), load_model(Path(name) / "model.bin"), ["toxic"])[:, 0]
    true = unseen["toxic"].to_numpy()
    listed = word_list_f1(unseen["text"].to_pylist(), true, data)
    everything = precision_recall_f1(np.ones_like(true), true)[2]
    note = f"trained on tweets alone; AUC {auc(scores, true):.3f}; F1 of calling all of it toxic {everything:.3f}"
    f1 = precision_recall_f1(scores >= 0.5, true)[2]
    return compare("toxicity, HateCheck unseen", WORD_LIST, "F1", (f1, listed), "reported", note=note)


SECTIONS: list[Callable[[Path | None, bool], Iterator[Comparison]]] = [
    sentence_languages,
    document_languages,
    damage,
    reference_damage,
    toxicity,
]


def main() -> None:
    given = options(__doc__).parse_args()
    for section in SECTIONS:
        try:
            for found in section(given.data, given.quick):
                say(found, given.json)
        except LookupError as missing:
            print(f"{section.__name__}: left out, needs {missing}", file=sys.stderr)


if __name__ == "__main__":
    main()
