"""Scatter of latents and codebook usage, against numbers worked out apart."""

import numpy as np
import pytest

from artifex import visualization
from artifex.visualization.latents import principal_axes


def test_principal_axes_agree_with_scikit_learn():
    from sklearn.decomposition import PCA

    points = np.random.default_rng(0).normal(size=(50, 4)) @ np.diag([1.0, 5.0, 2.0, 0.1]) + 3.0
    ours, shares = principal_axes(points)
    oracle = PCA(2)
    theirs = oracle.fit_transform(points)
    np.testing.assert_allclose(np.abs(ours), np.abs(theirs), atol=1e-9)
    np.testing.assert_allclose(shares, oracle.explained_variance_ratio_, rtol=1e-9)


def test_equal_points_have_no_variance_to_explain():
    _, shares = principal_axes(np.ones((4, 3)))
    assert shares.tolist() == [0.0, 0.0]


def test_two_dimensions_are_drawn_as_they_are():
    latents = np.array([[0.0, 1.0], [2.0, -3.0], [4.0, 5.0]])
    axes = visualization.latent_scatter(latents).axes[0]
    np.testing.assert_array_equal(axes.collections[0].get_offsets(), latents)


def test_classes_have_their_own_colour_and_a_legend():
    latents, labels = np.random.default_rng(0).normal(size=(30, 5)), np.arange(30) % 3
    axes = visualization.latent_scatter(latents, labels).axes[0]
    assert len(axes.collections) == 3
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["0", "1", "2"]
    assert "5 dimensions: " in axes.get_title() and "% of the variance shown" in axes.get_title()


def test_other_labels_are_a_scale():
    figure = visualization.latent_scatter(
        np.random.default_rng(0).normal(size=(30, 2)), np.linspace(0, 1, 30)
    )
    assert len(figure.axes) == 2  # the second is the colour bar


@pytest.mark.parametrize(
    ("latents", "labels", "match"),
    [
        (np.zeros((5, 1)), None, "two dimensions"),
        (np.full((5, 2), np.nan), None, "NaN"),
        (np.zeros((5, 2)), np.zeros(4, int), "`labels`"),
    ],
)
def test_wrong_latents_are_refused(latents, labels, match):
    with pytest.raises((ValueError, TypeError), match=match):
        visualization.latent_scatter(latents, labels)


def test_codebook_usage_sorts_and_counts():
    codes = np.array([[3, 3, 3, 3], [1, 1, 0, 0]])
    axes = visualization.codebook_usage(codes, 5).axes[0]
    assert [bar.get_height() for bar in axes.patches] == [0.5, 0.25, 0.25, 0.0, 0.0]
    # entropy (1/2) ln 2 + 2 (1/4) ln 4 = 1.5 ln 2, so the perplexity is 2 ** 1.5 = 2.83
    assert axes.get_title() == "perplexity 2.8, 3 of 5 codes used"


@pytest.mark.parametrize(
    ("codes", "match"),
    [(np.array([5]), r"\[0, 5\); got 5 to 5"), (np.array([-1]), "got -1"), (np.zeros(0, int), "no codes")],
)
def test_wrong_codes_are_refused(codes, match):
    with pytest.raises(ValueError, match=match):
        visualization.codebook_usage(codes, 5)
