"""Likelihoods: shapes of outputs, where scales come from, and outputs that give a wanted mean."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from artifex.generative_models.core.configuration import (
    BernoulliConfig,
    ConfigError,
    DiscretizedLogisticConfig,
    LaplaceConfig,
    NormalConfig,
)
from artifex.generative_models.core.distributions import laplace, make_likelihood

EVENT_SHAPE = (2, 3, 1)
CASES = {
    "bernoulli": (BernoulliConfig(), 1, 0),
    "normal, fixed": (NormalConfig(scale=0.3), 1, 0),
    "normal, learned": (NormalConfig(scale=0.3, scale_source="learned"), 1, 1),
    "normal, predicted": (NormalConfig(scale=0.3, scale_source="predicted"), 2, 0),
    "laplace, fixed": (LaplaceConfig(scale=0.3), 1, 0),
    "laplace, learned": (LaplaceConfig(scale=0.3, scale_source="learned"), 1, 1),
    "laplace, predicted": (LaplaceConfig(scale=0.3, scale_source="predicted"), 2, 0),
    "logistic, learned": (DiscretizedLogisticConfig(num_levels=5, scale_source="learned"), 1, 1),
    "logistic, predicted": (DiscretizedLogisticConfig(num_levels=5), 2, 0),
}


@pytest.mark.parametrize("name", CASES)
def test_shapes_gradients_and_means(name, key):
    """Output shape, parameters of its own, a sample of the event's shape, and `output_for_mean`."""
    config, num_parameters, num_learned = CASES[name]
    likelihood = make_likelihood(config, EVENT_SHAPE)
    assert likelihood.num_parameters == num_parameters
    assert likelihood.output_shape == (2 * num_parameters, 3, 1)
    assert len(jax.tree.leaves(likelihood)) == num_learned
    mean = jnp.linspace(0.3, 0.7, 6).reshape(EVENT_SHAPE)
    output = likelihood.output_for_mean(mean)
    assert output.shape == likelihood.output_shape
    distribution = likelihood(output)
    # The grid's ends cut the logistic distribution, so its mean is near the location and not at it.
    np.testing.assert_allclose(distribution.mean(), mean, atol=0.05 if "logistic" in name else 1e-6)
    x = distribution.sample(seed=key)
    assert x.shape == EVENT_SHAPE

    @eqx.filter_grad
    def gradient(likelihood_and_output):
        likelihood, output = likelihood_and_output
        return likelihood(output).log_prob(x)

    leaves = jax.tree.leaves(gradient((likelihood, output)))
    assert len(leaves) == num_learned + 1
    for leaf in leaves:
        assert jnp.isfinite(leaf).all()
        assert (leaf != 0).any()


def test_laplace_is_scipys(key):
    """At a fixed scale b the negative log-density is |x - m| / b + log 2b, summed; samples have this scale."""
    rng = np.random.default_rng(0)
    mean, x = rng.normal(size=(2, *EVENT_SHAPE))
    log_prob = make_likelihood(LaplaceConfig(scale=0.4), EVENT_SHAPE)(jnp.asarray(mean)).log_prob(
        jnp.asarray(x)
    )
    np.testing.assert_allclose(log_prob, scipy.stats.laplace(mean, 0.4).logpdf(x).sum(), rtol=1e-5)
    samples = laplace(jnp.ones(2), 0.4).sample(seed=key, sample_shape=(20_000,))
    assert abs(float(jnp.abs(samples - 1).mean()) - 0.4) < 4 * 0.4 / np.sqrt(40_000)


def test_scales_start_where_the_config_says():
    """Learned and predicted ones, small and large."""
    for scale in (0.01, 0.3, 500.0):
        for source in ("fixed", "learned", "predicted"):
            likelihood = make_likelihood(NormalConfig(scale=scale, scale_source=source), EVENT_SHAPE)
            stddev = likelihood(jnp.zeros(likelihood.output_shape)).stddev()
            np.testing.assert_allclose(stddev, jnp.full(EVENT_SHAPE, scale), rtol=1e-5)


def test_a_predicted_scale_keeps_its_limit():
    """However low the network's output."""
    config = NormalConfig(scale_source="predicted", min_scale=0.05)
    likelihood = make_likelihood(config, (2,))
    stddev = likelihood(jnp.array([0.0, 0.0, -300.0, -20.0])).stddev()
    np.testing.assert_allclose(stddev, jnp.full(2, 0.05), rtol=1e-6)


def test_wrong_configs_name_the_field():
    """A grid with swapped ends, a start below the limit, a scale that is not positive."""
    with pytest.raises(ConfigError, match="Swapped"):
        DiscretizedLogisticConfig(low=1.0, high=0.0)
    with pytest.raises(ConfigError, match="`scale` must exceed `min_scale`"):
        NormalConfig(scale=1e-4, scale_source="learned")
    with pytest.raises(ConfigError, match="`scale` must exceed `min_scale`"):
        LaplaceConfig(scale=1e-4, scale_source="predicted")
    with pytest.raises(ConfigError, match="scale: must be greater than 0"):
        NormalConfig(scale=0.0)
    with pytest.raises(ConfigError, match="num_levels"):
        DiscretizedLogisticConfig(num_levels=1)
