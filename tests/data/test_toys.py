"""Toy distributions: densities against integrals, their own samples, and formulas worked out apart."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import chi2, norm

from artifex.data.toys import Checkerboard, Gaussians, Pinwheel, Rings, Spirals, TwoMoons, make_toy
from artifex.data.toys.quadrature import grid_points, panel_nodes
from artifex.generative_models.core.configuration import ToyConfig, config_kinds, from_mapping

TOYS = {kind: make_toy(cls()) for kind, cls in config_kinds(ToyConfig).items()}
NUM = 20_000


@pytest.fixture(scope="module", params=TOYS)
def toy(request):
    """Every toy that a config names."""
    return TOYS[request.param]


@pytest.fixture(scope="module")
def labelled(toy):
    """Samples and the numbers of their components."""
    return toy.labelled_sample(NUM, key=jax.random.key(1))


@pytest.fixture(scope="module")
def points(labelled):
    """Samples."""
    return np.asarray(labelled[0])


def test_density_integrates_to_one(toy):
    """Over the limits, and nothing lies beyond them."""
    total = 0.0
    cells, area = grid_points(toy.limits, toy.resolution / 2)
    for start in range(0, len(cells), 1 << 14):
        density = np.exp(np.asarray(toy.log_prob(cells[start : start + (1 << 14)]), np.float64))
        total += area * density.sum()
    np.testing.assert_allclose(total, 1.0, atol=2e-5)


def test_samples_have_the_density(toy, points):
    """Chi-squared over cells of about a hundred expected points, whose probabilities come from the density."""
    x_min, x_max, y_min, y_max = toy.limits
    num = 16
    fine = max(8, 2 * math.ceil((x_max - x_min) / num / toy.resolution))
    spacing = (x_max - x_min) / num / fine, (y_max - y_min) / num / fine
    x = x_min + spacing[0] * (np.arange(num * fine) + 0.5)
    y = y_min + spacing[1] * (np.arange(num * fine) + 0.5)
    grid = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2).astype(np.float32)
    parts = [np.asarray(toy.log_prob(grid[i : i + (1 << 14)])) for i in range(0, len(grid), 1 << 14)]
    density = np.exp(np.concatenate(parts).astype(np.float64)).reshape(num, fine, num, fine)
    expected = NUM * spacing[0] * spacing[1] * density.sum(axis=(1, 3)).ravel()
    edges = np.linspace(x_min, x_max, num + 1), np.linspace(y_min, y_max, num + 1)
    counts = np.histogram2d(points[:, 0], points[:, 1], bins=edges)[0].ravel()
    big = expected > 20
    # The small cells together are one more.
    observed = np.append(counts[big], NUM - counts[big].sum())
    wanted = np.append(expected[big], NUM - expected[big].sum())
    keep = wanted > 5
    statistic = np.sum((observed[keep] - wanted[keep]) ** 2 / wanted[keep])
    assert chi2.sf(statistic, keep.sum() - 1) > 1e-4, (statistic, keep.sum())


def test_entropy_is_the_mean_log_density(toy, points):
    """Within four standard errors of Monte Carlo."""
    values = -np.asarray(toy.log_prob(points), np.float64)
    error = values.std() / np.sqrt(NUM)
    assert abs(values.mean() - toy.entropy()) < 4 * error + 1e-5


def test_labels(toy, labelled):
    """All components, alike."""
    x, labels = labelled
    assert x.shape == (NUM, 2) and x.dtype == jnp.float32
    counts = np.bincount(labels, minlength=toy.num_classes)
    assert len(counts) == toy.num_classes
    share = 1 / toy.num_classes
    assert (np.abs(counts / NUM - share) < 4.5 * np.sqrt(share * (1 - share) / NUM)).all()


def test_keys(key):
    """A point depends on its number alone."""
    toy = TOYS["checkerboard"]
    np.testing.assert_array_equal(toy.sample(3, key=key), toy.sample(5, key=key)[:3])


@pytest.mark.parametrize("kind", sorted(set(TOYS) - {"checkerboard"}))
def test_gradient(kind):
    """The score, against differences of the density; finite at the centre too."""
    toy = TOYS[kind]
    x = toy.sample(4, key=jax.random.key(2)).at[0].set(0.0)
    gradient = np.asarray(jax.grad(lambda x: toy.log_prob(x).sum())(x))
    step = 2e-2 * toy.resolution
    for axis in (0, 1):
        shift = np.zeros((1, 2), np.float32)
        shift[0, axis] = step
        slope = (toy.log_prob(x + shift) - toy.log_prob(x - shift)) / (2 * step)
        np.testing.assert_allclose(gradient[:, axis], slope, rtol=0.02, atol=0.03 / toy.resolution)


class TestFormulas:
    """Against SciPy and pencil."""

    def test_gaussians(self):
        """One Gaussian: the density of two independent normals."""
        toy = Gaussians(((1.0, -2.0),), scale=0.5)
        expected = norm.logpdf(0.3, 1.0, 0.5) + norm.logpdf(-1.0, -2.0, 0.5)
        np.testing.assert_allclose(toy.log_prob(np.array([[0.3, -1.0]])), expected, rtol=1e-5)
        np.testing.assert_allclose(toy.entropy(), math.log(2 * math.pi * math.e * 0.25), atol=1e-5)
        # Eight far from each other: as much again as the choice among them.
        far = TOYS["eight_gaussians"].entropy()
        np.testing.assert_allclose(far, math.log(2 * math.pi * math.e * 0.04) + math.log(8), atol=2e-3)

    def test_moons(self):
        """At a few points, the integral along both arcs by SciPy."""
        toy = TwoMoons(noise=0.15)
        for x in ([0.2, 0.9], [-1.2, 0.1], [0.5, 0.25], [3.0, 2.0]):

            def along(t, x=x):
                first = norm.pdf(x[0], np.cos(t), 0.15) * norm.pdf(x[1], np.sin(t), 0.15)
                return first + norm.pdf(x[0], 1 - np.cos(t), 0.15) * norm.pdf(x[1], 0.5 - np.sin(t), 0.15)

            density = quad(along, 0, np.pi, limit=400, epsabs=0, epsrel=1e-8, points=[0.5, 1.0, 2.0])[0]
            np.testing.assert_allclose(
                toy.log_prob(np.array([x]))[0], np.log(density / (2 * np.pi)), atol=1e-4
            )

    def test_moons_have_the_points_of_scikit_learn(self):
        """Without noise, each of its points is on one of our arcs."""
        from sklearn.datasets import make_moons

        theirs, labels = make_moons(64, shuffle=False)
        u = jnp.asarray(np.tile(np.linspace(0, 1, 32), 2))
        ours = jax.vmap(TwoMoons().curve)(jnp.asarray(labels), u)
        np.testing.assert_allclose(ours, theirs, atol=1e-6)

    def test_spirals(self):
        """The ends of both, and the density in the middle, where they meet, by SciPy."""
        toy = Spirals(radius=2.0, turns=1.5, noise=0.2)
        np.testing.assert_allclose(toy.curve(jnp.int32(0), jnp.float32(1.0)), [2.0, 0.0], atol=1e-5)
        np.testing.assert_allclose(toy.curve(jnp.int32(1), jnp.float32(1.0)), [-2.0, 0.0], atol=1e-5)

        def along(s):
            r, angle = 2.0 * np.sqrt(s), 3 * np.pi * np.sqrt(s)
            return norm.pdf(-r * np.cos(angle), 0, 0.2) * norm.pdf(r * np.sin(angle), 0, 0.2)

        density = quad(along, 0, 1, limit=400)[0]  # the same for both
        np.testing.assert_allclose(toy.log_prob(np.zeros((1, 2)))[0], np.log(density), atol=1e-4)

    def test_rings(self):
        """Radial entropy: that of r, and of the uniform angle on the circle of radius r."""
        toy = Rings(num_rings=2, spacing=1.0, noise=0.2)
        density = lambda r: float(np.exp(toy.log_prob(np.array([[r, 0.0]]))[0]))  # noqa: E731
        r = np.linspace(1e-3, 3.2, 800)
        p = np.exp(np.asarray(toy.log_prob(np.stack([r, 0 * r], axis=1)), np.float64))
        entropy = -np.trapezoid(2 * np.pi * r * p * np.log(p), r)
        np.testing.assert_allclose(toy.entropy(), entropy, atol=1e-3)
        angles = np.linspace(0, 2 * np.pi, 2001)
        away = (
            (1.3 - np.cos(angles)) ** 2 + np.sin(angles) ** 2,
            (1.3 - 2 * np.cos(angles)) ** 2 + (2 * np.sin(angles)) ** 2,
        )
        mean = np.mean([np.mean(np.exp(-0.5 * d[:-1] / 0.04) / (2 * np.pi * 0.04)) for d in away])
        np.testing.assert_allclose(density(1.3), mean, rtol=1e-4)

    def test_twist_keeps_the_entropy(self):
        """A pinwheel has the entropy of its spokes."""
        straight = Pinwheel(twist=0.0).entropy()
        np.testing.assert_allclose(Pinwheel(twist=0.7).entropy(), straight, atol=1e-4)

    def test_checkerboard(self):
        """Log 32; nothing on the white cells and off the board."""
        toy = Checkerboard()
        np.testing.assert_allclose(toy.entropy(), math.log(32), rtol=1e-6)
        inside = toy.log_prob(np.array([[-3.0, -3.0], [-3.0, -1.0], [3.0, 3.0], [5.0, 5.0]]))
        np.testing.assert_allclose(inside, [-math.log(32), -np.inf, -math.log(32), -np.inf], rtol=1e-6)

    def test_quadrature(self):
        """Polynomials of degree 15 exactly; cells that fill their rectangle."""
        nodes, weights = panel_nodes(-1.0, 2.0, 3)
        np.testing.assert_allclose(np.sum(weights * nodes**15), (2.0**16 - 1.0) / 16)
        cells, area = grid_points((0.0, 1.0, -1.0, 2.0), 0.3)
        np.testing.assert_allclose(area * len(cells), 3.0)
        np.testing.assert_allclose(cells.mean(0), [0.5, 0.5], atol=1e-6)


def test_configs(key):
    """A kind alone is short for a config; wrong numbers are errors."""
    assert from_mapping(ToyConfig, ToyConfig.coerce("rings")).num_rings == 3
    assert make_toy(config_kinds(ToyConfig)["gaussian_grid"](num_per_side=3)).num_classes == 9
    with pytest.raises(ValueError, match="at least one mean"):
        Gaussians((), 1.0)
    with pytest.raises(ValueError, match="`n` must be at least 1"):
        TOYS["rings"].sample(0, key=key)
