"""Bounds and their gradients on a VAE whose log p(x) and posterior have closed forms.

Everything is linear: x = W z + b + noise of scale s, and W has orthogonal columns, so the true posterior is a
diagonal Gaussian that the encoder can express.
"""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from artifex.generative_models.core.configuration import (
    ImportanceWeightedConfig,
    MLPDecoderConfig,
    MLPEncoderConfig,
    NormalConfig,
    VAEConfig,
)
from artifex.generative_models.factory import create_model

W = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 2)))[0] * np.array([1.5, 0.7])
B = np.array([0.3, -0.2, 0.0, 1.0])
SCALE = 0.6
X = np.array([0.5, 1.0, -1.0, 0.8])
VARIANCE = 1 / (1 + (W**2).sum(0) / SCALE**2)  # of the posterior, which does not depend on x
MEAN = VARIANCE * (W.T @ (X - B)) / SCALE**2
LOG_P = scipy.stats.multivariate_normal.logpdf(X, B, W @ W.T + SCALE**2 * np.eye(4))


def linear_model(objective=None, shift=0.0, stretch=1.0, log_prob_samples=3):
    """The exact model; `shift` and `stretch` move the encoder's means and scales away from the true posterior's."""
    config = VAEConfig(
        event_shape=(4,),
        latent_size=2,
        encoder=MLPEncoderConfig(hidden_sizes=()),
        decoder=MLPDecoderConfig(hidden_sizes=()),
        likelihood=NormalConfig(scale=SCALE),
        log_prob_samples=log_prob_samples,
        **({} if objective is None else {"objective": objective}),
    )
    model = create_model(config, key=jax.random.key(0))
    gain = VARIANCE[:, None] * W.T / SCALE**2
    raw_scale = np.log(np.expm1(stretch * np.sqrt(VARIANCE) - 1e-6))
    values = (
        np.concatenate([gain, np.zeros((2, 4))]),
        np.concatenate([shift - gain @ B, raw_scale]),
        W,
        B,
    )
    return eqx.tree_at(
        lambda m: (
            m.encoder.mlp.out.weight,
            m.encoder.mlp.out.bias,
            m.decoder.mlp.out.weight,
            m.decoder.mlp.out.bias,
        ),
        model,
        tuple(jnp.array(value, jnp.float32) for value in values),
    )


def repeated(num):
    """The same example many times: every row has a key of its own, so the rows are independent estimates."""
    return np.tile(X, (num, 1)).astype(np.float32)


def mean_and_error(values):
    """Mean and its standard error."""
    values = np.asarray(values, np.float64)
    return values.mean(), values.std(ddof=1) / len(values) ** 0.5


def test_the_encoder_is_the_true_posterior():
    """The means and scales that the test set up are those that the model has."""
    loc, scale = linear_model().posterior_parameters(repeated(1))
    np.testing.assert_allclose(loc[0], MEAN, rtol=1e-5)
    np.testing.assert_allclose(scale[0], np.sqrt(VARIANCE), rtol=1e-5)


def test_at_the_true_posterior_every_bound_is_exact(key):
    """Importance weights are constant, p(x); the ELBO, whose KL is analytic, is so in expectation."""
    model = linear_model()
    bound = model.importance_weighted_bound(repeated(20), key=key, num_samples=3)
    np.testing.assert_allclose(bound, LOG_P, rtol=1e-5)
    np.testing.assert_allclose(model.log_prob(repeated(20), key=key), LOG_P, rtol=1e-5)
    mean, error = mean_and_error(model.elbo(repeated(4000), key=key))
    assert abs(mean - LOG_P) < 4 * error


