"""The variational bound, against closed forms in float64; learned variances, in steps and in training."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import norm
from tests.core.sampling.mixtures import Mixture

from artifex.generative_models.core.configuration import (
    BoundConfig,
    CosinePathConfig,
    DDPMConfig,
    DDPMPathConfig,
    EDMPathConfig,
    FixedLargeVarianceConfig,
    FlowMatchingConfig,
    LearnedRangeVarianceConfig,
    LevelTimesConfig,
    LinearPathConfig,
    MLPDenoiserConfig,
    VEPathConfig,
    VPPathConfig,
)
from artifex.generative_models.core.distributions.levels import discretized_normal_log_prob
from artifex.generative_models.core.sampling import DDIMSampler, Estimate
from artifex.generative_models.factory import create_model
from artifex.generative_models.models.diffusion.bound import (
    BoundSteps,
    bound_steps,
    bound_term,
    step_divergence,
    variational_bound_one,
)
from artifex.generative_models.models.diffusion.paths import make_path

TABLE = DDPMPathConfig(num_steps=100, beta_start=1e-3, beta_end=0.2)
BETAS = np.linspace(1e-3, 0.2, 100)
CUMULATIVE = np.cumprod(1 - BETAS)
LEVELS = BoundConfig(num_levels=33)
GRID = np.linspace(-1.0, 1.0, 33)
GAUSSIAN = Mixture((1.0,), (0.1,), (0.3,))


@pytest.mark.parametrize(("loc", "scale"), [(0.1, 0.3), (-0.97, 0.002), (3.0, 0.1), (0.0, 5.0)])
def test_discretized_normal(loc, scale):
    """Probabilities of all levels sum to 1, and are those of scipy, in the tails too."""
    value = jnp.asarray(GRID, jnp.float32)
    ours = np.asarray(
        discretized_normal_log_prob(
            value, jnp.full(33, loc), jnp.full(33, scale), low=-1.0, high=1.0, num_levels=33
        ),
        np.float64,
    )
    assert abs(logsumexp(ours)) < 1e-4
    edges = (GRID[:-1] + GRID[1:]) / 2
    log_below, log_above = norm.logcdf(edges, loc, scale), norm.logsf(edges, loc, scale)
    with np.errstate(divide="ignore"):
        left = log_below[1:] + np.log1p(-np.exp(log_below[:-1] - log_below[1:]))
        right = log_above[:-1] + np.log1p(-np.exp(log_above[1:] - log_above[:-1]))
    inside = np.where(log_below[1:] < log_above[:-1], left, right)
    expected = np.concatenate([log_below[:1], inside, log_above[-1:]])
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=2e-4)


@pytest.mark.parametrize("v", [0.0, 0.3, 1.0])
def test_divergence_of_a_step(v):
    """Ho et al., equations 5 to 7: KL of two normals, with variances interpolated from beta tilde to beta."""
    path = make_path(TABLE)
    x, data = np.array([0.4, -0.2]), np.array([0.1, 0.3])
    estimate = Estimate(jnp.asarray(data, jnp.float32), jnp.zeros(2), jnp.full(2, v))
    for i in (99, 40, 1):
        before, here, beta = CUMULATIVE[i - 1], CUMULATIVE[i], BETAS[i]
        small = (1 - before) / (1 - here) * beta
        variance = np.exp(v * np.log(beta) + (1 - v) * np.log(small))
        mean_error = np.sqrt(before) * beta / (1 - here) * (data - x)
        expected = 0.5 * np.sum(np.log(variance / small) + (small + mean_error**2) / variance - 1)
        t, s = jnp.float32((i + 1) / 100), jnp.float32(i / 100)
        ours = step_divergence(path, jnp.asarray(x, jnp.float32), estimate, t, s)
        np.testing.assert_allclose(ours, expected, rtol=2e-4)


def test_variances_of_ancestral_steps():
    """From beta tilde at 0 to beta at 1, around the same mean; the last step has none."""
    path, key, x = make_path(TABLE), jax.random.key(1), jnp.array([0.7, -0.2])
    z = np.asarray(jax.random.normal(key, (2,)))
    exact = GAUSSIAN.denoiser(path)
    for i in (99, 40, 1, 0):
        t, s = jnp.float32((i + 1) / 100), jnp.float32(i / 100)
        moved = {
            v: DDIMSampler(eta=1.0).step(
                lambda x, t, v=v: exact(x, t)._replace(variance=jnp.full(2, v)), path, x, (), t, s, key=key
            )[0]
            for v in (0.0, 1.0)
        }
        plain = DDIMSampler(eta=1.0).step(exact, path, x, (), t, s, key=key)[0]
        np.testing.assert_allclose(moved[0.0], plain, rtol=1e-6)
        before = CUMULATIVE[i - 1] if i else 1.0
        small = np.sqrt((1 - before) / (1 - CUMULATIVE[i]) * BETAS[i])
        mean = np.asarray(plain) - small * z
        std = np.sqrt(BETAS[i]) if i else 0.0
        np.testing.assert_allclose(moved[1.0], mean + std * z, rtol=1e-4, atol=1e-5)


def draws(config, path, x, steps, *, num, num_times=None, variance=0.0, seed=0):
    """Terms of the bound of one entry, for many draws of the noise."""

    def denoise(x, t):
        return GAUSSIAN.denoiser(path)(x, t)._replace(variance=jnp.full(x.shape, variance))

    run = lambda key: variational_bound_one(  # noqa: E731
        config, denoise, path, jnp.asarray([x], jnp.float32), steps, key=key, num_times=num_times
    )
    terms = jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(seed), num))
    parts = {name: getattr(terms, name) for name in ("noise", "steps", "data", "total")}
    return {name: np.asarray(part, np.float64) for name, part in parts.items()}


def level_log_prob(x, loc, scale):
    """Of one of 257 levels inside of [-1, 1], in float64, from the side where both ends lie low."""
    side = np.where(x > loc, -1.0, 1.0)
    upper, lower = ((side * (x - loc) + sign / 256) / scale for sign in (1, -1))
    return norm.logcdf(upper) + np.log(-np.expm1(norm.logcdf(lower) - norm.logcdf(upper)))


def in_float64(path, times, x, v, least=None):
    """The bound, and -log p of the sampler: with the exact denoiser of a Gaussian all steps are linear and normal."""
    alpha, sigma = (np.asarray(f(times), np.float64) for f in (path.alpha, path.sigma))
    mean, variance, bound = 0.0, sigma[0] ** 2, 0.5 * (alpha[0] / sigma[0] * x) ** 2
    nodes, weights = np.polynomial.hermite_e.hermegauss(64)
    for k, (a, s) in enumerate(zip(alpha[:-1], sigma[:-1], strict=True)):
        gain = a * 0.3**2 / (a**2 * 0.3**2 + s**2)
        data = lambda x, gain=gain, a=a: 0.1 + gain * (x - 0.1 * a)  # noqa: E731
        if k == len(times) - 2:
            least = 1 - (s * alpha[k - 1] / a / sigma[k - 1]) ** 2 if least is None else least
            step = least ** (1 - v) * s**2
            slope, offset = gain, data(0.0)
            at_nodes = level_log_prob(x, data(a * x + s * nodes), np.sqrt(step))
            bound -= np.sum(weights * at_nodes) / weights.sum()
        else:
            r = (a / alpha[k + 1] * sigma[k + 1] / s) ** 2
            small, large = sigma[k + 1] ** 2 * (1 - r), s**2 * (1 - r)
            step = small ** (1 - v) * large**v
            kept = sigma[k + 1] * np.sqrt(r)
            slope = alpha[k + 1] * gain + kept * (1 - a * gain) / s
            offset = (alpha[k + 1] - kept * a / s) * data(0.0)
            squared = (alpha[k + 1] * (1 - r)) ** 2 * ((data(a * x) - x) ** 2 + (gain * s) ** 2)
            bound += 0.5 * (np.log(step / small) + (small + squared) / step - 1)
        mean, variance = slope * mean + offset, slope**2 * variance + step
    return bound, -level_log_prob(x, mean, np.sqrt(variance))


@pytest.mark.parametrize("v", [0.0, 1.0])
def test_bound_of_a_gaussian(v):
    """Equal to its closed form, never below the sampler's -log p, and near it with many steps of the right variance."""
    for num_steps in (8, 200):
        betas = {"beta_start": 1e-3, "beta_end": min(0.7, 10 / num_steps)}
        path = make_path(DDPMPathConfig(num_steps=num_steps, **betas))
        times = jnp.arange(num_steps, -1, -1) / num_steps
        for x in (0.125, 0.75):
            bound, exact = in_float64(path, times, x, v)
            ours = draws(
                BoundConfig(num_levels=257), path, x, BoundSteps.at(path, times), num=500, variance=v
            )["total"]
            assert abs(ours.mean() - bound) < 4 * ours.std() / np.sqrt(500) + 1e-3
            assert bound > exact
            true = -level_log_prob(x, 0.1, 0.3)
            if v == 1 and num_steps == 200:
                assert bound - exact < 0.02
                assert abs(exact - true) < 0.06


