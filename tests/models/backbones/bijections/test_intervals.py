"""Where a config says that entries lie is where the bijection puts them."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.generative_models.core.configuration import (
    BijectionFlowConfig,
    ChainConfig,
    ConfigError,
    CouplingLayerConfig,
    ExpLayerConfig,
    InverseConfig,
    LeakyReLULayerConfig,
    LeakyTanhLayerConfig,
    LogitLayerConfig,
    PermutationConfig,
    ScannedConfig,
    ShiftScaleLayerConfig,
    SigmoidLayerConfig,
    SoftplusLayerConfig,
    TanhLayerConfig,
    UniformTorusLatentConfig,
)
from artifex.generative_models.core.configuration.flow.intervals import REALS, interval_after
from artifex.generative_models.models.backbones.bijections import make_bijection

pytestmark = pytest.mark.usefixtures("cheap_compilation")

SHIFTED = ShiftScaleLayerConfig(shift=-1.0, scale=2.0)
CHAIN = ChainConfig(layers=(SigmoidLayerConfig(), PermutationConfig(), SHIFTED, ExpLayerConfig()))


@pytest.mark.parametrize(
    ("config", "before"),
    [
        (SHIFTED, (-3.0, 0.5)),
        (ExpLayerConfig(), (-2.0, 1.0)),
        (InverseConfig(layer=ExpLayerConfig()), (0.25, 3.0)),
        (SoftplusLayerConfig(), (-4.0, 7.0)),
        (InverseConfig(layer=SoftplusLayerConfig()), (0.5, 9.0)),
        (SigmoidLayerConfig(), (-1.0, 2.0)),
        (LogitLayerConfig(), (0.125, 0.75)),
        (TanhLayerConfig(), (-0.5, 2.0)),
        (InverseConfig(layer=TanhLayerConfig()), (-0.75, 0.5)),
        (LeakyTanhLayerConfig(limit=1.0), (-4.0, 0.5)),
        (InverseConfig(layer=LeakyTanhLayerConfig(limit=1.0)), (-0.25, 3.0)),
        (LeakyReLULayerConfig(slope=0.25), (-2.0, 3.0)),
        (InverseConfig(layer=LeakyReLULayerConfig(slope=0.25)), (-1.0, 0.5)),
        (CHAIN, (-0.5, 1.5)),
        (InverseConfig(layer=CHAIN), (0.5, 2.0)),
        (ScannedConfig(layer=SigmoidLayerConfig(), num_layers=3), (-5.0, 5.0)),
    ],
)
def test_interval_is_that_of_the_bijection(config, before, key):
    bijection = make_bijection(config, (2,), key=key)
    after = np.sort(bijection.forward(jnp.array(before)))
    np.testing.assert_allclose(interval_after(config, before), after, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("config", "after"),
    [
        (ExpLayerConfig(), (0.0, math.inf)),
        (SoftplusLayerConfig(), (0.0, math.inf)),
        (SigmoidLayerConfig(), (0.0, 1.0)),
        (InverseConfig(layer=LogitLayerConfig()), (0.0, 1.0)),
        (TanhLayerConfig(), (-1.0, 1.0)),
        (LeakyTanhLayerConfig(), REALS),
        (LeakyReLULayerConfig(), REALS),
        (CHAIN, (math.exp(-1.0), math.exp(1.0))),
        (ChainConfig(layers=(CouplingLayerConfig(), TanhLayerConfig())), (-1.0, 1.0)),
        (ChainConfig(layers=(SigmoidLayerConfig(), LogitLayerConfig())), REALS),
        (ChainConfig(layers=(SigmoidLayerConfig(), CouplingLayerConfig())), None),
    ],
)
def test_interval_of_all_numbers(config, after):
    assert interval_after(config, REALS) == (after if after is None else pytest.approx(after))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (LogitLayerConfig(), r"`logit` takes entries in \(0, 1\) alone.*in \(-inf, inf\)"),
        (InverseConfig(layer=ExpLayerConfig()), r"`inverse of exp` takes entries in \(0, inf\)"),
        (
            ChainConfig(layers=(SigmoidLayerConfig(), SHIFTED, InverseConfig(layer=SigmoidLayerConfig()))),
            r"`inverse of sigmoid` takes entries in \(0, 1\) alone, and those that reach it lie in \(-1, 1\)",
        ),
    ],
)
def test_what_cannot_be_inverted(config, message):
    """An error where the flow is written."""
    with pytest.raises(ConfigError, match=message):
        BijectionFlowConfig(bijection=config)


def test_latents_on_a_circle_are_bounded():
    config = BijectionFlowConfig(latent=UniformTorusLatentConfig(), bijection=SHIFTED)
    assert config.data_interval == pytest.approx((-1.0 - 2.0 * math.pi, -1.0 + 2.0 * math.pi))


def test_layers_of_data_above_zero(key):
    """With the log-determinants of the derivative."""
    config = ChainConfig(layers=(SoftplusLayerConfig(), ShiftScaleLayerConfig(shift=2.0)))
    bijection = make_bijection(config, (3,), key=key)
    x = jax.random.normal(key, (3,))
    _, log_det = bijection.forward_and_log_det(x)
    np.testing.assert_allclose(
        log_det, np.linalg.slogdet(jax.jacfwd(bijection.forward)(x))[1], rtol=1e-5, atol=1e-6
    )
