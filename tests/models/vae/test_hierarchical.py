"""The hierarchical VAE on a model whose log p(x) and posterior have closed forms, and its own methods.

The exact model has two layers of two latents: z_2 ~ N(0, 1), z_1 = A z_2 + a + S noise with A and S diagonal, and
x = W z_1 + b + s noise with orthogonal columns in W. Then p(z_1|x), p(z_2|z_1), p(z_2|x) and the likelihood of z_1
are all diagonal Gaussians with affine means, so both ways of inference can express the true posterior.
"""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from artifex.generative_models.core.configuration import (
    BottomUpInferenceConfig,
    ConfigError,
    HierarchicalVAEConfig,
    ImportanceWeightedConfig,
    LadderInferenceConfig,
    LinearScheduleConfig,
    MLPDecoderConfig,
    MLPEncoderConfig,
    MMDConfig,
    NormalConfig,
)
from artifex.generative_models.core.distributions import normal
from artifex.generative_models.factory import create_model
from artifex.generative_models.models.vae.hierarchical_inference import normalised_product

W = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 2)))[0] * np.array([1.5, 0.7])
B = np.array([0.3, -0.2, 0.0, 1.0])
NOISE = 0.6
A, SHIFT, SCALE = np.array([0.9, -1.2]), np.array([0.2, -0.5]), np.array([0.5, 0.8])
X = np.array([0.5, 1.0, -1.0, 0.8])
LOG_P = scipy.stats.multivariate_normal.logpdf(
    X, W @ SHIFT + B, W @ np.diag(A**2 + SCALE**2) @ W.T + NOISE**2 * np.eye(4)
)
OFFSET = 20.0  # keeps the ladder's features on the linear side of their relu


def _raw(scale):
    """What `softplus` and the lower limit make `scale`."""
    return np.log(np.expm1(scale - 1e-6))


def _affine(gain, shift, scale):
    """Weight and bias of a network that gives means `gain @ input + shift` and constant scales."""
    gain = np.atleast_2d(gain)
    return np.concatenate([gain, np.zeros_like(gain)]), np.concatenate([shift, _raw(scale)])


def _with(linear, weight, bias):
    new = (jnp.asarray(weight, jnp.float32), jnp.asarray(bias, jnp.float32))
    return eqx.tree_at(lambda layer: (layer.weight, layer.bias), linear, new)


def _set(model, values):
    """The model with linear layers replaced: pairs of a place and (weight, bias)."""
    for where, (weight, bias) in values:
        model = eqx.tree_at(where, model, _with(where(model), weight, bias))
    return model


def exact_model(inference, stretch=1.0, log_prob_samples=3):
    """The model of this file's head with its true posterior; `stretch` widens each factor of the posterior."""
    config = HierarchicalVAEConfig(
        event_shape=(4,),
        latent_sizes=(2, 2),
        encoder=MLPEncoderConfig(hidden_sizes=()),
        decoder=MLPDecoderConfig(hidden_sizes=()),
        hidden_sizes=(),
        activation="relu",
        inference=inference,
        likelihood=NormalConfig(scale=NOISE),
        log_prob_samples=log_prob_samples,
    )
    model = _set(
        create_model(config, key=jax.random.key(0)),
        [
            (lambda m: m.decoder.mlp.out, (W, B)),
            (lambda m: m.hierarchy.layers[0].network.mlp.out, _affine(np.diag(A), SHIFT, SCALE)),
        ],
    )
    evidence_variance = NOISE**2 / (W**2).sum(0)  # of z_1 as seen by x alone
    evidence_gain = W.T / (W**2).sum(0)[:, None]
    if isinstance(inference, BottomUpInferenceConfig):
        prior_variance = A**2 + SCALE**2
        variance = 1 / (1 / prior_variance + 1 / evidence_variance)
        gain = (variance / evidence_variance)[:, None] * evidence_gain
        shift = variance / prior_variance * SHIFT - gain @ B
        above_variance = 1 / (1 + A**2 / SCALE**2)
        above_gain = above_variance * A / SCALE**2
        return _set(
            model,
            [
                (lambda m: m.inference.first.mlp.out, _affine(gain, shift, stretch * np.sqrt(variance))),
                (
                    lambda m: m.inference.layers[0].network.mlp.out,
                    _affine(np.diag(above_gain), -above_gain * SHIFT, stretch * np.sqrt(above_variance)),
                ),
            ],
        )
    # x and z_2: the evidence has variance SCALE^2 + evidence_variance around A z_2 + SHIFT.
    total = SCALE**2 + evidence_variance
    top_variance = 1 / (1 + A**2 / total)
    top_gain = (top_variance * A / total)[:, None] * evidence_gain
    top_shift = -top_variance * A / total * (evidence_gain @ B + SHIFT)
    offset = np.full(4, OFFSET)
    return _set(
        model,
        [
            (lambda m: m.inference.first.mlp.out, (np.eye(4), offset)),
            (lambda m: m.inference.rest[0].mlp.out, (np.eye(4), np.zeros(4))),
            (
                lambda m: m.inference.heads[0].network.mlp.out,
                _affine(evidence_gain, -evidence_gain @ (B + offset), stretch * np.sqrt(evidence_variance)),
            ),
            (
                lambda m: m.inference.heads[1].network.mlp.out,
                _affine(top_gain, top_shift - top_gain @ offset, stretch * np.sqrt(top_variance)),
            ),
        ],
    )


