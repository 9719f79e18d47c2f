"""Densities of the priors against computations by hand."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from artifex.generative_models.core.configuration import (
    GaussianMixturePriorConfig,
    MLPEncoderConfig,
    VampPriorConfig,
)
from artifex.generative_models.models.vae import initialize_pseudo_inputs

from .tiny import EVENT_SHAPE, binary_batch, tiny_model

Z = np.array([[0.3, -0.4], [2.0, 1.0]], np.float32)


def log_density(model, condition=None):
    """Log p(z) of a model's prior at `Z`."""
    return jax.vmap(lambda z: model._prior_one(condition).log_prob(z))(jnp.asarray(Z))


def test_vamp_prior_is_the_mean_of_the_pseudo_inputs_posteriors(key):
    """With an affine encoder the posteriors are known: log p(z) by NumPy, sampling by its mean."""
    model = tiny_model(prior=VampPriorConfig(num_components=3), encoder=MLPEncoderConfig(hidden_sizes=()))
    pseudo_inputs = np.random.default_rng(0).normal(size=(3, *EVENT_SHAPE)).astype(np.float32)
    model = initialize_pseudo_inputs(model, pseudo_inputs)
    out = model.encoder.mlp.out
    loc, raw = np.split(
        pseudo_inputs.reshape(3, -1) @ np.asarray(out.weight).T + np.asarray(out.bias), 2, axis=1
    )
    scale = np.log1p(np.exp(raw)) + 1e-6
    parts = scipy.stats.norm.logpdf(Z[:, None], loc[None], scale[None]).sum(-1)
    expected = scipy.special.logsumexp(parts, axis=1) - np.log(3)
    np.testing.assert_allclose(log_density(model), expected, rtol=1e-5)
    samples = np.asarray(model._prior_one(None).sample(seed=key, sample_shape=(4000,)))
    error = samples.std(0) / 4000**0.5
    np.testing.assert_array_less(np.abs(samples.mean(0) - loc.mean(0)), 4 * error)
    assert model.generate(2, key=key).shape == (2, *EVENT_SHAPE)


def test_conditional_vamp_prior_depends_on_the_condition():
    """Pseudo-inputs are encoded under the condition of the example."""
    model = tiny_model(prior=VampPriorConfig(num_components=3), num_classes=2)
    assert (np.abs(log_density(model, jnp.array(0)) - log_density(model, jnp.array(1))) > 1e-4).all()


def test_mixture_prior_is_a_mixture(key):
    """Log p(z) by SciPy; the KL of the loss is then `log q - log p` at the sample."""
    model = tiny_model(prior=GaussianMixturePriorConfig(num_components=3))
    prior = model.prior
    np.testing.assert_allclose(jax.nn.softplus(prior.raw_scale), 1.0, rtol=1e-6)
    logits = jnp.array([0.1, -1.0, 0.7])
    model = eqx.tree_at(lambda m: m.prior.logits, model, logits)
    parts = scipy.stats.norm.logpdf(Z[:, None], np.asarray(prior.loc)[None]).sum(-1)
    expected = scipy.special.logsumexp(parts + np.asarray(jax.nn.log_softmax(logits)), axis=1)
    np.testing.assert_allclose(log_density(model), expected, rtol=1e-5)
    assert model.generate(2, key=key).shape == (2, *EVENT_SHAPE)


@pytest.mark.parametrize(
    "prior", [GaussianMixturePriorConfig(num_components=3), VampPriorConfig(num_components=3)]
)
def test_the_elbo_is_a_bound_with_a_learned_prior(prior, key):
    """Its mean lies below that of the bound of many samples; with bfloat16 parameters the loss is near."""
    model = tiny_model(prior=prior)
    x = np.repeat(binary_batch(1), 500, axis=0)
    elbo = np.asarray(model.elbo(x, key=key))
    bound = np.asarray(model.importance_weighted_bound(x, key=key, num_samples=16))
    assert elbo.mean() < bound.mean() + 4 * elbo.std() / 500**0.5
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16) if eqx.is_inexact_array(leaf) else leaf, model)
    loss, half_loss = (m.loss(x, key=key).total for m in (model, half))
    assert half_loss.dtype == jnp.float32
    np.testing.assert_allclose(half_loss, loss, rtol=0.05)


def test_pseudo_inputs_must_fit():
    """Another prior, or another number of examples."""
    with pytest.raises(TypeError, match="the model has a StandardNormalPrior"):
        initialize_pseudo_inputs(tiny_model(), binary_batch(3))
    with pytest.raises(ValueError, match=r"`x` must have shape \(3, 1, 2, 3\); got \(4, 1, 2, 3\)"):
        initialize_pseudo_inputs(tiny_model(prior=VampPriorConfig(num_components=3)), binary_batch(4))