@pytest.mark.parametrize(
    "config",
    [VPPathConfig(), VEPathConfig(), EDMPathConfig(), LinearPathConfig(), CosinePathConfig()],
    ids=lambda config: config.kind,
)
def test_bound_on_paths_without_a_table(config):
    """Equal to its closed form, which lies above -log p by what the last step does not know of the levels."""
    bound = BoundConfig(num_levels=257)
    path = make_path(config)
    steps = bound_steps(FlowMatchingConfig(event_shape=(1,), path=config, bound=bound), path)
    for x in (0.125, 0.75):
        expected, _ = in_float64(path, steps.times, x, 0, steps.least)
        ours = draws(bound, path, x, steps, num=500, num_times=50)["total"]
        assert abs(ours.mean() - expected) < 4 * ours.std() / np.sqrt(500)
        assert 0 < expected + level_log_prob(x, 0.1, 0.3) < 0.2


def test_random_steps_stand_for_all():
    """In the mean, within 4 standard errors; so does the mean over all levels of the term in training."""
    path, times, x = make_path(TABLE), jnp.arange(100, -1, -1) / 100, 0.25
    steps = BoundSteps.at(path, times)
    every = draws(LEVELS, path, x, steps, num=500, variance=0.4)
    some = draws(LEVELS, path, x, steps, num=4000, variance=0.4, num_times=5, seed=1)
    for name in ("noise", "steps", "data"):
        ours, other = every[name], some[name]
        error = np.hypot(ours.std() / np.sqrt(500), other.std() / np.sqrt(4000))
        assert abs(ours.mean() - other.mean()) <= 4 * error + 1e-6

    config = DDPMConfig(event_shape=(1,), path=TABLE, bound=LEVELS)
    array = jnp.asarray([x], jnp.float32)

    def term(key, t):
        noisy = path.alpha(t) * array + path.sigma(t) * jax.random.normal(key, (1,))
        estimate = GAUSSIAN.denoiser(path)(noisy, t)._replace(variance=jnp.full(1, 0.4))
        return bound_term(config, path, array, estimate, t)

    def mean_over_levels(key):
        return jnp.mean(jax.vmap(term)(jax.random.split(key, 100), times[:-1]))

    bits = np.asarray(jax.jit(jax.vmap(mean_over_levels))(jax.random.split(jax.random.key(2), 500)))
    expected = (every["steps"] + every["data"]) / np.log(2)
    error = np.hypot(bits.std(), expected.std()) / np.sqrt(500)
    assert abs(bits.mean() - expected.mean()) < 4 * error


