"""TarFlow: its density, guidance, and how samples lose the noise of training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.models.flow.test_model import shaken

from artifex.generative_models.core.configuration import ConfigError, TarFlowConfig
from artifex.generative_models.factory import create_model

pytestmark = pytest.mark.usefixtures("cheap_compilation")

CONFIG = TarFlowConfig(
    event_shape=(1, 4, 4),
    num_classes=3,
    num_layers=2,
    hidden_size=8,
    num_hidden_layers=1,
    num_heads=2,
    noise_scale=0.3,
    condition_dropout=0.2,
)


def at_random(config):
    """A model far from the identity."""
    return shaken(create_model(config, key=jax.random.key(0)), 0.2)


@pytest.fixture(scope="module")
def flow():
    """With random weights."""
    return at_random(CONFIG)


LABELS = jnp.array([0, 1, 2])


def test_the_density_is_that_of_the_samples(flow, key):
    """One pass from latents and one from data agree; latents lead back; both orders of patches are used."""
    x, log_prob = flow.sample_and_log_prob(3, key=key, condition=LABELS)
    np.testing.assert_allclose(flow.log_prob(x, condition=LABELS), log_prob, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(flow.reconstruct(x, LABELS), x, rtol=1e-3, atol=1e-3)

    @jax.jit
    def jacobian(tokens):
        return jax.jacrev(lambda t: flow._encode_one(flow.patches.forward(t), LABELS[0], key=None))(tokens)

    depends = np.abs(jacobian(flow.patches.inverse(x[0]))).max(axis=(1, 3))
    assert np.all(depends > 0)  # with one order, half of it would be zero


def test_noise_is_taken_away_by_the_score(key):
    """At first the flow is the identity: of y ~ N(0, 1) with noise of variance v, the mean is (1 - v) y."""
    flow = create_model(CONFIG, key=key)
    y = jax.random.normal(key, (3, 1, 4, 4))
    np.testing.assert_allclose(flow.denoise(y, LABELS), (1 - 0.3**2) * y, rtol=1e-5, atol=1e-6)
    noiseless = create_model(CONFIG.replace(noise_scale=0.0), key=key)
    np.testing.assert_array_equal(noiseless.denoise(y, LABELS), y)


def test_samples_are_denoised(flow, key):
    """`generate` is the decoded latents, then `denoise`; a temperature shrinks the latents."""
    noisy, _ = flow.sample_and_log_prob(3, key=key, condition=LABELS)
    made = flow.generate(3, key=key, condition=LABELS)
    np.testing.assert_allclose(made, flow.denoise(noisy, LABELS), rtol=1e-3, atol=1e-3)
    assert np.abs(made - noisy).max() > 0.01
    same = flow.sample(3, key=key, condition=LABELS)
    np.testing.assert_allclose(same, made, rtol=1e-5, atol=1e-5)
    cold = flow.sample(3, key=key, condition=LABELS, temperature=1e-4)
    other = flow.sample(3, key=jax.random.key(9), condition=LABELS, temperature=1e-4)
    np.testing.assert_allclose(cold, other, atol=2e-2)


def test_guidance(flow, key):
    """Scale 0 is the model without its condition, 1 with it, and beyond it goes on in the same direction."""
    made = {
        scale: flow.sample(3, key=key, condition=LABELS, guidance_scale=scale, temperature=1e-4)
        for scale in (0.0, 0.999, 1.0, 3.0)
    }
    np.testing.assert_allclose(made[0.999], made[1.0], atol=2e-2)
    # Without the condition, latents of zero give nearly the same image for all classes, up to the denoising step.
    z = jnp.zeros(flow.patches.event_shape)
    decoded = jax.jit(jax.vmap(lambda label: flow._guided_decode_one(z, label, jnp.zeros(()))))(LABELS)
    np.testing.assert_allclose(decoded[0], decoded[1], atol=1e-5)
    assert np.abs(made[3.0] - made[1.0]).max() > np.abs(made[0.999] - made[1.0]).max() + 0.01
    configured = at_random(CONFIG.replace(guidance_scale=3.0))
    np.testing.assert_allclose(
        configured.generate(3, key=key, condition=LABELS),
        flow.sample(3, key=key, condition=LABELS, guidance_scale=3.0),
        rtol=1e-4,
        atol=1e-4,
    )


def test_conditions_are_withheld(key):
    """In about the part of the examples that the config names: the loss of a far condition shows which."""
    config = CONFIG.replace(condition_shape=(1,), num_classes=None, noise_scale=0.0, condition_dropout=0.25)
    flow = at_random(config)
    x, condition = jnp.zeros((1, 4, 4)), jnp.array([50.0])

    @jax.jit
    def losses(keys):
        return jax.vmap(lambda key: flow._loss_one(x, condition, key=key)[0])(keys)

    found = np.asarray(losses(jax.random.split(key, 400)))
    without = float(-sum(flow._log_prob_terms_one(x, condition, True)))
    withheld = np.isclose(found, without, rtol=1e-4).mean()
    assert abs(withheld - 0.25) < 4 * (0.25 * 0.75 / 400) ** 0.5
    assert len(np.unique(found.round(3))) == 2


def test_what_does_not_fit(flow, key):
    """Images that patches do not fill, guidance that was not learned, temperatures that are none."""
    with pytest.raises(ConfigError, match="sides that `patch_size` divides"):
        TarFlowConfig(event_shape=(1, 5, 4))
    with pytest.raises(ConfigError, match="guidance needs a conditional model"):
        TarFlowConfig(guidance_scale=2.0)
    with pytest.raises(ConfigError, match="set `condition_dropout`"):
        TarFlowConfig(num_classes=3, guidance_scale=2.0)
    with pytest.raises(ConfigError, match="`num_heads` must divide `hidden_size`"):
        TarFlowConfig(num_heads=5)
    with pytest.raises(ValueError, match="`temperature` must be positive; got 0"):
        flow.sample(1, key=key, condition=LABELS[:1], temperature=0.0)
    with pytest.raises(ValueError, match="must not be negative"):
        flow.sample(1, key=key, condition=LABELS[:1], guidance_scale=-1.0)
    plain = create_model(CONFIG.replace(condition_dropout=0.0), key=key)
    with pytest.raises(ValueError, match="train it with `condition_dropout`"):
        plain.sample(1, key=key, condition=LABELS[:1], guidance_scale=2.0)
