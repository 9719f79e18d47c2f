"""The prior over codes: what sees what, exact probabilities, and generating what it was trained on."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from artifex.generative_models.core.configuration import CodePriorConfig, ConfigError
from artifex.generative_models.models.vae.code_prior import CodePrior

CONFIG = CodePriorConfig(hidden_size=16, num_layers=1, num_heads=2)


def make(codes_shape, num_codes, key, condition_size=0):
    prior = CodePrior(CONFIG, codes_shape, num_codes=num_codes, condition_size=condition_size, key=key)
    # Far from uniform, so that wrong probabilities show.
    return eqx.tree_at(lambda prior: prior.logits_weight, prior, 10 * prior.logits_weight)


def test_logits_depend_on_earlier_codes_only_and_on_all_of_them(key):
    prior = make((2, 3), 4, key)
    logits = eqx.filter_jit(prior.logits)
    sequence = jnp.array([0, 3, 1, 2, 0, 1])
    depends = np.stack(
        [np.any(np.asarray(logits(sequence.at[t].add(1) % 4) != logits(sequence)), axis=1) for t in range(6)],
        axis=1,
    )
    np.testing.assert_array_equal(depends, np.tri(6, k=-1, dtype=bool))


@pytest.mark.parametrize("codes_shape", [(2, 2), (2, 1, 2)])
def test_probabilities_sum_to_one_and_are_those_of_the_samples(codes_shape, key):
    """All 81 grids of four ternary codes: their probabilities add to 1, and samples have their frequencies."""
    prior = make(codes_shape, 3, key)
    grids = np.array(list(itertools.product(range(3), repeat=4))).reshape(-1, *codes_shape)
    probabilities = np.exp(jax.jit(jax.vmap(prior.log_prob))(jnp.asarray(grids)))
    assert probabilities.sum() == pytest.approx(1.0, abs=1e-5)
    assert probabilities.max() > 2 / 81, "the test must not be of a uniform prior"
    num = 20_000
    samples = jax.jit(jax.vmap(lambda key: prior.sample(key=key)))(jax.random.split(key, num))
    assert samples.shape == (num, *codes_shape)
    numbers = np.asarray(samples).reshape(num, 4) @ np.array([27, 9, 3, 1])
    counts = np.bincount(numbers, minlength=81)
    errors = (counts - num * probabilities) / np.sqrt(num * probabilities * (1 - probabilities))
    assert np.abs(errors).max() < 4.5
    assert np.sqrt(np.mean(errors**2)) < 1.3


def test_sequences_go_position_by_position_coarse_to_fine(key):
    prior = make((2, 2, 3), 16, key)
    codes = jnp.arange(12).reshape(2, 2, 3)
    sequence = prior.to_sequence(codes)
    np.testing.assert_array_equal(sequence, [0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11])
    np.testing.assert_array_equal(prior.to_codes(sequence), codes)
    with pytest.raises(ValueError, match=r"must have shape \(2, 2, 3\); got \(2, 3\)"):
        prior.log_prob(jnp.zeros((2, 3), jnp.int32))


def test_generates_the_rule_that_it_was_trained_on(key):
    """c[t] = c[t-1] + 1 + class (mod 5), from any c[0]: every sample keeps it, and every start occurs."""
    prior = make((2, 2, 3), 5, key, condition_size=2)
    starts, classes = (a.ravel() for a in np.meshgrid(np.arange(5), np.arange(2)))
    sequences = jnp.asarray((starts[:, None] + np.arange(12) * (1 + classes[:, None])) % 5)
    codes = jax.vmap(prior.to_codes)(sequences)
    conditions = jax.nn.one_hot(classes, 2)
    optimizer = optax.adam(1e-2)
    arrays, static = eqx.partition(prior, eqx.is_array)

    def step(carry, _):
        arrays, state = carry

        def loss(arrays):
            return -jnp.mean(jax.vmap(eqx.combine(arrays, static).log_prob)(codes, conditions))

        value, gradient = jax.value_and_grad(loss)(arrays)
        updates, state = optimizer.update(gradient, state)
        return (optax.apply_updates(arrays, updates), state), value

    train = jax.jit(lambda carry: jax.lax.scan(step, carry, length=1000))
    (arrays, _), losses = train((arrays, optimizer.init(arrays)))
    # The start is random, the rest certain: the loss ends at the entropy of the start.
    assert losses[-1] == pytest.approx(np.log(5), abs=1e-3)
    trained = eqx.combine(arrays, static)
    labels = jnp.arange(200) % 2
    samples = jax.jit(jax.vmap(lambda label, key: trained.to_sequence(trained.sample(label, key=key))))(
        jax.nn.one_hot(labels, 2), jax.random.split(key, 200)
    )
    expected = (samples[:, :1] + jnp.arange(12)[None] * (1 + labels[:, None])) % 5
    assert np.mean(np.all(np.asarray(samples == expected), axis=1)) == 1.0
    assert len(np.unique(samples[:, 0])) == 5


def test_condition_is_demanded_or_refused(key):
    with pytest.raises(ValueError, match="conditional prior takes a `condition_vector`"):
        make((2, 2), 3, key).sample(jnp.ones(2), key=key)
    with pytest.raises(ValueError, match="conditional prior takes a `condition_vector`"):
        make((2, 2), 3, key, condition_size=2).log_prob(jnp.zeros((2, 2), jnp.int32))
    with pytest.raises(ConfigError, match="`num_heads` must divide `hidden_size`; got 3 and 8"):
        CodePriorConfig(hidden_size=8, num_heads=3)
