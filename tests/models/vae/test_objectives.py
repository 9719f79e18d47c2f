"""Every objective against its formula; weights that change during training; the parts of the KL."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.stats

from artifex.generative_models.core.configuration import (
    CapacityConfig,
    ConfigError,
    CyclicalScheduleConfig,
    ElboConfig,
    ImportanceWeightedConfig,
    LinearScheduleConfig,
    MMDConfig,
    TotalCorrelationConfig,
    VampPriorConfig,
)
from artifex.generative_models.core.precision import cast_parameters
from artifex.generative_models.core.trainable import partition_trainable
from artifex.generative_models.models.vae.total_correlation import kl_decomposition_batch, log_batch_weights

from .tiny import binary_batch, tiny_config, tiny_model

OBJECTIVES = {
    "elbo": ElboConfig(),
    "capacity": CapacityConfig(),
    "iwae": ImportanceWeightedConfig(num_samples=3),
    "dreg": ImportanceWeightedConfig(num_samples=3, estimator="dreg"),
    "total_correlation": TotalCorrelationConfig(dataset_size=50),
    "mmd": MMDConfig(),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_metrics_and_short_types(name, key):
    """Stable names; with bfloat16 parameters the loss stays in float32, finite and near."""
    trainable, rest = partition_trainable(tiny_model(objective=OBJECTIVES[name]))

    def loss(precision):
        model = eqx.combine(cast_parameters(trainable, precision), rest)
        return model.loss(binary_batch(), key=key, step=3)

    output = loss("float32")
    metrics = output.metrics
    assert {"loss", "reconstruction", "kl", "elbo"} <= set(metrics)
    assert metrics["loss"] == output.total
    np.testing.assert_allclose(metrics["elbo"], -metrics["reconstruction"] - metrics["kl"], rtol=1e-5)
    half = loss("bfloat16").total
    assert half.dtype == jnp.float32
    np.testing.assert_allclose(half, output.total, rtol=0.1)


def parts(model, step=None):
    """Total, reconstruction and KL at a step."""
    output = model.loss(binary_batch(), key=jax.random.key(0), step=step)
    return output.total, output.metrics["reconstruction"], output.metrics["kl"]


def test_kl_weights_act_by_step():
    """A constant, a warm-up and cycles: the total is reconstruction + weight * KL."""
    weights = {
        2.5: {0: 2.5, None: 2.5},
        LinearScheduleConfig(end=4.0, num_steps=10): {0: 0.0, 5: 2.0, None: 4.0},
        CyclicalScheduleConfig(period_steps=8, num_cycles=2): {0: 0.0, 2: 0.5, 4: 1.0, 10: 0.5, None: 1.0},
    }
    for config, expected in weights.items():
        model = tiny_model(kl_weight=config)
        for step, weight in expected.items():
            total, reconstruction, kl = parts(model, step)
            np.testing.assert_allclose(total, reconstruction + weight * kl, rtol=1e-5)


def test_capacity_is_a_distance_by_step():
    """Above and below the capacity of the step."""
    capacity = LinearScheduleConfig(end=20.0, num_steps=100)
    model = tiny_model(objective=CapacityConfig(capacity=capacity, weight=7.0))
    for step, wanted in {0: 0.0, 50: 10.0}.items():
        total, reconstruction, kl = parts(model, step)
        assert 0.0 < kl < 10.0
        np.testing.assert_allclose(total, reconstruction + 7.0 * abs(kl - wanted), rtol=1e-5)


def test_a_weight_that_nothing_uses_is_an_error():
    """As are a prior that does not factorise, a schedule of unknown length, and a missing size of the data."""
    with pytest.raises(ConfigError, match="`kl_weight` is no part of the objective 'mmd'"):
        tiny_config(kl_weight=2.0, objective=MMDConfig())
    with pytest.raises(ConfigError, match="needs the prior 'standard_normal'; got 'vamp'"):
        tiny_config(prior=VampPriorConfig(), objective=TotalCorrelationConfig(dataset_size=10))
    with pytest.raises(ConfigError, match=r"`kl_weight\.num_steps` must be given"):
        tiny_config(kl_weight=LinearScheduleConfig())
    with pytest.raises(ConfigError, match=r"objective\.dataset_size: .* requires this field"):
        tiny_config(objective={"kind": "total_correlation"})
    with pytest.raises(ConfigError, match=r"objective\.estimator"):
        tiny_config(objective={"kind": "importance_weighted", "estimator": "reinforce"})


def gaussians(num=4):
    """Means and scales of a few posteriors."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(num, 2)), rng.uniform(0.3, 1.2, (num, 2))


