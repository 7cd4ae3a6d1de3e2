"""The S-curve and the choice of bands: against the table of published schemes and against datasketch."""

import pytest
from datasketch.lsh import _optimal_param
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.errors import RecipeError
from gristmill.dedup.clusters.curve import RECALL, balanced_bands, choose_bands, collision_probability, curve

PUBLISHED = [  # bands, rows, jaccard, probability
    (14, 8, 0.7, 0.565),  # FineWeb
    (14, 8, 0.8, 0.924),
    (20, 13, 0.8, 0.677),  # NeMo Curator
    (9, 13, 0.8, 0.399),  # RedPajama v2, "0.8"
    (5, 25, 0.9, 0.311),  # RedPajama v2, "0.9"
    (50, 4, 0.5, 0.960),  # text-dedup
    (450, 20, 0.8, 0.995),  # RefinedWeb
]


@pytest.mark.parametrize(("bands", "rows", "jaccard", "probability"), PUBLISHED)
def test_probability_of_published_schemes(bands, rows, jaccard, probability):
    assert collision_probability(jaccard, bands, rows) == pytest.approx(probability, abs=6e-4)


@given(st.integers(1, 40), st.integers(1, 20), st.floats(0, 1), st.floats(0, 1))
def test_probability_grows_with_similarity(bands, rows, one, other):
    low, high = sorted((one, other))
    assert 0 <= collision_probability(low, bands, rows) <= collision_probability(high, bands, rows) + 1e-12 <= 1 + 1e-12


def test_curve_is_the_probability_at_21_similarities():
    points = curve(14, 8)
    assert [s for s, _ in points] == [round(i / 20, 2) for i in range(21)]
    assert points[0] == (0.0, 0.0)
    assert points[-1] == (1.0, 1.0)
    assert all(p == round(collision_probability(s, 14, 8), 6) for s, p in points)


@pytest.mark.parametrize("hashes", [1, 2, 16, 60, 112, 128])
@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.5, 0.7, 0.75, 0.8, 0.85, 0.9, 0.99, 1.0])
def test_balanced_choice_equals_datasketch(threshold, hashes):
    assert balanced_bands(threshold, hashes) == _optimal_param(threshold, hashes, 0.5, 0.5)


@pytest.mark.parametrize(
    ("threshold", "hashes", "choice"),
    [(0.7, 256, (25, 10)), (0.8, 256, (17, 15)), (0.7, 128, (14, 9)), (0.5, 128, (25, 5))],
)
def test_balanced_choice_of_known_schemes(threshold, hashes, choice):
    assert balanced_bands(threshold, hashes) == choice


def test_balanced_choice_for_long_signatures_is_stable():
    bands, rows = balanced_bands(0.8, 1024)
    middle = (1 / bands) ** (1 / rows)
    assert abs(middle - 0.8) < 0.03  # the curve's steep part lies at the threshold


@given(st.floats(0.01, 1), st.integers(1, 200))
def test_choice_has_the_most_rows_that_keep_the_recall(threshold, hashes):
    bands, rows = choose_bands(threshold, hashes)
    assert bands * rows <= hashes
    every = [(b, r) for r in range(1, hashes + 1) for b in range(1, hashes // r + 1)]
    enough = [scheme for scheme in every if collision_probability(threshold, *scheme) >= RECALL]
    if enough:
        most = max(r for _, r in enough)
        assert (bands, rows) == max(scheme for scheme in enough if scheme[1] == most)
    else:
        assert (bands, rows) == (hashes, 1)


@pytest.mark.parametrize(
    ("threshold", "hashes", "choice"),
    [(0.8, 128, (18, 7)), (0.8, 112, (16, 7)), (0.9, 128, (10, 12)), (0.5, 128, (42, 3)), (1.0, 128, (1, 128))],
)
def test_choice_for_common_recipes(threshold, hashes, choice):
    assert choose_bands(threshold, hashes) == choice


def test_choice_loses_no_more_than_the_balanced_one():
    for threshold in (0.5, 0.6, 0.7, 0.8, 0.9, 0.95):
        at_threshold = [
            collision_probability(threshold, *choose(threshold, 128)) for choose in (choose_bands, balanced_bands)
        ]
        assert at_threshold[0] >= RECALL > at_threshold[1]


@pytest.mark.parametrize("choose", [choose_bands, balanced_bands])
@pytest.mark.parametrize("threshold", [0.0, -0.1, 1.01])
def test_threshold_out_of_range_names_the_key(threshold, choose):
    with pytest.raises(RecipeError, match=r"dedup\.near\.threshold"):
        choose(threshold, 128)


@pytest.mark.parametrize("choose", [choose_bands, balanced_bands])
def test_no_hashes_names_the_key(choose):
    with pytest.raises(RecipeError, match=r"dedup\.near\.hashes"):
        choose(0.8, 0)