def test_bounds_rise_from_the_elbo_to_the_likelihood(key):
    """ELBO = bound of one sample <= bound of more samples <= log p(x), and the ELBO's gap is a known KL."""
    shift, stretch, num = 0.5, 1.2, 4000
    model = linear_model(shift=shift, stretch=stretch)
    gap = np.sum(0.5 * (stretch**2 + shift**2 / VARIANCE - 1) - np.log(stretch))
    elbo, elbo_error = mean_and_error(model.elbo(repeated(num), key=key))
    assert abs(elbo - (LOG_P - gap)) < 4 * elbo_error
    bounds = [
        mean_and_error(
            model.importance_weighted_bound(repeated(num), key=jax.random.key(k), num_samples=k, chunk_size=8)
        )
        for k in (1, 4, 32)
    ]
    assert abs(bounds[0][0] - elbo) < 4 * np.hypot(bounds[0][1], elbo_error)
    for (lower, lower_error), (upper, upper_error) in itertools.pairwise(bounds):
        assert upper - lower > 4 * np.hypot(lower_error, upper_error)
    assert bounds[-1][0] < LOG_P + 4 * bounds[-1][1]
    assert LOG_P - bounds[-1][0] < 0.1 * gap


def test_chunks_only_change_the_order_of_a_sum(key):
    """Also where the last chunk is not full; `log_prob` is the same bound with the config's number of samples."""
    model = linear_model(shift=0.5, log_prob_samples=10)
    x = np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32)
    whole = model.importance_weighted_bound(x, key=key, num_samples=10, chunk_size=10)
    for chunk_size in (1, 4):
        parts = model.importance_weighted_bound(x, key=key, num_samples=10, chunk_size=chunk_size)
        np.testing.assert_allclose(parts, whole, rtol=1e-5)
    np.testing.assert_allclose(model.log_prob(x, key=key), whole, rtol=1e-5)
    other = model.importance_weighted_bound(x, key=jax.random.key(9), num_samples=10)
    assert (np.abs(other - whole) > 1e-4).all()


def test_the_bound_needs_samples_and_a_key(key):
    """Both are refused before anything is compiled."""
    model = linear_model()
    with pytest.raises(ValueError, match=r"must be at least 1; got 0 and 32"):
        model.importance_weighted_bound(repeated(1), key=key, num_samples=0)
    with pytest.raises(ValueError, match="lower bound: it needs `key`"):
        model.log_prob(repeated(1))


def encoder_and_decoder_gradients(estimator, shift, num=3000):
    """Gradients of the training loss, one row for each of many independent keys."""
    model = linear_model(
        ImportanceWeightedConfig(num_samples=5, estimator=estimator), shift=shift, stretch=1.1
    )

    @eqx.filter_jit
    def gradients(model, keys):
        def one(key):
            grad = eqx.filter_grad(lambda m: m.loss(repeated(1), key=key).total)(model)
            encoder, decoder = grad.encoder.mlp.out, grad.decoder.mlp.out
            return jnp.concatenate([encoder.bias, encoder.weight.ravel()]), decoder.weight.ravel()

        return jax.vmap(one)(keys)

    return [
        np.asarray(part, np.float64) for part in gradients(model, jax.random.split(jax.random.key(3), num))
    ]


def test_doubly_reparameterized_gradient():
    """For the encoder: the same expectation, less variance. For the decoder: the same gradient, sample by sample."""
    iwae, iwae_decoder = encoder_and_decoder_gradients("iwae", shift=0.3)
    dreg, dreg_decoder = encoder_and_decoder_gradients("dreg", shift=0.3)
    error = np.hypot(iwae.std(0), dreg.std(0)) / len(iwae) ** 0.5
    np.testing.assert_array_less(np.abs(iwae.mean(0) - dreg.mean(0)), 4 * error)
    assert (np.abs(dreg.mean(0)) > 8 * dreg.std(0) / len(dreg) ** 0.5).any()
    assert (dreg.var(0) < iwae.var(0)).all()
    np.testing.assert_allclose(dreg_decoder, iwae_decoder, rtol=1e-4, atol=1e-5)


def test_doubly_reparameterized_gradient_vanishes_at_the_optimum():
    """At the true posterior it is 0 for every sample, while the usual one is noise around 0."""
    model = linear_model(ImportanceWeightedConfig(num_samples=5, estimator="dreg"))
    usual = linear_model(ImportanceWeightedConfig(num_samples=5))

    def encoder_gradient(model):
        grad = eqx.filter_grad(lambda m: m.loss(repeated(8), key=jax.random.key(0)).total)(model)
        return np.abs(np.asarray(grad.encoder.mlp.out.bias))

    np.testing.assert_allclose(encoder_gradient(model), 0.0, atol=1e-5)
    assert encoder_gradient(usual).max() > 1e-2
