"""Quality, topic and toxicity classifiers: fastText models, trained from example texts and applied to documents.

A model is a function of its examples, its parameters and the seed, byte for byte: one thread, an order of examples
that is a hash of their texts, and fasttext-wheel, the one build whose training repeats. Its score is a signal like any
other: nothing is dropped here. Models from elsewhere serve as well if their text was as ``normalise`` makes it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.corpus.errors import SourceError, UnknownNameError
from gristmill.corpus.receipt import Outcome
from gristmill.corpus.seeds import fraction
from gristmill.corpus.stage import Measured
from gristmill.filters.models.classifier_metrics import auc, precision_recall_f1
from gristmill.filters.models.examples import LABEL, TEXT, read_examples
from gristmill.filters.models.language import load_model
from gristmill.filters.models.stage import Classifier, ClassifierFacts

MODEL = "model.bin"
MAX_CHARS = 8192  # of a document; the rest changes a bag of words little and costs as much
MIN_EXAMPLES = 10  # a label, held-out ones included: fewer train nothing that a figure could describe
POSITIVE, NEGATIVE = "positive", "negative"
_PREFIX = "__label__"


def train_classifier(
    folder: Path,
    *,
    positive: Sequence[Path] = (),
    negative: Sequence[Path] = (),
    labelled: Sequence[Path] = (),
    dim: int = 16,
    epochs: int = 25,
    word_ngrams: int = 2,
    buckets: int = 200_000,
    learning_rate: float = 0.5,
    holdout: float = 0.2,
    seed: int = 0,
) -> Outcome:
    """Train a classifier: ``folder/model.bin``.

    Parameters
    ----------
    positive, negative : Parquet or JSON lines (.gz, .zst too) with a ``text`` column
    labelled : the same with ``text`` and ``label`` columns; in place of positive and negative, or beside them
    dim, epochs, word_ngrams, buckets, learning_rate : fastText's; a model has about 4 * dim * buckets bytes
    holdout : share of examples that is kept away from training and measured on, 0 to 1; keyed by text, so that equal
        texts stand on one side
    seed : the recipe's seed, for the split, the order and fastText's initial weights

    Returns
    -------
    Outcome: rows = examples; facts: examples by label, and on the held-out ones accuracy and, by label, precision,
    recall, f1 and auc

    Raises
    ------
    SourceError : an input is missing or has no such column, fewer than two labels, or a label of too few examples

    Cost
    ----
    Holds the examples in memory, MAX_CHARS of each. About 5 CPU seconds for a million words at 25 epochs.
    """
    examples = read_examples(positive, negative, labelled)
    texts, labels = normalise(examples[TEXT]), np.asarray(examples[LABEL].to_pylist(), object)
    names, counts = np.unique(labels, return_counts=True)
    _check_labels(names, counts)
    places = np.array([fraction(text, seed, "classifier") for text in texts])
    held = places < holdout
    options = {"dim": dim, "epoch": epochs, "wordNgrams": word_ngrams, "bucket": buckets, "lr": learning_rate}
    order = sorted(range(len(texts)), key=lambda at: (places[at], texts[at], labels[at]))
    lines = [f"{_PREFIX}{labels[at]} {texts[at]}\n" for at in order if not held[at]]
    model = _fit(folder, lines, seed=seed % 2**31, **options)
    model.save_model(str(folder / MODEL))
    heldout = [texts[at] for at in np.flatnonzero(held)]
    facts = {
        "examples": dict(zip(names.tolist(), counts.tolist(), strict=True)),
        "trained_on": len(lines),
        "heldout": len(heldout),
        **evaluate(predict(heldout, model, names.tolist()), labels[held], names.tolist()),
    }
    return Outcome(len(texts), {}, facts)


def prepare(options: Classifier, files: Mapping[str, tuple[Path, ...]]) -> Any:
    """The classifier, which must know the label.

    Raises
    ------
    SourceError : no model, or no fastText model
    UnknownNameError : the model knows no such label
    """
    model = load_model(files["model"][0], "classifiers.model")
    known = [one.removeprefix(_PREFIX) for one in model.get_labels()]
    if options.label not in known:
        raise UnknownNameError("label", options.label, known)
    return model


def measure(batch: pa.RecordBatch, options: Classifier, state: Any) -> Measured:
    """The probability of the label, 0 to 1; 0 for a document without words."""
    scores = predict(normalise(batch.column("text")), state, [options.label])
    signal = f"score_{options.name}"
    return Measured({signal: pa.array(scores[:, 0])}, facts=ClassifierFacts(signal, options.label))


def normalise(texts: pa.Array | pa.ChunkedArray) -> list[str]:
    r"""What the model sees of each text: MAX_CHARS of it in lower case on one line, marks apart from words.

    No mark stays inside a word, so that a text cannot name a label (``__label__``) or end the line.

    >>> normalise(pa.array(["It's the\n__label__x"]))
    ["it ' s the _ _ label _ _ x"]
    """
    lower = pc.utf8_lower(pc.utf8_slice_codeunits(texts, 0, MAX_CHARS))
    apart = pc.replace_substring_regex(lower, r"([^\pL\pN\pM\s])", r" \1 ")
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(apart, r"[\s\pZ\pC]+", " ")).to_pylist()


def predict(texts: Sequence[str], model: Any, labels: Sequence[str]) -> np.ndarray:
    """double[n_texts, n_labels]: probability of each label; 0 for a text without words.

    One call a text: fastText's call for a list gives every label the probability of the first (seen with 0.9.2), and
    its call for one text fails on numpy 2; the function beneath it does neither and takes 2.5 us a line of 12 words.
    """
    found = np.zeros((len(texts), len(labels)))
    place = {_PREFIX + label: column for column, label in enumerate(labels)}
    for row, text in enumerate(texts):
        for probability, label in model.f.predict(text + "\n", -1, 0.0, "strict") if text else ():
            if label in place:
                found[row, place[label]] = min(probability, 1.0)
    return found


def evaluate(scores: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    """Accuracy, and by label precision, recall, f1, auc of scores double[n, n_labels] against labels object[n]."""
    if not len(labels):
        return {"accuracy": None, "labels": {}}
    best = np.asarray(names, object)[scores.argmax(axis=1)]
    by_label = {}
    for column, name in enumerate(names):
        figures = (*precision_recall_f1(best == name, labels == name), auc(scores[:, column], labels == name))
        rounded = [round(figure, 4) if figure == figure else None for figure in figures]
        by_label[name] = dict(zip(("precision", "recall", "f1", "auc"), rounded, strict=True))
    return {"accuracy": round(float((best == labels).mean()), 4), "labels": by_label}


def _check_labels(names: np.ndarray, counts: np.ndarray) -> None:
    if len(names) < 2:
        raise SourceError(f"a classifier needs two labels, the examples have {len(names)}; set classifiers.negative")
    if counts.min() < MIN_EXAMPLES:
        raise SourceError(
            f"label {names[counts.argmin()]!r} has {counts.min()} examples, {MIN_EXAMPLES} are needed; "
            "add files to classifiers.positive, negative or labelled"
        )
    odd = [name for name in names.tolist() if not name or any(character.isspace() for character in name)]
    if odd:
        raise SourceError(f"label {odd[0]!r} is no single word; rename it in the files of classifiers.labelled")


def _fit(folder: Path, lines: Sequence[str], **options: Any) -> Any:
    import fasttext

    with TemporaryDirectory(dir=folder) as aside:
        path = Path(aside) / "examples.txt"
        path.write_text("".join(lines), encoding="utf-8", newline="\n")
        try:
            return fasttext.train_supervised(str(path), thread=1, verbose=0, **options)
        except RuntimeError as error:
            raise SourceError(f"fastText cannot train on these examples ({error}); lower learning_rate") from None
