"""How likely a candidate is what a name means: a logistic model, fitted by ``bench/fit_linking.py``.

What a name and its entity say by themselves is summed when the graph is loaded (``prior``); what the document adds
is summed for each mention (``_kernels_graph.choose_entities``). The weights were fitted on mentions that were judged
one by one in texts of 5 languages (``bench/judged_mentions.csv``: places and entities, no text), none of them from
the sets that ``bench/linking.py`` measures on. A sum is the logarithm of the odds, so that scores are probabilities:
in cross validation over documents they are off by 0.03 on average.

How many documents of a corpus hold a name, and how many write it in small letters, was tried as a further prior on
44,725 documents: the log loss fell from 0.278 to 0.274 in cross validation, F1 on the sets measured did not rise. So
the model needs no pass over the corpus beforehand.
"""

import numpy as np
import polars as pl

from gristmill.knowledge.names import WIDE

MIN_SCORE = 0.25  # half of the F1 to be expected (Lipton 2014) where the graph lacks half of what texts name

# own: the label, not an alias; degree: log2(1 + triples); share: of the triples of all that bear the name;
# length: log2 of characters, a wide one is two; capitals: throughout; the others as in ``names``
PRIOR = ("constant", "own", "degree", "share", "length", "capitals", "common", "noun", "surname", "given", "person")
# near: log2(1 + neighbours) among the document's certain entities; alone: none among four or more; named: a doubtful
# candidate that the document names beyond doubt elsewhere; small: a word also written small there; raised: in
# capitals; left, right: beside a capitalised word, left_noun: times the share of capitalised words (German nouns);
# glued: joined to more; dated: beside a number; led: after a short small word (in, von, à); closed: before a stop;
# times: log2 of its uses in the document
CONTEXT = ("near", "alone", "named", "small", "raised", "left", "left_noun", "right", "glued_left", "glued_right")
CONTEXT += ("dated", "led", "closed", "times")

PRIOR_WEIGHTS = np.array([-5.638, 0.592, 0.124, 3.049, 0.728, 0.498, -3.41, -6.648, -0.461, -1.154, -0.03])
CONTEXT_WEIGHTS = np.array(
    [0.422, -0.492, 2.631, -1.261, 0.418, -2.065, 3.518, -2.834, -0.726, -1.053, -2.888, 0.482, 0.231, -0.052]
)


def prior_features(names: pl.DataFrame, degrees: np.ndarray) -> np.ndarray:
    """float64[n_candidates, len(PRIOR)] of ``names.linkable_names``; the number of triples of each entity."""
    entity = names["entity"].to_numpy()
    weight = names.with_columns(weight=1.0 + degrees[entity])
    columns = weight.select(
        constant=pl.lit(1.0),
        own=pl.col("own").cast(pl.Float64),
        degree=pl.col("weight").log(2),
        share=pl.col("weight") / pl.col("weight").sum().over("name"),
        length=(pl.col("name").str.len_chars() + pl.col("name").str.count_matches(WIDE)).cast(pl.Float64).log(2),
        capitals=pl.col("name").str.contains(r"^\P{Ll}*\p{Lu}\P{Ll}*$").cast(pl.Float64),
        common=pl.col("common"),
        noun=pl.col("noun"),
        surname=pl.col("surname").cast(pl.Float64),
        given=pl.col("given").cast(pl.Float64),
        person=pl.col("person").cast(pl.Float64),
    )
    return columns.select(PRIOR).to_numpy()


def prior(names: pl.DataFrame, degrees: np.ndarray) -> np.ndarray:
    """float32[n_candidates]: logarithm of the odds of each candidate before a document is read."""
    return (prior_features(names, degrees) @ PRIOR_WEIGHTS).astype(np.float32)
