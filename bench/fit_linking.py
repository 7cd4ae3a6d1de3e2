"""Fit the weights of knowledge/linking_model.py on judged mentions (bench/judged_mentions.csv) of ../shared/data.

Each line names a file of text/, a document, a span in bytes, and the entity meant there; empty: none of the graph.
Sampled over names (three of each at most, five of a document) in news, encyclopaedia, speeches, forum and law texts of
English, German, French and Spanish, and judged one by one: an entity is meant where the whole name stands for a thing
of its own; months, occupations, adjectives of nations and parts of longer names are none. The documents of GUM
and HIPE-2022 are not among them. Prints cross validation over documents, calibration, and the weights to paste.

    python bench/fit_linking.py --data ../shared/data
"""

import argparse
import csv
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from linking_features import context_features
from linking_sets import write_graph
from scipy.optimize import minimize

from gristmill.corpus.text.columns import text_column
from gristmill.knowledge.graph import load_graph, read_tables
from gristmill.knowledge.linking import find_names
from gristmill.knowledge.linking_model import CONTEXT, PRIOR, prior_features
from gristmill.knowledge.names import linkable_names

TEXT_BYTES = 6000  # of each document, as they were read by the judge
RIDGE = 3.0  # of 0.3, 1, 3 and 10 the least log loss where whole collections are left out
FOLDS = 10


def samples(data: Path, folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(features float64[n, k], right bool[n], document int64[n], mention int64[n]), one row a candidate."""
    judged = list(csv.DictReader(Path(__file__).with_name("judged_mentions.csv").open()))
    graph = load_graph(folder, min_label_chars=2)
    texts = _texts(data, judged)
    columns = text_column(pa.table({"text": list(texts.values())}))
    found = find_names(columns, graph)
    places = {
        (d, int(s), int(e)): m
        for d in range(len(texts))
        for m in range(*found.offsets[d : d + 2])
        for s, e in [found.rows[m, :2]]
    }
    ordinals = pl.DataFrame({"id": graph.ids.to_pylist()}).with_row_index("entity")
    names = linkable_names(read_tables(folder)[0].join(ordinals, on="id", how="left", maintain_order="left"), (), 2)
    prior = prior_features(names, graph.degrees)
    number = {key: d for d, key in enumerate(texts)}
    rows, right, documents, mentions, lost = [], [], [], [], 0
    context = context_features(columns, found, graph)
    for m_at, line in enumerate(judged):
        d = number[line["file"], line["id"]]
        place = places.get((d, int(line["start"]), int(line["end"])))
        if place is None:
            lost += 1
            continue
        name = found.rows[place, 2]
        for c in range(graph.candidate_offsets[name], graph.candidate_offsets[name + 1]):
            rows.append(np.concatenate([prior[c], context(place, c)]))
            right.append(graph.ids[int(graph.candidates[c])].as_py() == line["entity"])
            documents.append(d)
            mentions.append(m_at)
    print(f"{len(judged)} judged mentions, {lost} no longer found; {sum(right)} entities, {len(rows)} candidates")
    return np.array(rows), np.array(right), np.array(documents), np.array(mentions)


def _texts(data: Path, judged: list[dict[str, str]]) -> dict[tuple[str, str], str]:
    texts = {}
    for file in sorted({line["file"] for line in judged}):
        wanted = sorted({line["id"] for line in judged if line["file"] == file})
        table = (
            pl.read_parquet(data / "text" / f"{file}.parquet")
            .filter(pl.col("id").is_in(wanted))
            .unique("id", keep="first")
            .sort("id")
        )
        texts |= {(file, row["id"]): row["text"][:TEXT_BYTES] for row in table.iter_rows(named=True)}
    return texts


def fit(features: np.ndarray, right: np.ndarray, ridge: float = RIDGE) -> np.ndarray:
    """Weights of a logistic model, the first feature being the constant; scaled ridge."""
    scale = np.maximum(features.std(0), 1e-9)
    scale[0] = 1.0
    x, y = features / scale, right.astype(float)

    def cost(w: np.ndarray) -> tuple[float, np.ndarray]:
        z = x @ w
        loss = np.logaddexp(0, z).sum() - z @ y + 0.5 * ridge * (w[1:] @ w[1:])
        gradient = x.T @ (1 / (1 + np.exp(-z)) - y)
        gradient[1:] += ridge * w[1:]
        return loss, gradient

    best = minimize(cost, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 2000}).x
    return best / scale


def cross_validated(features: np.ndarray, right: np.ndarray, documents: np.ndarray, ridge: float) -> np.ndarray:
    """Probability of each candidate by a model that has not seen its document."""
    fold = np.random.default_rng(0).permutation(documents.max() + 1)[documents] % FOLDS
    out = np.empty(len(right))
    for k in range(FOLDS):
        weights = fit(features[fold != k], right[fold != k], ridge)
        out[fold == k] = 1 / (1 + np.exp(-features[fold == k] @ weights))
    return out


def report(scores: np.ndarray, right: np.ndarray, mentions: np.ndarray) -> None:
    """F1 by bound, and calibration of the best candidate of each mention."""
    frame = pl.DataFrame({"m": mentions, "s": scores, "r": right})
    best = frame.sort("s", descending=True).unique("m", keep="first", maintain_order=True)
    total, sure, is_right = len(set(mentions[right])), best["s"].to_numpy(), best["r"].to_numpy()
    for bound in (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6):
        found, linked = int(is_right[sure >= bound].sum()), int((sure >= bound).sum())
        shares = f"precision {found / linked:.3f} recall {found / total:.3f} F1 {2 * found / (linked + total):.3f}"
        print(f"  bound {bound:.2f}: {shares}")
    fifths = np.minimum((sure * 5).astype(int), 4)
    gaps = [abs(float((sure - is_right)[fifths == k].sum())) for k in range(5)]
    print(f"  expected calibration error over fifths: {sum(gaps) / len(sure):.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="shared data with text/ and kg/")
    data = parser.parse_args().data
    with tempfile.TemporaryDirectory() as folder:
        features, right, documents, mentions = samples(data, write_graph(data, Path(folder) / "graph"))
    for ridge in (0.3, 1.0, 3.0, 10.0):
        print("ridge", ridge)
        report(cross_validated(features, right, documents, ridge), right, mentions)
    weights = fit(features, right)
    for names, part in ((PRIOR, weights[: len(PRIOR)]), (CONTEXT, weights[len(PRIOR) :])):
        print({name: round(float(weight), 3) for name, weight in zip(names, part, strict=True)})


if __name__ == "__main__":
    sys.exit(main())