INFERENCES = {"ladder": LadderInferenceConfig(feature_size=4), "bottom_up": BottomUpInferenceConfig()}


def _repeated(num):
    """The same example many times: rows have keys of their own, so they are independent estimates."""
    return np.tile(X, (num, 1)).astype(np.float32)


def _mean_and_error(values):
    values = np.asarray(values, np.float64)
    return values.mean(), values.std(ddof=1) / len(values) ** 0.5


@pytest.mark.parametrize("name", INFERENCES)
def test_at_the_true_posterior_every_bound_is_exact(name, key):
    """All importance weights are p(x); the ELBO, whose KL is partly analytic, is so in expectation."""
    model = exact_model(INFERENCES[name])
    bound = model.importance_weighted_bound(_repeated(20), key=key, num_samples=3, chunk_size=2)
    np.testing.assert_allclose(bound, LOG_P, rtol=2e-5)
    np.testing.assert_allclose(model.log_prob(_repeated(20), key=key), LOG_P, rtol=2e-5)
    mean, error = _mean_and_error(model.elbo(_repeated(4000), key=key))
    assert abs(mean - LOG_P) < 4 * error


@pytest.mark.parametrize("name", INFERENCES)
def test_bounds_rise_from_the_elbo_to_the_likelihood(name, key):
    model = exact_model(INFERENCES[name], stretch=1.4)
    num = 4000
    elbo, elbo_error = _mean_and_error(model.elbo(_repeated(num), key=key))
    bounds = [
        _mean_and_error(
            model.importance_weighted_bound(
                _repeated(num), key=jax.random.key(k), num_samples=k, chunk_size=8
            )
        )
        for k in (1, 4, 32)
    ]
    assert abs(bounds[0][0] - elbo) < 4 * np.hypot(bounds[0][1], elbo_error)
    for (lower, lower_error), (upper, upper_error) in itertools.pairwise(bounds):
        assert upper - lower > 4 * np.hypot(lower_error, upper_error)
    assert bounds[-1][0] < LOG_P + 4 * bounds[-1][1]
    assert LOG_P - bounds[-1][0] < 0.15 * (LOG_P - elbo)


def test_gap_of_the_bottom_up_elbo(key):
    """With both factors stretched, KL(q || true posterior) is a sum over four latents."""
    stretch = 1.4
    model = exact_model(INFERENCES["bottom_up"], stretch)
    # Given z_1 the factor of z_2 is centred right, so each latent adds the KL of N(0, stretch^2) to N(0, 1).
    gap = 4 * (0.5 * (stretch**2 - 1) - np.log(stretch))
    mean, error = _mean_and_error(model.elbo(_repeated(4000), key=key))
    assert abs(mean - (LOG_P - gap)) < 4 * error


