"""How well scores and labels agree with the truth: AUC, F1, accuracy."""

import numpy as np


def auc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Chance that a positive document scores above a negative one, ties half: the area under the ROC curve.

    Parameters
    ----------
    scores : double[n_docs]
    positive : bool[n_docs]

    Returns
    -------
    float, 0 to 1; nan without positives or without negatives

    >>> auc(np.array([0.1, 0.4, 0.4, 0.9]), np.array([False, False, True, True]))
    0.875
    """
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return float("nan")
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2  # the mean rank of equal scores, from 1
    above = ranks[places[positive]].sum() - n_positive * (n_positive + 1) / 2
    return float(above / (n_positive * n_negative))


def precision_recall_f1(found: np.ndarray, true: np.ndarray) -> tuple[float, float, float]:
    """Of bool[n_docs] found and true; 0 where a denominator is.

    >>> precision_recall_f1(np.array([True, True, False]), np.array([True, False, False]))
    (0.5, 1.0, 0.6666666666666666)
    """
    hits, n_found, n_true = int((found & true).sum()), int(found.sum()), int(true.sum())
    precision, recall = hits / n_found if n_found else 0.0, hits / n_true if n_true else 0.0
    return precision, recall, 2 * hits / (n_found + n_true) if n_found + n_true else 0.0