@pytest.mark.parametrize("estimator", ["weighted", "stratified"])
def test_parts_of_the_kl_sum_to_it(estimator):
    """In expectation over posterior samples, whatever the estimator of the aggregate posterior."""
    loc, scale = gaussians()
    z = loc + scale * np.random.default_rng(1).normal(size=(3000, *loc.shape))
    arrays = [jnp.asarray(array, jnp.float32) for array in (z, loc, scale)]
    sums = jax.jit(
        jax.vmap(
            lambda z: sum(
                jax.tree.leaves(kl_decomposition_batch(z, *arrays[1:], dataset_size=100, estimator=estimator))
            )
        )
    )(arrays[0])
    sums = np.asarray(sums, np.float64)
    exact = (0.5 * (loc**2 + scale**2 - 1) - np.log(scale)).sum(-1).mean()
    assert abs(sums.mean() - exact) < 4 * sums.std() / len(sums) ** 0.5


def test_parts_of_the_kl_are_what_they_are_called():
    """With the whole data as the batch, against sums over the data in NumPy."""
    loc, scale = gaussians(3)
    z = loc + 0.1
    densities = scipy.stats.norm.pdf(
        z[:, None], loc[None], scale[None]
    )  # of z_i under posterior j, by latent
    log_q = np.log(densities.prod(-1).mean(1))
    log_product = np.log(densities.mean(1)).sum(-1)
    expected = (
        (scipy.stats.norm.logpdf(z, loc, scale).sum(-1) - log_q).mean(),
        (log_q - log_product).mean(),
        (log_product - scipy.stats.norm.logpdf(z).sum(-1)).mean(),
    )
    arrays = [jnp.asarray(array, jnp.float32) for array in (z, loc, scale)]
    got = kl_decomposition_batch(*arrays, dataset_size=3)
    # Minibatch weights are 1 / (N B): with B = N each density is too small by N, in each of the 2 latents.
    bias = np.log(3)
    np.testing.assert_allclose(got.mutual_information, expected[0] + bias, rtol=1e-4)
    np.testing.assert_allclose(got.total_correlation, expected[1] + bias, rtol=1e-4)
    np.testing.assert_allclose(got.dimension_wise_kl, expected[2] - 2 * bias, rtol=1e-4)


def test_stratified_weights_are_unbiased():
    """The estimate of q(z_0), averaged over all batches that hold example 0, is the mean over all examples."""
    size, batch = 5, 3
    densities = np.random.default_rng(0).uniform(0.1, 2.0, size)  # of z_0 under each posterior
    weights = np.exp(log_batch_weights(batch, size, "stratified"))
    np.testing.assert_allclose(weights.sum(1), 1.0, rtol=1e-6)
    estimates = [
        weights[0] @ densities[[0, *others]] for others in itertools.permutations(range(1, size), batch - 1)
    ]
    np.testing.assert_allclose(np.mean(estimates), densities.mean(), rtol=1e-6)


def test_batches_that_the_data_cannot_give():
    """A batch larger than the data, and one that has nothing to compare with."""
    with pytest.raises(ValueError, match="a batch of 6 examples cannot come from `dataset_size` 5"):
        log_batch_weights(6, 5)
    with pytest.raises(ValueError, match="at least 2 examples"):
        log_batch_weights(1, 5, "stratified")


def test_wasserstein_autoencoder_trains(key):
    """From posteriors far from the prior, training brings the MMD down and the reconstruction too."""
    model = tiny_model(objective=MMDConfig(weight=50.0))
    shifted = model.encoder.mlp.out.bias + 3.0
    model = eqx.tree_at(lambda m: m.encoder.mlp.out.bias, model, shifted)
    optimizer = optax.adam(0.02)
    x = jnp.asarray(binary_batch(32))

    @eqx.filter_jit
    def train(model):
        params, rest = eqx.partition(model, eqx.is_inexact_array)

        def step(carry, step_key):
            params, state = carry

            def loss(params):
                output = eqx.combine(params, rest).loss(x, key=step_key)
                return output.total, output.metrics

            grads, metrics = jax.grad(loss, has_aux=True)(params)
            updates, state = optimizer.update(grads, state)
            return (optax.apply_updates(params, updates), state), metrics

        _, metrics = jax.lax.scan(step, (params, optimizer.init(params)), jax.random.split(key, 150))
        return metrics

    metrics = jax.tree.map(np.asarray, train(model))
    np.testing.assert_allclose(metrics["loss"], metrics["reconstruction"] + 50 * metrics["mmd"], rtol=1e-4)
    assert metrics["mmd"][0] > 0.2
    assert abs(metrics["mmd"][-10:].mean()) < 0.05
    assert metrics["reconstruction"][-10:].mean() < 0.8 * metrics["reconstruction"][0]