def tiny_config(**changes):
    """Three layers, small networks."""
    fields = {
        "event_shape": (1, 2, 3),
        "latent_sizes": (3, 2, 2),
        "encoder": MLPEncoderConfig(hidden_sizes=(8,)),
        "decoder": MLPDecoderConfig(hidden_sizes=(8,)),
        "hidden_sizes": (8,),
        "inference": LadderInferenceConfig(feature_size=6),
    }
    return HierarchicalVAEConfig(**{**fields, **changes})


def _binary(num=5):
    return np.random.default_rng(0).integers(0, 2, (num, 1, 2, 3)).astype(np.float32)


@pytest.mark.parametrize("inference", [LadderInferenceConfig(feature_size=6), BottomUpInferenceConfig()])
def test_kl_of_each_layer_by_monte_carlo(inference, key):
    """The KL terms, in closed form where there is one, against log q - log p at other samples."""
    model = create_model(tiny_config(inference=inference), key=key)
    # Half as steep as at random: otherwise a few samples with narrow priors dominate the averages.
    model = jax.tree.map(lambda leaf: 0.5 * leaf if eqx.is_inexact_array(leaf) else leaf, model)
    x = jnp.asarray(_binary(1)[0])

    @eqx.filter_jit
    def estimates(model, keys, other_keys):
        terms = jax.vmap(lambda key: model._elbo_terms_one(x, None, key=key))(keys)
        return terms, model._log_weights_one(x, None, keys=other_keys)

    terms, weights = estimates(model, jax.random.split(jax.random.key(1), 4000), jax.random.split(key, 4000))
    assert set(terms.kl_parts) == set(weights.ratio_parts) == {"kl_1", "kl_2", "kl_3"}
    for name, closed in terms.kl_parts.items():
        (a, a_error), (b, b_error) = _mean_and_error(closed), _mean_and_error(-weights.ratio_parts[name])
        assert abs(a - b) < 4 * np.hypot(a_error, b_error), name
        assert a > 4 * a_error, name
    np.testing.assert_allclose(terms.kl, sum(terms.kl_parts.values()), rtol=1e-5)
    np.testing.assert_allclose(weights.ratio, sum(weights.ratio_parts.values()), rtol=1e-4, atol=1e-5)


def test_normalised_product_of_two_normals():
    """Against the product of the densities, normalised on a grid; and where variances are far apart."""
    p, q = normal(jnp.array([0.3]), jnp.array([0.5])), normal(jnp.array([-1.0]), jnp.array([1.7]))
    grid = np.linspace(-12, 12, 40_001)
    density = scipy.stats.norm.pdf(grid, 0.3, 0.5) * scipy.stats.norm.pdf(grid, -1.0, 1.7)
    density /= np.trapezoid(density, grid)
    mean = np.trapezoid(density * grid, grid)
    product = normalised_product(p, q)
    np.testing.assert_allclose(product.mean()[0], mean, rtol=1e-5)
    variance = np.trapezoid(density * (grid - mean) ** 2, grid)
    np.testing.assert_allclose(product.variance()[0], variance, rtol=1e-5)
    narrow = normalised_product(normal(jnp.zeros(1), 1e-6), normal(jnp.ones(1), 1e6))
    np.testing.assert_allclose(narrow.mean(), 0.0, atol=1e-12)
    np.testing.assert_allclose(narrow.stddev(), 1e-6, rtol=1e-5)