LEARNED = DDPMConfig(
    event_shape=(2, 3),
    network=MLPDenoiserConfig(hidden_size=16, num_layers=1),
    path=DDPMPathConfig(num_steps=20, beta_end=0.5),
    times=LevelTimesConfig(num_levels=20),
    variance=LearnedRangeVarianceConfig(bound_weight=0.01),
    bound=LEVELS,
    num_sampling_steps=5,
)


def test_the_bound_teaches_the_variance_alone(key):
    """No gradient of it reaches the outputs for the mean, and the simple loss none of those for the variance."""
    model = create_model(LEARNED, key=key)
    x = jnp.asarray(np.random.default_rng(0).choice(GRID, (8, 2, 3)), jnp.float32)
    gradient = eqx.filter_grad(lambda model, name: model.loss(x, key=key).metrics[name])
    rows = {name: gradient(model, name).network.out.weight for name in ("bound", "mse")}
    assert not rows["bound"][:6].any() and np.abs(rows["bound"][6:]).min() > 0
    assert np.abs(rows["mse"][:6]).min() > 0 and not rows["mse"][6:].any()
    output = model.loss(x, key=key)
    total = output.metrics["mse"] + 0.01 * output.metrics["bound"]
    np.testing.assert_allclose(output.total, total, rtol=1e-5)


def test_of_models(key):
    """One number for each example; a fixed variance is a kind; `elbo` is the bound with its number of steps."""
    x = jnp.asarray(np.random.default_rng(0).choice(GRID, (3, 2, 3)), jnp.float32)
    for config in (
        LEARNED,
        LEARNED.replace(variance=FixedLargeVarianceConfig()),
        FlowMatchingConfig(event_shape=(2, 3), network=LEARNED.network, bound=LEVELS, num_sampling_steps=5),
    ):
        model = create_model(config, key=key)
        terms = model.variational_bound(x, key=key)
        assert terms.total.shape == (3,)
        assert (terms.steps > 0).all() and (terms.data > 0).all() and np.isfinite(terms.total).all()
        elbo = model.elbo(x, key=key)
        same = model.variational_bound(x, key=key, num_times=config.bound.num_times)
        np.testing.assert_array_equal(elbo, -same.total)
        assert np.isfinite(model.generate(2, key=key)).all()
    with pytest.raises(ValueError, match="`num_times` must be at least 1"):
        model.variational_bound(x, key=key, num_times=0)


@pytest.mark.parametrize(
    "changes",
    [{"path": VPPathConfig()}, {"times": LevelTimesConfig(num_levels=10)}],
)
def test_learned_variances_need_a_table(changes):
    """The steps to learn are those of the path's own table."""
    with pytest.raises(ValueError, match="a learned variance is that of a step of a table"):
        LEARNED.replace(**changes)
