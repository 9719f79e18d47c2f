"""Times at which samplers stop: first, last, number, and what each spacing makes equal."""

import jax.numpy as jnp
import numpy as np
import pytest

from artifex.generative_models.core.configuration import (
    CosinePathConfig,
    DDPMPathConfig,
    EDMPathConfig,
    KarrasSpacingConfig,
    LeadingSpacingConfig,
    LinearPathConfig,
    LogSNRSpacingConfig,
    PowerSpacingConfig,
    TrailingSpacingConfig,
    UniformSpacingConfig,
    VEPathConfig,
    VPPathConfig,
)
from artifex.generative_models.core.sampling import make_times
from artifex.generative_models.models.diffusion.paths import make_path

CONTINUOUS = [UniformSpacingConfig(), PowerSpacingConfig(), KarrasSpacingConfig(), LogSNRSpacingConfig()]
PATHS = [
    VPPathConfig(),
    CosinePathConfig(),
    VEPathConfig(),
    EDMPathConfig(),
    LinearPathConfig(),
    DDPMPathConfig(),
]


@pytest.mark.parametrize("num_steps", [1, 2, 7, 1000])
@pytest.mark.parametrize("config", PATHS, ids=lambda config: config.kind)
def test_first_last_and_falling(config, num_steps):
    """`num_steps + 1` times, from `t_max` or the spacing's largest sigma, strictly down to 0."""
    path = make_path(config)
    for spacing in [
        *CONTINUOUS,
        TrailingSpacingConfig(num_levels=1000),
        LeadingSpacingConfig(num_levels=1000),
    ]:
        times = np.asarray(make_times(spacing, path, num_steps))
        assert times.shape == (num_steps + 1,)
        assert times[-1] == 0
        assert (np.diff(times) < 0).all(), spacing
        if isinstance(spacing, KarrasSpacingConfig | LogSNRSpacingConfig):
            first = jnp.asarray(times[0])
            largest = float(path.sigma(first) / path.alpha(first))
            most = float(np.exp(-0.5 * path.log_snr(jnp.float32(path.t_max))))
            np.testing.assert_allclose(largest, min(80.0, most), rtol=1e-3)
        elif isinstance(spacing, LeadingSpacingConfig):
            assert times[0] <= 1
        else:
            assert times[0] == np.float32(1.0 if spacing.kind == "trailing" else path.t_max)


def test_karras_is_equation_5():
    """Against the paper's formula, and its own first values for 18 steps."""
    times = make_times(KarrasSpacingConfig(), make_path(EDMPathConfig()), 18)
    sigma = np.asarray(times) * 80.0
    i = np.arange(18)
    expected = (80 ** (1 / 7) + i / 17 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
    np.testing.assert_allclose(sigma[:-1], expected, rtol=1e-4)
    np.testing.assert_allclose(sigma[:3], [80.0, 57.586, 40.785], rtol=1e-4)


def test_equal_steps():
    """In time, in its root, and in log-SNR."""
    path = make_path(VPPathConfig())
    np.testing.assert_allclose(np.diff(make_times(UniformSpacingConfig(), path, 8)), -1 / 8, rtol=1e-5)
    roots = np.sqrt(make_times(PowerSpacingConfig(exponent=2.0), path, 8))
    np.testing.assert_allclose(np.diff(roots), -1 / 8, rtol=1e-5)
    log_snr = path.log_snr(make_times(LogSNRSpacingConfig(sigma_min=0.01), path, 8)[:-1])
    np.testing.assert_allclose(np.diff(log_snr), np.diff(log_snr)[0], rtol=1e-3)


def test_levels_of_tables():
    """Against lists written out: `trailing` ends at the last level, `leading` begins at the first."""
    path = make_path(DDPMPathConfig(num_steps=10))
    trailing = make_times(TrailingSpacingConfig(num_levels=10), path, 4) * 10
    np.testing.assert_allclose(trailing, [10, 8, 5, 2, 0])  # 7.5 and 2.5 to even
    leading = make_times(LeadingSpacingConfig(num_levels=10), path, 4) * 10
    np.testing.assert_allclose(leading, [7, 5, 3, 1, 0])
    leading = make_times(LeadingSpacingConfig(num_levels=10, offset=1), path, 4) * 10
    np.testing.assert_allclose(leading, [8, 6, 4, 2, 0])


@pytest.mark.parametrize("spacing", [*CONTINUOUS, TrailingSpacingConfig(), LeadingSpacingConfig()])
def test_wrong_numbers_of_steps(spacing):
    """None, and more than there are levels."""
    path = make_path(DDPMPathConfig())
    with pytest.raises(ValueError, match="`num_steps` must"):
        make_times(spacing, path, 0)
    if isinstance(spacing, TrailingSpacingConfig | LeadingSpacingConfig):
        with pytest.raises(ValueError, match=r"\[1, 1000\]"):
            make_times(spacing, path, 1001)
    with pytest.raises(ValueError, match="`sigma_max` must exceed `sigma_min`"):
        KarrasSpacingConfig(sigma_min=1.0, sigma_max=0.5)