@pytest.mark.parametrize("objective", [None, ImportanceWeightedConfig(num_samples=3)])
def test_metrics_of_the_loss(objective, key):
    changes = {"objective": objective} if objective else {"kl_weight": LinearScheduleConfig(num_steps=10)}
    model = create_model(tiny_config(**changes), key=key)
    metrics = model.loss(_binary(), key=key, step=5).metrics
    parts = [metrics[f"kl_{layer}"] for layer in (1, 2, 3)]
    np.testing.assert_allclose(sum(parts), metrics["kl"], rtol=1e-5)
    np.testing.assert_allclose(metrics["elbo"], -metrics["reconstruction"] - metrics["kl"], rtol=1e-5)
    if objective is None:
        np.testing.assert_allclose(
            metrics["loss"], metrics["reconstruction"] + 0.5 * metrics["kl"], rtol=1e-5
        )
    else:
        np.testing.assert_allclose(metrics["loss"], -metrics["importance_weighted_bound"], rtol=1e-6)
        assert metrics["importance_weighted_bound"] > metrics["elbo"]


def test_encode_decode_interpolate(key):
    model = create_model(tiny_config(), key=key)
    x = _binary()
    z = model.encode(x)
    assert [part.shape for part in z] == [(5, 3), (5, 2), (5, 2)]
    np.testing.assert_allclose(model.decode(z), model.reconstruct(x), rtol=1e-5)
    # From the top alone: by the means of the layers below, which do not see x.
    below = model.hierarchy.layers[0](model.hierarchy.layers[1](z[2][0]).mean()).mean()
    expected = model.likelihood(model.decoder(below)).mean()
    np.testing.assert_allclose(model.decode(z[2])[0], expected, rtol=1e-5)
    way = model.interpolate(x, x[::-1], 3)
    assert way.shape == (5, 3, 1, 2, 3)
    np.testing.assert_allclose(way[:, 0], model.reconstruct(x), rtol=1e-4)
    np.testing.assert_allclose(way[:, 2], model.reconstruct(x[::-1]), rtol=1e-4)
    assert np.abs(way[0, 1] - way[0, 0]).max() > 1e-6
    with pytest.raises(ValueError, match="z_1 first"):
        model.decode(z[::-1])
    with pytest.raises(ValueError, match="top layer"):
        model.decode(z[0])


def test_generate_mean_is_the_mean_of_generate(key):
    """Both draw the same latents; the noise of the likelihood averages out."""
    model = create_model(tiny_config(likelihood=NormalConfig(scale=0.1)), key=key)
    noise = model.generate(400, key=key) - model.generate_mean(400, key=key)
    assert abs(float(noise.std()) - 0.1) < 4 * 0.1 / np.sqrt(2 * noise.size)
    assert abs(float(noise.mean())) < 4 * 0.1 / np.sqrt(noise.size)


@pytest.mark.parametrize("inference", [LadderInferenceConfig(feature_size=6), BottomUpInferenceConfig()])
def test_the_condition_reaches_every_part(inference, key):
    """Each network that takes the condition changes its output with it: prior layers, decoder, inference."""
    model = create_model(tiny_config(num_classes=3, inference=inference), key=key)
    one, two = jax.nn.one_hot(jnp.arange(2), 3)
    for layer, size in zip(model.hierarchy.layers, (2, 2), strict=True):
        assert not np.allclose(layer(jnp.ones(size), one).mean(), layer(jnp.ones(size), two).mean())
    assert not np.allclose(model.decoder(jnp.ones(3), one), model.decoder(jnp.ones(3), two))
    x = jnp.asarray(_binary(1)[0])
    features = [jax.tree.leaves(model.inference.features(x, vector))[-1] for vector in (one, two)]
    assert not np.allclose(*features)


def test_bad_configs_are_errors():
    with pytest.raises(ConfigError, match="latent_sizes"):
        HierarchicalVAEConfig(latent_sizes=(4,))
    with pytest.raises(ConfigError, match="needs one vector of latents"):
        HierarchicalVAEConfig(objective=MMDConfig())
    with pytest.raises(ConfigError, match="'dreg' needs one layer"):
        HierarchicalVAEConfig(objective=ImportanceWeightedConfig(estimator="dreg"))
    with pytest.raises(ConfigError, match="`kl_weight` is no part"):
        HierarchicalVAEConfig(objective=ImportanceWeightedConfig(), kl_weight=0.5)
    with pytest.raises(ConfigError, match="num_steps"):
        HierarchicalVAEConfig(kl_weight=LinearScheduleConfig())
