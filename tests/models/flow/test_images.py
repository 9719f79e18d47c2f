"""Multi-scale flows of images: exact Jacobians, latents, scales, and what does not fit."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.models.flow.test_model import shaken

from artifex.generative_models.core.configuration import (
    AdditiveTransformerConfig,
    BijectionFlowConfig,
    ChainConfig,
    ConfigError,
    GlowConfig,
    ImageCouplingConfig,
    ImageRealNVPConfig,
    InverseConfig,
    ReshapeConfig,
    SplitConfig,
    SqueezeConfig,
    UnsqueezeConfig,
)
from artifex.generative_models.factory import create_model
from artifex.generative_models.models.backbones.bijections import make_bijection

SMALL = {"event_shape": (1, 4, 4), "num_levels": 2, "num_steps": 2, "hidden_channels": 4}
FLOWS = {
    "glow": GlowConfig(**SMALL, num_classes=3),
    "image_real_nvp": ImageRealNVPConfig(**SMALL, transformer=AdditiveTransformerConfig()),
}

pytestmark = pytest.mark.usefixtures("cheap_compilation")


@eqx.filter_jit
def measured(bijection, z, condition):
    """Both directions, and the Jacobian of the forward one by autodiff."""
    x, log_det = bijection.forward_and_log_det(z, condition)
    jacobian = jax.jacfwd(lambda z: bijection.forward(z, condition).ravel())(z)
    return x, log_det, jnp.linalg.slogdet(jacobian)[1], bijection.inverse_and_log_det(x, condition)


@pytest.mark.parametrize("name", FLOWS)
def test_the_map_is_square_and_its_log_det_exact(name, key):
    """From one vector of latents to an image and back, with half of the channels leaving between the scales."""
    with jax.enable_x64(True):
        flow = shaken(create_model(FLOWS[name], key=key), 0.3)
        assert flow.bijection.event_shape == (16,)
        assert flow.bijection.out_shape == (1, 4, 4)
        z = jax.random.normal(key, (16,))
        condition = jax.nn.one_hot(1, 3) if flow.config.num_classes else None
        results = jax.device_get((z, measured(flow.bijection, z, condition)))
    z, (x, log_det, wanted, (back, inverse_log_det)) = results
    np.testing.assert_allclose(log_det, wanted, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(inverse_log_det, -wanted, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(back, z, rtol=1e-8, atol=1e-8)
    assert abs(wanted) > 0.1
    assert np.isfinite(x).all()


def test_what_leaves_does_not_go_on(key):
    """Channels that leave change no latents of coarser scales; those that go on change the density of what leaves."""
    flow = shaken(create_model(FLOWS["glow"], key=key), 0.3)
    split, density = flow.bijection.bijections[:2]
    y = jax.random.normal(key, split.out_shape)
    half = len(y) // 2
    left, gone_on = y.at[:half].add(1.0), y.at[half:].add(1.0)
    z, of_left, of_gone_on = jax.jit(jax.vmap(lambda y: split.inverse(y, jax.nn.one_hot(1, 3))))(
        jnp.stack([y, left, gone_on])
    )
    assert np.array_equal(of_left[8:], z[8:]) and np.array_equal(of_gone_on[:8], z[:8])
    assert np.all(of_gone_on[8:] != z[8:])
    x, of_left, of_gone_on = jax.jit(jax.vmap(density.inverse))(jnp.stack([y, left, gone_on]))
    assert np.array_equal(of_left[half:], x[half:])
    assert np.all(of_gone_on[:half] != x[:half])


def test_latents_are_standardised_by_the_first_batch(key):
    """Each ActNorm of each scale is set; at first a coupling changes nothing and a 1x1 convolution rotates."""
    flow = create_model(GlowConfig(**{**SMALL, "num_levels": 1}), key=key)
    assert flow.starts_from_data
    x = 5.0 + 3.0 * jax.random.uniform(key, (64, 1, 4, 4))
    new = eqx.filter_jit(lambda flow, x: flow.initialized(x))(flow, x)
    assert not new.starts_from_data
    z = np.asarray(new.encode(x)).reshape(64, 4, 4)
    np.testing.assert_allclose(z.mean((0, 2)), 0.0, atol=1e-4)
    np.testing.assert_allclose((z**2).mean(), 1.0, rtol=1e-3)


def test_programs_do_not_grow_with_steps(key):
    """Two steps a scale or eight: the same program, longer in its loops alone."""
    sizes = []
    for num_steps in (2, 8):
        config = GlowConfig(**{**SMALL, "num_steps": num_steps})
        flow = eqx.filter_eval_shape(create_model, config, key=key)
        x = jax.ShapeDtypeStruct((1, 4, 4), jnp.float32)
        program = eqx.filter_make_jaxpr(lambda flow, x: flow.bijection.inverse_and_log_det(x))(flow, x)[0]
        sizes.append(len(str(program).splitlines()))
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize(
    ("config", "shape", "match"),
    [
        (SqueezeConfig(), (1, 3, 4), "even height and width; got 3x4"),
        (UnsqueezeConfig(), (3, 2, 2), "multiple of four channels; got 3"),
        (ReshapeConfig(shape=(1, 2, 2)), (5,), "keeps the number of entries"),
        (ImageCouplingConfig(mask="last"), (1, 4, 4), "halves of 1 channel"),
        (ImageCouplingConfig(mask="odd"), (4, 1, 1), "a checkerboard of one pixel"),
        (ImageCouplingConfig(), (16,), "maps images"),
        (ImageCouplingConfig(condition_channels=1), (2, 2, 2), "at least 4 numbers"),
        (SplitConfig(), (9,), "of even length"),
        (SplitConfig(rest=ImageCouplingConfig()), (2, 2, 2), "takes a vector of latents"),
        (InverseConfig(layer=SqueezeConfig()), (1, 4, 4), "keep the shape"),
    ],
)
def test_layers_that_do_not_fit(config, shape, match, key):
    """Errors say what is required, what was got, and the fix."""
    with pytest.raises(ValueError, match=match):
        make_bijection(config, shape, key=key)


def test_configs_that_do_not_fit(key):
    """Sizes that cannot be halved, and layers that lead elsewhere."""
    with pytest.raises(ConfigError, match=r"multiples of 8, to be halved 3 times .* got 28x28"):
        GlowConfig(event_shape=(1, 28, 28), num_levels=3)
    assert ImageRealNVPConfig(event_shape=(1, 28, 28), num_levels=3).num_levels == 3
    with pytest.raises(ConfigError, match="that of an image"):
        ImageRealNVPConfig(event_shape=(16,))
    with pytest.raises(ConfigError, match="`condition_channels` needs a network"):
        ImageCouplingConfig(num_blocks=0, condition_channels=1)
    layers = ChainConfig(layers=(ReshapeConfig(shape=(4, 2, 2)),))
    with pytest.raises(ValueError, match="or to examples of shape"):
        create_model(BijectionFlowConfig(event_shape=(1, 4, 4), bijection=layers), key=key)
